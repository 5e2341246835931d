"""`monitor index [RUN…]`: make an index beside the event files of runs, so that their curves are there at once."""

from __future__ import annotations

from pathlib import Path

import click

from monitor.commands.base import MonitorCommand, fail
from monitor.commands.completion import complete_runs
from monitor.commands.option_values import PlaceToRead
from monitor.render.text.escaping import escape_control_chars


@click.command(cls=MonitorCommand)
@click.argument("names", nargs=-1, metavar="[RUN...]", shell_complete=complete_runs)
@click.option("--logdir", type=PlaceToRead(file_okay=False, path_type=Path), default=Path("runs"), show_default=True,
              help="Where to look for runs.")  # fmt: skip
def index(names: tuple[str, ...], logdir: Path) -> None:
    """Make or update the index of runs, of any writer; without names, of all runs in the log directory.

    Runs of a Logger have one already. Event files of less than 1 MB need none. An index is a file named curves.index,
    at most 1% of the event files or 64 kB; it can be removed at any time.
    """
    from monitor.comparison.compare import find_runs
    from monitor.events.files import event_bytes, runs_under
    from monitor.events.index.index_update import update_index
    from monitor.events.index.run_index import TooManyCurves

    if not names and not logdir.is_dir():
        raise click.BadParameter(f"{str(logdir)!r} is not a folder.", param_hint="'--logdir'")
    small = failed = 0
    for given, path in (find_runs(names, logdir) if names else runs_under(logdir)).items():
        name = escape_control_chars(given)
        try:
            size = update_index(path)
            small += not size
            if size:
                click.echo(f"{name}: {size / 1e3:,.0f} kB for {event_bytes(path) / 1e6:,.1f} MB of event files")
        except TooManyCurves as error:
            click.echo(f"{name}: no index, because it would be too large: {error}")
        except OSError as error:
            failed += 1
            problem = escape_control_chars(f"{error.filename or path}: {error.strerror or error}")
            click.echo(f"{name}: no index: {problem}", err=True)
    if small:
        click.echo(f"{small:,} run{'s' if small != 1 else ''} of less than 1 MB of event files: no index is needed")
    if failed:
        fail(f"{failed:,} run{'s' if failed != 1 else ''} without an index", 2)
