"""A click group that imports a subcommand when it is used: `monitor --help` stays quick."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import click

from monitor.oneline import OneLineGroup


class LazyGroup(OneLineGroup):
    """A group whose commands are named by `module:attribute`, with a line of help each."""

    def __init__(self, *args: Any, commands_at: dict[str, tuple[str, str]] | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._at = commands_at or {}

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(self._at)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self._at:
            return None
        module, _, attribute = self._at[cmd_name][0].partition(":")
        command: click.Command = getattr(import_module(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, self._at[name][1]) for name in self.list_commands(ctx)])
