"""Ray Tune and Ray Train: `MonitorLoggerCallback` and `MonitorTrainCallback`.

    Tuner(…, run_config=tune.RunConfig(callbacks=[MonitorLoggerCallback()]))
    TorchTrainer(…, run_config=train.RunConfig(callbacks=[MonitorTrainCallback()]))

Both can be named in the environment instead, so that the script stays as it is:

    RAY_TUNE_CALLBACKS=monitor.integrations.ray.MonitorLoggerCallback
    RAY_TRAIN_CALLBACKS=monitor.integrations.ray.MonitorTrainCallback
"""

from __future__ import annotations

import logging
import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ray import cloudpickle
from ray.train.v2._internal.execution.callback import ControllerCallback, ReportCallback
from ray.tune.logger import LoggerCallback
from ray.tune.result import AUTO_RESULT_KEYS

from monitor.integrations import common
from monitor.integrations.reported import log_reported
from monitor.integrations.writer.summary_writer import SummaryWriter
from monitor.rules.alerts import parse_rules
from monitor.runs.scripts.script_session import alerts_from_environment
from monitor.runs.status import RunStatus, exception_status
from monitor.sinks import registry

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from monitor.logger import Logger
    from monitor.rules.alerts import Rule, StallRule

log = logging.getLogger("monitor")

NOT_MEASURED = {*AUTO_RESULT_KEYS, "done", "should_checkpoint", "trial_id", "experiment_tag"}  # what Ray Tune adds
STEP_NAMES = ("global_step", "step")  # of what a training with Ray Train may report for the x axis
TRAINING = "training"  # the key of the one run of Ray Train
UNFINISHED = "the experiment ended before the trial"


class _OpensRuns:
    """Open the runs of a callback. It is pickled with the callback, so it holds the specs of sinks, and no sinks."""

    def __init__(
        self,
        *,
        name: str | None = None,
        logdir: str | os.PathLike[str] = common.LOGDIR,
        sinks: Iterable[str] | None = None,
        alerts: Iterable[str | Rule | StallRule] = (),
    ) -> None:
        """Say where the runs go.

        Args:
            name: the run's name, or the folder of the trials' runs in `logdir`; by default that of Ray's `RunConfig`.
            logdir: the folder of the runs, on the machine that starts Ray's. Under `monitor run`, runs without a name
                or folder are where that says.
            sinks: specs, as in `Logger`; by default TensorBoard, and those in `MONITOR_SINKS`.
            alerts: as in `Logger`, for each run.

        Raises:
            TypeError: if a sink is not a spec.
            SpecError, MissingExtra, AlertError: as in `Logger`.
        """
        super().__init__()
        self._name, folder = common.place(name, logdir)
        self._logdir = folder.absolute()  # Ray Train logs from another process
        self._sinks = common.default_sinks() if sinks is None else registry.as_list(sinks) or []
        self._alerts = parse_rules(alerts) or parse_rules(alerts_from_environment())
        for sink in self._sinks:
            if not isinstance(sink, str):
                raise TypeError(
                    f"a sink must be a spec such as 'visdom' here, because each run has its own, not {sink!r}"
                )
        registry.make_all(self._sinks)
        self._loggers: dict[str, Logger] = {}  # of the open runs, by the trial's id

    def _open(self, key: str, name: str, config: Mapping[str, Any]) -> None:
        self._loggers[key] = common.open_logger(
            None, name=name, logdir=self._logdir, sinks=self._sinks, config=config, alerts=self._alerts
        )

    def _close(self, key: str, status: RunStatus, error: str | None) -> None:
        logger = self._loggers.pop(key, None)
        if logger is not None:
            logger.close(status=status, error=error)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_loggers": {}}


class MonitorLoggerCallback(_OpensRuns, LoggerCallback):  # type: ignore[misc]  # Ray's types are not checked here
    """Log the trials of Ray Tune, each as a run `logdir/EXPERIMENT/TRIAL`, from the process that drives the experiment.

    Tags are the names that the trial reports; nested ones are joined by a `/`. The step is `timesteps_total` if the
    trial reports it, else the training iteration. The settings are the trial's. What Ray adds to each result, such as
    the host's name, is left out. A run ends with its trial.
    """

    def log_trial_start(self, trial: Any) -> None:
        """Start the run of a trial, unless it has been started: a paused trial goes on in its run."""
        if trial.trial_id not in self._loggers:
            folder = self._name or trial.storage.experiment_dir_name
            self._open(trial.trial_id, f"{folder}/{trial}", trial.config)

    def log_trial_result(self, iteration: int, trial: Any, result: Mapping[str, Any]) -> None:
        """Log what a trial reported. Does not block."""
        self.log_trial_start(trial)
        step = result.get("timesteps_total") or result["training_iteration"]
        reported = {name: value for name, value in result.items() if name not in NOT_MEASURED}
        log_reported(self._loggers[trial.trial_id], reported, step)

    def log_trial_end(self, trial: Any, failed: bool = False) -> None:
        """End the run of a trial. Blocks as `Logger.close` does."""
        status, error = RunStatus.FINISHED, None
        if failed:
            status, error = RunStatus.FAILED, _one_line(_error_of(trial))
        self._close(trial.trial_id, status, error)

    def on_experiment_end(self, trials: Sequence[Any], **info: Any) -> None:
        """End the runs of trials that an interrupted experiment left unfinished."""
        for trial_id in list(self._loggers):
            self._close(trial_id, RunStatus.INTERRUPTED, UNFINISHED)


class MonitorTrainCallback(_OpensRuns, ReportCallback, ControllerCallback):  # type: ignore[misc]
    """Log a training with Ray Train as a run `logdir/NAME`, from the process that controls the training.

    What rank 0 reports with `ray.train.report` is logged; nested names are joined by a `/`. The step is `global_step`
    or `step` if one of them is reported, else the number of reports before. The settings are `train_loop_config`.

    `ray.train.UserCallback` is not told when a training ends, so that a run could not end with its true status. This
    callback uses the interface underneath, which Ray accepts in the same places.
    """

    _reports = 0

    def after_controller_start(self, train_run_context: Any) -> None:
        """Start the run."""
        name = self._name or train_run_context.run_config.name or "ray-train"
        self._open(TRAINING, name, train_run_context.train_loop_config or {})

    def after_report(self, training_report: Any, metrics: Sequence[Mapping[str, Any]]) -> None:
        """Log what rank 0 reported. Does not block."""
        logger = self._loggers.get(TRAINING)
        if logger is None or not metrics:
            return
        reported = dict(metrics[0])
        steps = [reported.get(name) for name in STEP_NAMES]
        step = next((step for step in steps if isinstance(step, int)), self._reports)
        log_reported(logger, reported, step)
        self._reports += 1

    def after_controller_finish(self, result: Any) -> None:
        """End the run. Blocks as `Logger.close` does."""
        if result.error is None:
            self._close(TRAINING, RunStatus.FINISHED, None)
            return
        failures = getattr(result.error, "worker_failures", None) or {}
        self._close(TRAINING, RunStatus.FAILED, _one_line(next(iter(failures.values()), result.error)))

    def before_controller_abort(self) -> None:
        """End the run of a training that Ctrl-C interrupted."""
        self._close(TRAINING, RunStatus.INTERRUPTED, "KeyboardInterrupt")


def _error_of(trial: Any) -> Any:
    """Return the exception that a trial failed with, which Tune has just written to the trial's folder; else None."""
    if not trial.run_metadata.pickled_error_filename:
        return None
    try:
        with Path(trial.pickled_error_file).open("rb") as file:
            return cloudpickle.load(file)
    except Exception as error:  # whatever loading an exception of a class of the user's raises
        log.warning("the error of %s cannot be read: %s", trial, error)
        return None


def _one_line(error: BaseException | None) -> str | None:
    """Return an exception of a worker as one line, without the traceback that Ray puts into it."""
    cause = getattr(error, "cause", None) or error
    return None if cause is None else exception_status(type(cause), cause)[1]


def register() -> None:
    """Let Ray Train find our callback in the environment, unless another one is there. For `monitor run`."""
    os.environ.setdefault("RAY_TRAIN_CALLBACKS", f"{__name__}.{MonitorTrainCallback.__name__}")


def tell_endings() -> None:
    """Let the runs of Ray Tune's own TensorBoard callback end as its trials do. For `monitor run`.

    That callback closes a trial's writer in the same way however the trial has ended, and not at all when Ctrl-C ends
    the experiment, after which Ray copies no more results.
    """
    from ray.tune.logger.tensorboardx import TBXLoggerCallback

    end = TBXLoggerCallback.log_trial_end

    def log_trial_end(self: Any, trial: Any, failed: bool = False) -> None:
        if failed:
            _end_writer_as(self._trial_writer.get(trial), RunStatus.FAILED, _one_line(_error_of(trial)))
        end(self, trial, failed)

    def on_experiment_end(self: Any, trials: Sequence[Any], **_info: Any) -> None:
        unfinished = list(self._trial_writer)
        for trial in unfinished:
            _end_writer_as(self._trial_writer[trial], RunStatus.INTERRUPTED, UNFINISHED)
            end(self, trial)
        if unfinished:
            storage = trials[0].storage
            storage.syncer.sync_up(storage.experiment_driver_staging_path, storage.experiment_fs_path)
            storage.syncer.wait()

    TBXLoggerCallback.log_trial_end, TBXLoggerCallback.on_experiment_end = log_trial_end, on_experiment_end


def _end_writer_as(writer: Any, status: RunStatus, error: str | None) -> None:
    """Give the run of a writer this end when it is closed."""
    if isinstance(writer, SummaryWriter):
        writer.close = partial(writer._close, status, error)  # type: ignore[method-assign]  # noqa: SLF001
