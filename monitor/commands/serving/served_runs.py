"""Which runs of a log directory a dashboard is to show, and the view of them in a process of its own."""

from __future__ import annotations

import json
import os
import signal
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path

import click

from monitor.commands.base import show_messages
from monitor.commands.listing.runs import select
from monitor.dashboards.ownership.parent_watch import yield_to_training
from monitor.dashboards.tensorboard.run_view import Choice, RunView
from monitor.errors import MonitorError
from monitor.remote.mirror import keep_current
from monitor.remote.urls import display_path
from monitor.runs.filter import Filter
from monitor.runs.listing import sort_runs
from monitor.runs.listing.found_runs import FoundRuns
from monitor.runs.listing.stored_fields import LISTED_PARTS
from monitor.runs.processes.process import signals_as_exit

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


def serve_view(logdir: str, expression: str | None, last: int | None, *, full: bool) -> None:
    """Make a view, and let its folder follow the log directory until stdin ends, which removes it. Blocks.

    One line on stdout, in JSON, says where the folder is, or why there is none.
    """
    show_messages()
    with signals_as_exit():
        threading.Thread(target=_exit_with_stdin, name="monitor-parent", daemon=True).start()
        try:
            keep_current(Path(logdir))
            view = _make_view(Path(logdir), expression, last, full=full)
        except click.ClickException as error:
            _say(error=error.format_message(), status=2)
        except MonitorError as error:
            _say(error=str(error), status=2)
        except OSError as error:
            _say(error=f"the runs of {display_path(logdir)} cannot be shown: {error.strerror or error}", status=1)
        else:
            try:
                shown, runs = len(view.found.chosen), len(view.found.runs)
                _say(folder=str(view.folder), chosen=shown, found=runs, line=_summary(view, logdir, expression))
                yield_to_training()  # not earlier: somebody waits for the start
                view.follow()
            finally:
                _close(view)


def _make_view(logdir: Path, expression: str | None, last: int | None, *, full: bool) -> RunView:
    resolved = logdir.resolve()
    find = ServedRuns(resolved, expression, last)
    try:
        view = RunView(resolved, find, full=full)
    except OSError as error:
        place = f"there is no place for links in {tempfile.gettempdir()}"
        raise OSError(error.errno, f"{place}: {error.strerror or error}") from error
    try:
        view.update()
    except BaseException:
        _close(view)
        raise
    return view


def _close(view: RunView) -> None:
    """Remove the view whatever signals come now."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    view.close()


def _exit_with_stdin() -> None:
    """End this process, as SIGTERM does, when the one that started it closes stdin or is gone."""
    while os.read(0, 1):
        pass
    while True:  # some packages suppress whatever is raised while they are imported
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(1)


def _say(**facts: object) -> None:
    with suppress(BrokenPipeError):  # the server is gone, and this process follows
        os.write(1, f"{json.dumps(facts)}\n".encode())


def _summary(view: RunView, logdir: str, expression: str | None) -> str:
    shown, runs = len(view.found.chosen), len(view.found.runs)
    logdir = display_path(logdir)
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
    return line
