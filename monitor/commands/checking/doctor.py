"""`monitor doctor`: check whether a training can run here, and what to do if it cannot."""

from __future__ import annotations

from pathlib import Path

import click

from monitor.commands.base import MonitorCommand
from monitor.commands.option_values import GivenPath

LEVEL_COLORS = {"ok": "green", "warning": "yellow", "failure": "red"}


@click.command(cls=MonitorCommand)
@click.option("--logdir", type=GivenPath(file_okay=False, path_type=Path), default=Path("runs"), show_default=True,
              help="Where runs would be written.")  # fmt: skip
@click.option("--data-dir", type=GivenPath(path_type=Path), help="Where data sets are.  [default: a user cache]")
def doctor(logdir: Path, data_dir: Path | None) -> int:
    """Check versions, packages, disk, dashboards, data, and GPU; exit status 1 if a training cannot run."""
    from platformdirs import user_cache_path

    from monitor.commands.checking.doctor_checks import FAILURE, examine

    failures = 0
    for finding in examine(logdir, data_dir or user_cache_path("training-monitor") / "data"):
        failures += finding.level == FAILURE
        level = click.style(f"{finding.level:<8}", fg=LEVEL_COLORS[finding.level])
        click.echo(f"{level} {finding.subject}: {finding.message}" + (f" → {finding.remedy}" if finding.remedy else ""))
    return 1 if failures else 0
