"""A click group that imports a subcommand when it is used: `monitor --help` stays quick."""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any

from monitor.commands.base import MonitorGroup

if TYPE_CHECKING:
    import click

ENTRY_POINT_GROUP = "monitor.commands"


class LazyGroup(MonitorGroup):
    """A group whose commands are named by `module:attribute`, with a line of help each.

    Installed packages add theirs through the entry-point group `monitor.commands`.
    """

    def __init__(self, *args: Any, lazy_commands: dict[str, tuple[str, str]] | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._lazy_commands = lazy_commands or {}

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*self._lazy_commands, *(entry.name for entry in entry_points(group=ENTRY_POINT_GROUP))})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self._lazy_commands:
            for entry in entry_points(group=ENTRY_POINT_GROUP, name=cmd_name):
                added: click.Command = entry.load()
                return added
            return None
        module, _, attribute = self._lazy_commands[cmd_name][0].partition(":")
        command: click.Command = getattr(import_module(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, self._help(ctx, name)) for name in self.list_commands(ctx)])

    def _help(self, ctx: click.Context, name: str) -> str:
        if name in self._lazy_commands:
            return self._lazy_commands[name][1]
        command = self.get_command(ctx, name)
        return command.get_short_help_str(limit=60) if command is not None else ""
