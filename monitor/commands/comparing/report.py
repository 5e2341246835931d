"""`monitor report RUN…`: curves, pictures, notes, settings, alerts, and changes of the code as one page."""

from __future__ import annotations

from pathlib import Path

import click

from monitor.commands.base import MonitorCommand
from monitor.commands.comparing.compare import group_options, write_page
from monitor.commands.completion import complete_metrics, complete_runs
from monitor.commands.option_values import GivenPath, PlaceToRead
from monitor.comparison.compare import find_runs, load_run


@click.command(cls=MonitorCommand)
@click.argument("names", nargs=-1, required=True, metavar="RUN...", shell_complete=complete_runs)
@click.option("--html", "page", type=GivenPath(dir_okay=False, path_type=Path), metavar="FILE",
              default=Path("report.html"), show_default=True, help="Where to write the page.")  # fmt: skip
@click.option("--title", default="", metavar="TEXT", help="The heading.  [default: the run's name]")
@click.option("--logdir", type=PlaceToRead(file_okay=False, path_type=Path), default=Path("runs"), show_default=True,
              help="Where to look for runs; also an address such as s3://bucket/runs.")  # fmt: skip
@click.option("--metric", "wanted", multiple=True, metavar="TAG", shell_complete=complete_metrics,
              help="Show only this metric. Repeatable.")  # fmt: skip
@group_options
def report(
    names: tuple[str, ...],
    page: Path,
    title: str,
    logdir: Path,
    wanted: tuple[str, ...],
    group_by: tuple[str, ...],
    ignore: tuple[str, ...],
    spread: str,
) -> None:
    """Write a report of runs: names, paths, or patterns such as 'mlp-*'.

    It is one file that works offline and in an email: the comparison of `monitor compare`, and for each run its notes,
    config, alerts, system metrics, and the changes of its code since the commit.
    """
    if ignore and not group_by:
        raise click.UsageError("--ignore needs --group-by config, or a setting.")
    from monitor.comparison.comparison import Comparison
    from monitor.comparison.event_data import LeftOut

    left_out = LeftOut()
    runs = [load_run(name, path, left_out) for name, path in find_runs(names, logdir).items()]
    comparison = Comparison(runs, wanted, group_by=group_by, ignore=ignore, spread=spread, on_error=left_out)
    write_page(page, comparison.to_html(title, is_report=True))
