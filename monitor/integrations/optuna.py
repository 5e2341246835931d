"""Optuna: `MonitorCallback` shows a study as it goes on.

from monitor.integrations.optuna import MonitorCallback

study.optimize(objective, n_trials=100, callbacks=[MonitorCallback()])
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from monitor.integrations import common
from monitor.integrations.reported import directory_name, log_reported
from monitor.integrations.session import Session
from monitor.runs.status import RunStatus, exception_status
from monitor.sinks.registry import as_list

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Mapping
    from types import TracebackType

    from optuna.study import Study
    from optuna.trial import FrozenTrial

    from monitor.logger import Logger
    from monitor.rules.alerts import Rule, StallRule
    from monitor.sinks.base import Sink

# How a trial ends, as the status of its run.
STATUSES = {"COMPLETE": RunStatus.FINISHED, "PRUNED": RunStatus.PRUNED, "FAIL": RunStatus.FAILED}
GOALS = {"MINIMIZE": "min", "MAXIMIZE": "max"}
UNNAMED_STUDY, UNNAMED_RUN = "no-name-", "optuna"  # what Optuna calls a study without a name, and what we call its run


class MonitorCallback:
    """Log a study as one run, in which the step is the number of the trial.

    The curves are the value of each trial (`study/value`, or one for each objective under its metric name), the best so
    far (`study/best`), the parameters (`params/lr`), the `duration` in seconds, and how many trials were completed,
    pruned, and failed. A parameter that is not a number is logged as text.

    With `trials=True`, each trial is a run of its own too, `NAME-trials/trial-0007`, when it ends: its settings are the
    parameters, its curve `trial/value` is what it reported for pruning, and at the end its value. So `monitor compare`
    and TensorBoard's HPARAMS tab show one row per trial.

    Optuna does not tell its callbacks when a study ends: use the callback in a `with` statement, call `close`, or let
    the end of the program end the run. Trials that end later continue it.
    """

    def __init__(
        self,
        logger: Logger | None = None,
        *,
        name: str | None = None,
        logdir: str | os.PathLike[str] = "runs",
        sinks: Iterable[str | Sink] | None = None,
        alerts: Iterable[str | Rule | StallRule] = (),
        trials: bool = False,
    ) -> None:
        """Log to `logger`, which the caller closes, or else to a new run `logdir/name`.

        The run starts when the first trial ends. Nothing is written before.

        Args:
            logger: a logger of the caller's own.
            name: the run's name; by default that of the study, or `optuna`.
            logdir: the folder of the runs.
            sinks: as in `Logger`; by default TensorBoard, and those in `MONITOR_SINKS`.
            alerts: as in `Logger`.
            trials: whether each trial is a run of its own too. These go to the sinks that are given as text.

        Raises:
            TypeError, SpecError, MissingExtra, AlertError: as in `Logger`.
        """
        sinks = as_list(sinks)
        self._session = Session(logger, name=name, default=UNNAMED_RUN, logdir=logdir, sinks=sinks, alerts=alerts)
        self._logdir, self._sinks = logdir, sinks
        self._trials = trials
        self._counts = dict.fromkeys(STATUSES, 0)
        self._lock = threading.Lock()  # with `n_jobs`, several threads run trials

    def __call__(self, study: Study, trial: FrozenTrial) -> None:
        """Log a trial that ended. Blocks only to open or close a run. Raises `OSError` if a run cannot be written."""
        with self._lock:
            self._begin(study)
            logger = self._session.logger
            if not any(self._counts.values()):
                define_goals(logger, study)
            self._counts[trial.state.name] = self._counts.get(trial.state.name, 0) + 1
            counts = {f"trials/{state.lower()}": count for state, count in self._counts.items()}
        values = values_of(study, trial)
        points = {f"study/{name}": value for name, value in values.items()}
        parameters = {f"params/{name}": value for name, value in trial.params.items()}
        if trial.duration is not None:
            points["duration"] = trial.duration.total_seconds()
        log_reported(logger, points | best_of(study) | counts | parameters, trial.number)
        if self._trials:
            self._log_run(logger.run.name, study, trial, values)
        if logger.should_stop:
            study.stop()

    def __enter__(self) -> MonitorCallback:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        status, error = (RunStatus.FINISHED, None) if kind is None else exception_status(kind, value)
        self.close(status, error)

    def close(self, status: str = "finished", error: str | None = None) -> None:
        """End the run, unless the logger is the caller's. Blocks, and raises, as `Logger.close` does."""
        self._session.end(status, error)

    def _begin(self, study: Study) -> None:
        """Add the settings of the study, before the run is opened with its name."""
        if self._session.path is None:
            name = run_name(study)
            self._session.suggest(name, is_chosen=name != UNNAMED_RUN)
        if not any(self._counts.values()):
            self._session.add_config(settings(study))

    def _log_run(self, parent: str, study: Study, trial: FrozenTrial, values: Mapping[str, float]) -> None:
        """Write a trial as a run of its own."""
        specs = common.default_sinks() if self._sinks is None else [s for s in self._sinks if isinstance(s, str)]
        logger = common.open_logger(
            None,
            name=f"{parent}-trials/trial-{trial.number:04}",
            logdir=self._logdir,
            sinks=specs,
            config={**trial.params, **trial.user_attrs},
        )
        define_goals(logger, study)
        for step, value in sorted(trial.intermediate_values.items()):
            logger.scalar("trial/value", value, step)
        last = max(trial.intermediate_values, default=0)
        logger.scalars({f"study/{name}": value for name, value in values.items()}, last)
        logger.close(status=STATUSES.get(trial.state.name, RunStatus.FINISHED))


def values_of(study: Study, trial: FrozenTrial) -> dict[str, float]:
    """Return the values of the objectives, by name; nothing if the trial was pruned or failed."""
    values = trial.values or [] if trial.state.name == "COMPLETE" else []
    return dict(zip(names_of(study), values))


def names_of(study: Study) -> list[str]:
    """Return the names of the objectives."""
    count = len(study.directions)
    return study.metric_names or (["value"] if count == 1 else [f"value_{i}" for i in range(count)])


def define_goals(logger: Logger, study: Study) -> None:
    """Say whether each objective should be low or high."""
    for name, direction in zip(names_of(study), study.directions):
        if direction.name in GOALS:
            logger.define(f"study/{name}", goal=GOALS[direction.name])
            if len(study.directions) == 1:
                logger.define("study/best", goal=GOALS[direction.name])
                logger.define("trial/value", goal=GOALS[direction.name])


def best_of(study: Study) -> dict[str, float]:
    """Return the best value so far, if there is one objective and a trial with a value."""
    if len(study.directions) > 1:
        return {}
    try:
        return {"study/best": study.best_value}
    except ValueError:  # no trial is completed, or none keeps the constraints
        return {}


def run_name(study: Study) -> str:
    """Return the name of a study that somebody named, else `optuna`."""
    name = directory_name(study.study_name)
    return name if name and not name.startswith(UNNAMED_STUDY) else UNNAMED_RUN


def settings(study: Study) -> dict[str, Any]:
    """Return what a study is made of."""
    return {
        "study": study.study_name,
        "directions": [direction.name.lower() for direction in study.directions],
        "sampler": type(study.sampler).__name__,
        "pruner": type(study.pruner).__name__,
        **study.user_attrs,
    }
