"""A click group that imports a subcommand only when it is used, so `monitor --help` is quick."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

from monitor.commands.base import MonitorGroup

if TYPE_CHECKING:
    from importlib.metadata import EntryPoints

ENTRY_POINT_GROUP = "monitor.commands"


def entry_points() -> EntryPoints:
    """Return those of our group; importing what finds them takes a sixth of the start of a command."""
    from importlib import metadata

    return metadata.entry_points(group=ENTRY_POINT_GROUP)


class LazyGroup(MonitorGroup):
    """A group of commands that are imported when they are used.

    Other packages add commands through the entry-point group `monitor.commands`.
    """

    def __init__(self, *args: Any, lazy_commands: dict[str, tuple[str, str]] | None = None, **kwargs: Any) -> None:
        """Make the group; `lazy_commands` is a `module:attribute` and a line of help, by name."""
        super().__init__(*args, **kwargs)
        self._lazy_commands = lazy_commands or {}

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - overrides click's
        """Return the names of all commands, sorted."""
        return sorted({*self._lazy_commands, *(entry.name for entry in entry_points())})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import a command; return None if there is none of this name."""
        if cmd_name not in self._lazy_commands:
            for entry in entry_points().select(name=cmd_name):
                added: click.Command = entry.load()
                return added
            return None
        module, _, attribute = self._lazy_commands[cmd_name][0].partition(":")
        command: click.Command = getattr(import_module(module), attribute)
        return command

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Return the commands whose names start like this, without importing those of this package."""
        names = [name for name in self.list_commands(ctx) if name.startswith(incomplete)]
        options = super(click.Group, self).shell_complete(ctx, incomplete)
        return [CompletionItem(name, help=self._help(ctx, name)) for name in names] + options

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write one line of help per command, without importing those of this package."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, self._help(ctx, name)) for name in self.list_commands(ctx)])

    def _help(self, ctx: click.Context, name: str) -> str:
        if name in self._lazy_commands:
            return self._lazy_commands[name][1]
        command = self.get_command(ctx, name)
        return command.get_short_help_str(limit=60) if command is not None else ""
