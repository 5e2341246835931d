"""Trials and their results; how the runs of a trial tell what came out."""

from __future__ import annotations

import json
import math
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from monitor.runs.listing import RunInfo, load
from monitor.runs.status import SIGNAL_EXIT_CODES, RunStatus
from monitor.runs.trials.sweep_runs import trial_value
from monitor.runs.trials.trial import TRIALS_FOLDER, runs_path

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from monitor.sweeps.settings import Sweep
    from monitor.sweeps.space import Parameter

ENDED_EARLY = ("stopped", "pruned")  # by an alert, from a dashboard, or by a comparison with other trials
NOT_ENDED = (RunStatus.INTERRUPTED, RunStatus.KILLED, RunStatus.LOST, RunStatus.DAMAGED)
MAX_LOG_BYTES = 2**16


@dataclass(frozen=True)
class Trial:
    """One point of the space.

    Attributes:
        number: counts from 0.
        parameters: by option, as the engine chose them.
    """

    number: int
    parameters: Mapping[str, Parameter]

    def values(self, sweep: Sweep) -> dict[str, Parameter]:
        """Return the values as `run.json` has them."""
        return {dimension.name: dimension.value(self.parameters[dimension.option]) for dimension in sweep.space}

    def settings(self, sweep: Sweep) -> list[str]:
        """Return the arguments that set the options."""
        return [part for dimension in sweep.space for part in dimension.arguments(self.parameters[dimension.option])]


class Result(NamedTuple):
    """What came out of a trial.

    Attributes:
        trial: the trial.
        state: `complete`, `pruned`, `failed`, or `killed`; a killed one has not ended, and starts again.
        value: of the metric; None if there is none.
        step: of the value.
        error: why the trial failed.
        run: the directory of its run.
        lacks_metric: the metrics of a run that finished without the one that counts.
    """

    trial: Trial
    state: str
    value: float | None = None
    step: int | None = None
    error: str | None = None
    run: str | None = None
    lacks_metric: Sequence[str] | None = None


def result_of(sweep: Sweep, folder: Path, trial: Trial, code: int | None) -> Result:
    """Return the result of a trial whose processes have ended, from its runs.

    `code` is the return code of its process, negative for a signal; None if nobody knows.
    """
    run = _main_run(sweep, folder, trial.number)
    if run is None:
        if code is None or code < 0 or code in (*SIGNAL_EXIT_CODES, 128 + signal.SIGINT):
            return Result(trial, "killed")
        said = last_line(folder, trial.number)
        return Result(trial, "failed", error=said or f"exit status {code}, and no run")
    path = str(run.path)
    value, step = trial_value(run.metrics.get(sweep.metric, {}), sweep.goal, is_best=sweep.is_best)
    if run.status in ENDED_EARLY:
        return Result(trial, "pruned", value, step, run=path)
    if run.status in NOT_ENDED or run.status == RunStatus.RUNNING:
        return Result(trial, "killed", value, step, run=path)
    if run.status != RunStatus.FINISHED:
        return Result(trial, "failed", None, None, run.error or f"its run is {run.status}", path)
    if value is None:
        known = list(run.metrics)
        return Result(trial, "failed", None, None, f"it has not logged {sweep.metric!r}", path, lacks_metric=known)
    if not math.isfinite(value):
        return Result(trial, "failed", None, None, f"{sweep.metric} is {value}", path)
    return Result(trial, "complete", value, step, run=path)


def is_ended(result: Result) -> bool:
    """Whether a trial has come to an end of its own."""
    return result.state != "killed"


def best_first(results: Sequence[Result], goal: str) -> list[Result]:
    """Return the completed trials, the best first."""
    complete = [result for result in results if result.state == "complete" and result.value is not None]
    return sorted(complete, key=lambda result: (result.value or 0.0) * (-1 if goal == "max" else 1))


def log_path(folder: Path, trial: int) -> Path:
    """Return the file that gets what a trial writes to stdout and stderr."""
    return folder / TRIALS_FOLDER / f"{trial}.log"


def last_line(folder: Path, trial: int) -> str:
    """Return the last line that a trial has written."""
    try:
        with log_path(folder, trial).open("rb") as file:
            file.seek(max(0, file.seek(0, 2) - MAX_LOG_BYTES))
            lines = file.read().decode("utf-8", "replace").split("\n")
    except OSError:
        return ""
    return next((line.strip().removeprefix("Error: ") for line in reversed(lines) if line.strip()), "")


def runs_of(folder: Path, trial: int) -> list[Path]:
    """Return the directories of the runs that a trial has noted, each once."""
    try:
        lines = runs_path(folder, trial).read_text("utf-8").split("\n")
    except OSError:
        return []
    found: dict[str, Any] = {}
    for line in lines:
        try:
            found[json.loads(line)] = None
        except (ValueError, TypeError):  # half a line
            continue
    return [Path(path) for path in found if isinstance(path, str)]


def _main_run(sweep: Sweep, folder: Path, trial: int) -> RunInfo | None:
    """Return the first run of a trial with the metric, else its first run."""
    runs = [load(path) for path in runs_of(folder, trial)]
    return next((run for run in runs if sweep.metric in run.metrics), runs[0] if runs else None)
