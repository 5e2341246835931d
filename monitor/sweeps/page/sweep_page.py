"""The page of a sweep on a dashboard: the best so far, the settings as parallel coordinates, and the curves of all."""

from __future__ import annotations

import logging
import shlex
import threading
import time
from typing import TYPE_CHECKING

from monitor.comparison.event_data import LeftOut
from monitor.dashboards.launcher import default_data_folder
from monitor.errors import BadRecord
from monitor.records import Figure, Text
from monitor.render.plotly_json import encode_figure
from monitor.runs.listing import scan
from monitor.runs.processes.command_line import typed_command
from monitor.runs.run import Run
from monitor.runs.trials.sweep_runs import group_sweeps, trial_of
from monitor.sinks import registry
from monitor.sinks.base import DashboardSink
from monitor.sweeps.page import page_charts
from monitor.sweeps.page.trial_curves import TrialCurves

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path
    from typing import Any

    from monitor.records import Record
    from monitor.runs.listing import RunInfo
    from monitor.runs.trials.sweep_runs import SweepRuns

log = logging.getLogger("monitor")

MIN_INTERVAL_S = 2.0  # between two updates
END_TIMEOUT_S = 15.0  # for the update that is under way at the end
MAX_SHARE = 0.05  # of the time that updates may take
BEST_TAG = "best"
OWN_OPTIONS = ("--name", "--logdir", "--sink")  # which a sweep gives to each trial
MAX_COMMAND_CHARS = 44  # of a line: as many fit into the window


class SweepPage:
    """Shows a sweep on the dashboards among some sinks: one page, which has the name of the sweep.

    It reads `run.json` and the event files of the trials, and nothing else, so it shows a sweep that goes on, on
    whatever machines, and one that has ended. Neither a server that does not answer nor a file that cannot be read is
    an error: it is logged once, and tried again at the next update.

    In a `with` statement, it updates itself on a thread of its own until the end; otherwise, call `update` and `close`.
    """

    def __init__(
        self,
        name: str,
        logdir: Path,
        specs: Iterable[str | DashboardSink],
        *,
        runs: Callable[[], Iterable[RunInfo]] | None = None,
        command_of: Callable[[Mapping[str, Any]], str] | None = None,
    ) -> None:
        """Prepare the page; nothing is sent yet.

        Args:
            name: of the sweep, as in the field `sweep` of its runs.
            logdir: where its runs are.
            specs: sinks, of which those that are no dashboards are left out. The page of a spec is that of the sweep;
                a `DashboardSink` is used as it is.
            runs: returns the runs of the log directory; by default, all below it are read.
            command_of: returns the command that sets the values of a trial, given by option; by default, the command
                is the one that started the trial, without its name, log directory, and sinks.

        Raises `SpecError` and `MissingExtra`.
        """
        self.name, self._logdir = name, logdir
        self._runs = runs or (lambda: scan(logdir))
        self._command_of = command_of
        self._curves: TrialCurves | None = None
        self._pages = [_Page(sink) for spec in specs if (sink := _sink(spec, name)) is not None]
        self._best: tuple[object, float | None] | None = None
        self._next = 0.0
        self._is_over = threading.Event()
        self._thread: threading.Thread | None = None
        for page in self._pages:
            page.sink.open(Run(name, is_written=False))

    def update(self, *, is_forced: bool = False) -> bool:
        """Show what is new; tell whether it looked. Blocks while it reads and sends.

        Call it as often as you like: unless `is_forced`, it does nothing for two seconds after an update, and longer
        after one that took long, so that it works for a twentieth of the time at most.
        """
        started = time.monotonic()
        if not self._pages or (started < self._next and not is_forced):
            return False
        try:
            sweep = next((sweep for sweep in group_sweeps(self._runs())[0] if sweep.name == self.name), None)
            records = [] if sweep is None else self._draw(sweep)
        except OSError as error:
            log.warning("the page of the sweep %s: %s", self.name, error)
            records = []
        for page in self._pages:
            page.show(records)
        now = time.monotonic()
        self._next = now + max(MIN_INTERVAL_S, (now - started) * (1 / MAX_SHARE - 1))
        return True

    def __enter__(self) -> SweepPage:
        if self._pages:
            self._thread = threading.Thread(target=self._keep_current, name="monitor-sweep-page", daemon=True)
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        if self._thread is not None:
            self._thread.join(END_TIMEOUT_S)
            if self._thread.is_alive():
                return  # a server that hangs has it
        self.close()

    def _keep_current(self) -> None:
        try:
            while not self._is_over.wait(MIN_INTERVAL_S / 2):
                self.update()
        except Exception:  # the sweep goes on without it
            log.exception("the page of the sweep %s is not kept current", self.name)

    @property
    def problem(self) -> str:
        """Why the last update is not on one of the dashboards, or nothing."""
        return next((page.problem for page in self._pages if page.problem), "")

    def urls(self) -> list[str]:
        """Return the addresses of the page."""
        return [page.sink.page_url(Run(self.name, is_written=False)) for page in self._pages]

    def close(self) -> None:
        """Show the last state, save the page where the server of the log directory finds it, and close the sinks."""
        self.update(is_forced=True)
        for page in self._pages:
            page.sink.close()
            try:
                page.sink.save(default_data_folder(page.sink.name, self._logdir))
            except OSError as error:
                log.warning("%s: the page of the sweep %s is not saved: %s", page.sink.name, self.name, error)

    def _draw(self, sweep: SweepRuns) -> list[Record]:
        """Return the windows: figures, and a text each time there is a better trial."""
        shown = page_charts.chosen(sweep)
        if self._curves is None:
            self._curves = TrialCurves(sweep.metric, LeftOut())
        self._curves.update(sweep.trials, page_charts.buckets(shown))
        now = time.time()
        figures = page_charts.figures(sweep, shown, self._curves)
        records: list[Record] = [Figure(tag, b"", 0, now, encode_figure(figure)) for tag, figure in figures.items()]
        best = sweep.best()
        if best is not None and self._best != (trial_of(best), sweep.value(best)):
            self._best = trial_of(best), sweep.value(best)
            records.append(Text(BEST_TAG, self._describe(sweep, best), page_charts.number_of(sweep, best), now))
        return records

    def _describe(self, sweep: SweepRuns, best: RunInfo) -> str:
        values: Mapping[str, Any] = best.fields["sweep"].get("values") or {}
        lines = [f"{sweep.metric} {sweep.value(best):.6g}: trial {trial_of(best)}, {best.name}"]
        lines += [page_charts.settings_text(values)] if values else []
        command = self._command_of(values) if self._command_of else _users_command(best.fields.get("command") or [])
        return "\n".join([*lines, _wrapped(command)])


def _users_command(words: Sequence[str]) -> str:
    """Return the command that started a trial, without what tells trials of a sweep apart."""
    kept = typed_command(words)
    for option in OWN_OPTIONS:
        while option in kept[:-1]:
            del kept[kept.index(option) : kept.index(option) + 2]
    return shlex.join(word for word in kept if word.partition("=")[0] not in OWN_OPTIONS)


def _wrapped(command: str) -> str:
    r"""Break a command line into lines that can be copied into a shell; they end in `\`."""
    lines: list[str] = []
    for word in shlex.split(command):
        word = shlex.quote(word)
        if lines and len(lines[-1]) + len(word) < MAX_COMMAND_CHARS:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return " \\\n  ".join(lines)


class _Page:
    """The page on one dashboard: a window is sent when it changes."""

    def __init__(self, sink: DashboardSink) -> None:
        self.sink = sink
        self._shown: dict[str, str] = {}
        self.problem = ""  # told last

    def show(self, records: Sequence[Record]) -> None:
        """Send what changed."""
        for record in records:
            if isinstance(record, Figure):
                if self._shown.get(record.tag) == record.plotly or Figure not in self.sink.accepts:
                    continue
                self._shown[record.tag] = record.plotly
            self.sink.write([record])
        try:
            self.sink.flush()
            self._tell("")
        except (OSError, BadRecord) as error:
            self._tell(str(error))

    def _tell(self, problem: str) -> None:
        if problem and not self.problem:
            log.warning("%s: the page of the sweep: %s", self.sink.name, problem)
        self.problem = problem


def _sink(spec: str | DashboardSink, name: str) -> DashboardSink | None:
    """Return the sink for the page of this name on the dashboard of a spec, or None if it is none."""
    if isinstance(spec, DashboardSink):
        return spec
    sink = registry.make(spec)
    if not isinstance(sink, DashboardSink):
        return None
    page = registry.make(sink.spec_of_page(name))
    assert isinstance(page, DashboardSink)
    return page
