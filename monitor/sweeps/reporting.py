"""What a sweep prints: a line for each trial that ends, a table of the best, and the best command line."""

from __future__ import annotations

import shlex
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from monitor.dashboards.session import echo
from monitor.errors import DataError
from monitor.render.text.escaping import escape_control_chars
from monitor.runs.run_file import read_run_file
from monitor.runs.trials.population import EXPLOITS_FIELD, describe_exploit
from monitor.suggestions import hint
from monitor.sweeps.results import Result, best_first
from monitor.sweeps.space import describe

if TYPE_CHECKING:
    from collections.abc import Sequence

    from monitor.sweeps.results import Trial
    from monitor.sweeps.settings import Sweep

SHOWN = 10  # trials in the table


class Reporter:
    """Prints what happens, one line at a time."""

    def __init__(self, sweep: Sweep, logdir: Path) -> None:
        self._sweep, self._logdir = sweep, logdir
        self._waiting = 0

    def begin(self, results: Sequence[Result], jobs: int | None) -> None:
        """The sweep begins, or goes on."""
        at_a_time = "" if jobs is None else f", {jobs} at a time"
        done = f"{len(results)} of " if results else ""
        echo(f"Sweep {self._sweep.name}: {done}{_trials(self._sweep.trials)}{at_a_time}, in {self._logdir}")

    def stopped(self) -> None:
        """The driver was stopped by a signal."""
        echo(f"Interrupted. Go on with: {self.how_to_resume()}", err=True)

    def result(self, result: Result, results: Sequence[Result]) -> None:
        """A trial has ended."""
        sweep = self._sweep
        values = describe(result.trial.values(sweep))
        if result.state == "failed":
            self._line(result.trial, f"failed: {result.error}", results, values)
            return
        shown = "no value" if result.value is None else f"{sweep.metric} {result.value:.6g}"
        best = best_first(results, sweep.goal)
        if result.state == "pruned":
            shown += ", ended early"
        elif best and best[0].trial.number == result.trial.number:
            shown += ", the best so far"
        elif best:
            shown += f" (best {best[0].value:.6g}, trial {best[0].trial.number})"
        self._line(result.trial, shown, results, values)

    def _line(self, trial: Trial, text: str, results: Sequence[Result], values: str) -> None:
        echo(f"[{len(results)}/{self._sweep.trials}] trial {trial.number}: {text}  {values}")

    def retried(self, trial: Trial, code: int | None) -> None:
        """A trial's process was killed."""
        how = "is gone" if code is None else f"was killed ({-code})" if code < 0 else f"was stopped ({code})"
        echo(f"trial {trial.number}: its process {how}; it starts again")

    def recovered(self, trial: int) -> None:
        """Ray starts a trial again."""
        echo(f"trial {trial}: its process is gone; it starts again")

    def adopted(self, trial: Trial) -> None:
        """A trial is running, and its driver is gone."""
        echo(f"trial {trial.number}: still running, and watched from here now")

    def waiting(self, others: int) -> None:
        """Only trials of other drivers are running."""
        if others != self._waiting:
            self._waiting = others
            echo(f"Waiting for {_trials(others)} of other drivers")

    def stopping(self, count: int) -> None:
        """Trials are asked to end."""
        echo(f"Stopping {_trials(count)}; Ctrl-C again kills", err=True)

    def lacks_metric(self, result: Result) -> str:
        """Return what is wrong with a run that has not logged the metric."""
        known = list(result.lacks_metric or [])
        otherwise = hint(self._sweep.metric, known, "it has") or "; it has logged no scalars"
        return f"the run {result.run} has no metric {self._sweep.metric!r}{otherwise}"

    def summary(self, results: Sequence[Result], running: int) -> None:
        """Print how many trials there were, and the best of them; at the end, its command line to copy."""
        sweep, counts = self._sweep, Counter(result.state for result in results)
        parts = [f"{counts[state]} {word}" for state, word in WORDS.items() if counts[state]]
        if running:
            parts.append(f"{running} not ended")
        echo("")
        echo(f"{len(results)} of {_trials(sweep.trials)}: {', '.join(parts) or 'nothing yet'}")
        best = best_first(results, sweep.goal)
        if best:
            self._table(best[:SHOWN])
            echo("Best:")
            echo(f"  {shlex.join(sweep.target.user_command(best[0].trial.settings(sweep)))}")
            self._exploits(best[0])

    def _exploits(self, result: Result) -> None:
        """Say how a trial of a population came to its options, with which alone its run cannot be repeated."""
        try:
            exploits = read_run_file(Path(result.run or "")).get(EXPLOITS_FIELD) or []
        except DataError:
            return
        if exploits:
            echo("These are its last options. They changed while it was trained:")
        for exploit in exploits:
            line = f"  at step {exploit.get('step')}: {describe_exploit(exploit)}"
            echo(escape_control_chars(line))

    def _table(self, best: Sequence[Result]) -> None:
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        sweep = self._sweep
        table = Table("trial", sweep.metric, *(_text(dimension.name) for dimension in sweep.space), "run")
        for result in best:
            cells = result.trial.values(sweep).values()
            shown = (f"{cell:.6g}" if isinstance(cell, float) else str(cell) for cell in cells)
            name = (result.run or "").rpartition("/")[2]
            row = [str(result.trial.number), f"{result.value:.6g}", *shown, name]
            table.add_row(*(Text(escape_control_chars(cell)) for cell in row))
        Console().print(table)

    def how_to_resume(self) -> str:
        """Return the command that goes on with the sweep."""
        logdir = [] if str(self._logdir) == "runs" else ["--logdir", str(self._logdir)]
        return shlex.join(["monitor", "sweep", "--resume", self._sweep.name, *logdir])


WORDS = {"complete": "complete", "pruned": "ended early", "failed": "failed"}


def _trials(count: int) -> str:
    return f"{count} trial" if count == 1 else f"{count} trials"


def _text(name: str) -> str:
    from rich.markup import escape

    return escape(escape_control_chars(name))
