"""`monitor train RUNNER`, with the installed runners of the entry-point group `monitor.runners`."""

from __future__ import annotations

from importlib.metadata import entry_points

import click

from monitor.commands.base import MonitorGroup

ENTRY_POINT_GROUP = "monitor.runners"


class RunnerGroup(MonitorGroup):
    """The installed runners as subcommands."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - overrides click's
        """Return the names of the runners, sorted."""
        return sorted({entry.name for entry in entry_points(group=ENTRY_POINT_GROUP)})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import a runner; return None if there is none of this name."""
        for entry in entry_points(group=ENTRY_POINT_GROUP, name=cmd_name):
            command: click.Command = entry.load()
            return command
        return None


@click.command(cls=RunnerGroup)
def train() -> None:
    """Train a model and watch it live."""
