"""Which runs of a log directory a dashboard is to show."""

from __future__ import annotations

import tempfile
from typing import TYPE_CHECKING

import click

from monitor.commands.base import fail
from monitor.commands.listing.runs import select
from monitor.dashboards.tensorboard.run_view import Choice, RunView
from monitor.runs.filter import Filter
from monitor.runs.listing import sort_runs
from monitor.runs.listing.found_runs import FoundRuns
from monitor.runs.listing.stored_fields import LISTED_PARTS
from monitor.runs.processes.process import signals_as_exit

if TYPE_CHECKING:
    from pathlib import Path

ORDER = "-start"


class ServedRuns:
    """The runs that match a filter, the newest of them; each call looks again."""

    def __init__(self, logdir: Path, expression: str | None, last: int | None) -> None:
        """Prepare to look. Raises `FilterError` if the expression is no filter."""
        self._filter = None if expression is None else Filter(expression)
        self._find, self._last = FoundRuns(logdir), last
        self._is_first = True

    def __call__(self) -> Choice:
        """Return the runs. Blocks; the first time, raises `click.BadParameter` for a name that no run has."""
        runs = self._find(LISTED_PARTS)
        self._find.save()
        if self._is_first:
            chosen = select(runs, ORDER, self._filter, ())
            self._is_first = False
        else:  # a name that no run has anymore ends nothing
            chosen = sort_runs([run for run in runs if self._filter is None or self._filter(run.look_up)], ORDER)
        return Choice([run.path for run in runs], [run.path for run in chosen[: self._last]])


def make_view(logdir: Path, expression: str | None, last: int | None, *, full: bool) -> RunView:
    """Make what is served in place of the log directory, and say on stderr what it has. Blocks."""
    resolved = logdir.resolve()
    find = ServedRuns(resolved, expression, last)
    try:
        view = RunView(resolved, find, full=full)
    except OSError as error:
        fail(f"there is no place for links in {tempfile.gettempdir()}: {error.strerror or error}", 1)
    try:
        with signals_as_exit():
            view.update()
    except BaseException:
        view.close()
        raise
    shown, runs = len(view.found.chosen), len(view.found.runs)
    if not shown and runs and expression is not None:
        line = f"No runs in {logdir} match {expression!r} yet; those that do will appear."
    elif not shown:
        line = f"No runs in {logdir} yet; new ones will appear."
    else:
        line = f"{shown:,} of {runs:,} runs in {logdir}; runs that come to match will appear."
    if view.reduced:
        line += (
            f" Large runs ({view.reduced:,} here) are shown by the first, last, lowest, and highest point of up to 256 "
            "intervals of each curve; --full loads all points."
        )
    click.echo(line, err=True)
    return view
