"""`monitor train RUNNER`: the runners that are installed, through the entry-point group `monitor.runners`."""

from __future__ import annotations

from importlib.metadata import entry_points

import click

from monitor.commands.base import MonitorGroup

ENTRY_POINT_GROUP = "monitor.runners"


class Runners(MonitorGroup):
    """The installed runners as subcommands."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({entry.name for entry in entry_points(group=ENTRY_POINT_GROUP)})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        for entry in entry_points(group=ENTRY_POINT_GROUP, name=cmd_name):
            command: click.Command = entry.load()
            return command
        return None


@click.command(cls=Runners)
def train() -> None:
    """Train a model and watch it."""
