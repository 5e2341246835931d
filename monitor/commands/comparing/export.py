"""`monitor export RUN… --to FILE`: the scalars of runs as Parquet, CSV, or JSON."""

from __future__ import annotations

from pathlib import Path

import click

from monitor.commands.base import MonitorCommand, fail
from monitor.commands.completion import complete_metrics, complete_runs
from monitor.commands.option_values import GivenPath, PlaceToRead
from monitor.render.text.escaping import escape_control_chars
from monitor.suggestions import hint


@click.command(cls=MonitorCommand)
@click.argument("names", nargs=-1, required=True, metavar="RUN...", shell_complete=complete_runs)
@click.option("--to", "file", required=True, type=GivenPath(dir_okay=False, path_type=Path), metavar="FILE",
              help="Where to write; .parquet, .csv, or .json.")  # fmt: skip
@click.option("--metric", "wanted", multiple=True, metavar="TAG", shell_complete=complete_metrics,
              help="Write only this tag. Repeatable.")  # fmt: skip
@click.option("--logdir", type=PlaceToRead(file_okay=False, path_type=Path), default=Path("runs"), show_default=True,
              help="Where to look for runs; also an address such as s3://bucket/runs.")  # fmt: skip
def export(names: tuple[str, ...], file: Path, wanted: tuple[str, ...], logdir: Path) -> None:
    """Write the scalars of runs into a file: names, paths, or patterns such as 'mlp-*'.

    Parquet and CSV have the columns run, tag, step, time (in seconds since 1970, UTC), and value.
    """
    from monitor.comparison.stored_runs import read
    from monitor.comparison.views.exporting import writer_of

    write = writer_of(file)
    try:
        runs = read(*names, logdir=logdir)
        known = list(dict.fromkeys(tag for run in runs for tag in run.tags())) if wanted else []
        for tag in wanted:
            if tag not in known:
                raise click.BadParameter(f"no run has {tag!r}{hint(tag, known)}", param_hint="'--metric'")
        count = write(runs, file, wanted or None)
    except OSError as error:
        fail(f"{str(error.filename or file)!r}: {error.strerror or error}", 2)
    click.echo(
        f"{escape_control_chars(str(file))}: {count:,} points of {len(runs):,} run{'s' if len(runs) != 1 else ''}"
    )
