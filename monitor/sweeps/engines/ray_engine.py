"""Ray Tune as the engine of a sweep: it places the trials on the nodes of a cluster, and ends the bad ones early.

Optuna chooses the values here too, except for a grid. All nodes share the log directory.
"""

from __future__ import annotations

import logging
import os
import signal
import time
import warnings
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from monitor.errors import DataError, MissingExtra
from monitor.runs.resume import record_end
from monitor.runs.run_file import read_run_file
from monitor.runs.status import RunStatus
from monitor.sweeps.claims import Claim
from monitor.sweeps.engines.optuna_engine import be_quiet, distribution, sampler
from monitor.sweeps.results import Result, is_ended, result_of, runs_of

try:
    import ray
    from ray import tune
    from ray.tune.schedulers import ASHAScheduler, FIFOScheduler
    from ray.tune.search.optuna import OptunaSearch

    from monitor.sweeps.engines.ray_population import PopulationTrial, population_settings, remove_copies
    from monitor.sweeps.engines.ray_trial import PROCESS_KILLED, RUN_NAME, RayTrial, number_of, trial_of
except ImportError as missing:
    raise MissingExtra(
        f"--engine ray needs packages that are not installed ({missing.name or missing}); "
        "pip install 'training-monitor[ray,sweep]'"
    ) from missing

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from monitor.sweeps.reporting import Reporter
    from monitor.sweeps.settings import RayOptions, Sweep

KILLED = "its process was killed too often"
RAY_FOLDER = "ray"  # in the sweep's folder
END_TIMEOUT_S = 60.0  # for the trials that the scheduler has ended
LONG = 10**6  # values of the metric, which no trial reaches: ASHA's last rung ends trials


def run_on_ray(
    sweep: Sweep,
    folder: Path,
    logdir: Path,
    jobs: int | None,
    options: RayOptions,
    specs: Callable[[str], Sequence[str]],
    reporter: Reporter,
) -> tuple[list[Result], int]:
    """Run the sweep on a cluster, or go on with it; return the results, and how many trials have none.

    Blocks until all trials have ended. At Ctrl-C, Ray ends them, and this returns.
    """
    be_quiet()
    os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")
    logging.getLogger("ray.tune.execution.tune_controller").setLevel(logging.CRITICAL)  # the reporter says it shorter
    os.environ.setdefault("TUNE_GLOBAL_CHECKPOINT_S", "1")  # seconds, within which Ray writes down what it decides
    ray.init(address=options.address, log_to_driver=False, logging_level=logging.ERROR, include_dashboard=None)
    try:
        parameters = {
            "sweep": sweep,
            "folder": str(folder.absolute()),
            "logdir": str(logdir.absolute()),
            "specs": list(specs(RUN_NAME)),
        }
        kind = RayTrial if sweep.perturb_every is None else PopulationTrial
        trainable = tune.with_resources(
            tune.with_parameters(kind, **parameters), {"cpu": options.cpus, "gpu": options.gpus}
        )
        tuner = _tuner(sweep, folder, jobs, options, trainable, reporter)
        is_interrupted = _fit(tuner)
        trials = _trials(tuner)
    finally:
        ray.shutdown()
    _end_stopped(sweep, folder, trials, is_interrupted=is_interrupted)
    found = [_result(sweep, folder, trial) for trial in trials]
    ends = {"ERROR": "failed"} if is_interrupted else {"ERROR": "failed", "TERMINATED": "pruned"}
    results = [
        result if is_ended(result) else result._replace(state=ends[trial.status], error=_reason(trial))
        for result, trial in zip(found, trials)
        if is_ended(result) or trial.status in ends
    ]
    if sweep.perturb_every and len(results) == sweep.trials:
        remove_copies(_stored(sweep, folder))
    return results, sweep.trials - len(results)


def _stored(sweep: Sweep, folder: Path) -> Path:
    return folder.absolute() / RAY_FOLDER / sweep.name


def _tuner(
    sweep: Sweep, folder: Path, jobs: int | None, options: RayOptions, trainable: Any, reporter: Reporter
) -> Any:
    stored = _stored(sweep, folder)
    if tune.Tuner.can_restore(str(stored)):
        return tune.Tuner.restore(str(stored), trainable, resume_unfinished=True, restart_errored=True)
    space, scheduler, search = population_settings(sweep) if sweep.perturb_every else _settings(sweep, options)
    return tune.Tuner(
        trainable,
        param_space=space,
        tune_config=tune.TuneConfig(
            num_samples=1 if sweep.sampler == "grid" else sweep.trials,
            search_alg=search,
            scheduler=scheduler,
            max_concurrent_trials=jobs,
        ),
        run_config=tune.RunConfig(
            name=sweep.name,
            storage_path=str(stored.parent),
            failure_config=tune.FailureConfig(max_failures=sweep.retries),
            callbacks=[_Progress(sweep, folder, reporter)],
            verbose=0,
        ),
    )


def _settings(sweep: Sweep, options: RayOptions) -> tuple[dict[str, Any] | None, Any, Any]:
    """Return the space for Ray, if Ray draws from it, the scheduler, and what chooses the values, if Ray does not."""
    goal = {"metric": "value", "mode": sweep.goal}
    scheduler = ASHAScheduler(max_t=LONG, grace_period=1, **goal) if options.scheduler == "asha" else FIFOScheduler()
    if sweep.sampler == "grid":
        return {dimension.option: tune.grid_search(dimension.grid()) for dimension in sweep.space}, scheduler, None
    space = {dimension.option: distribution(dimension) for dimension in sweep.space}
    return None, scheduler, OptunaSearch(space, sampler=sampler(sweep, 0), **goal)


def _fit(tuner: Any) -> bool:
    """Run the trials; return whether Ctrl-C has ended them, for which Ray has a handler of its own, until then."""
    before = signal.getsignal(signal.SIGINT)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Consider boosting PBT performance")
        tuner.fit()
    return signal.signal(signal.SIGINT, before) is before


def _end_stopped(sweep: Sweep, folder: Path, trials: Sequence[Any], *, is_interrupted: bool) -> None:
    """Wait for the processes of trials that the scheduler has ended, and say so in their runs.

    Those that Ctrl-C has ended go on when the sweep does. A process is asked to end when its actor does, for which Ray
    does not wait.
    """
    deadline = time.monotonic() + END_TIMEOUT_S
    for trial in trials:
        if trial.status != "TERMINATED":
            continue
        number = number_of(folder, trial.trial_id)
        claim = Claim(folder, number)
        while not claim.try_lock() and time.monotonic() < deadline:
            time.sleep(0.1)
        claim.close()
        if not is_interrupted and not is_ended(_result(sweep, folder, trial)):
            for run in runs_of(folder, number):
                _mark_stopped(run)


def _mark_stopped(run: Path) -> None:
    with suppress(OSError, DataError):
        fields = read_run_file(run)
        if fields["status"] in (RunStatus.INTERRUPTED, RunStatus.RUNNING):
            record_end(run, fields, RunStatus.STOPPED, "stopped by Ray's scheduler")


def _result(sweep: Sweep, folder: Path, trial: Any) -> Result:
    return result_of(sweep, folder, trial_of(sweep, folder, trial.trial_id, trial.config), None)


def _reason(trial: Any) -> str | None:
    """Return why a trial has failed, in a line; None if it has not."""
    lines = [line.strip() for line in str(trial.get_error() or "").splitlines() if line.strip()]
    return None if not lines else KILLED if PROCESS_KILLED in lines[-1] else lines[-1]


def _trials(tuner: Any) -> list[Any]:
    """Return Ray's own records of the trials."""
    return list(tuner.get_results()._experiment_analysis.trials)  # noqa: SLF001 - a result does not name its trial


class _Progress(tune.Callback):  # type: ignore[misc]
    """Prints a line for each trial that ends."""

    def __init__(self, sweep: Sweep, folder: Path, reporter: Reporter) -> None:
        self._sweep, self._folder, self._reporter = sweep, folder, reporter
        self._results: list[Result] = []

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **_: Any) -> None:  # noqa: ARG002 - Ray's
        """A trial has ended, by itself or by the scheduler."""
        result = _result(self._sweep, self._folder, trial)
        if result.state == "killed":  # the scheduler is ending it
            result = result._replace(state="pruned")
        self._results.append(result)
        self._reporter.result(result, self._results)

    def on_trial_recover(self, iteration: int, trials: list[Any], trial: Any, **_: Any) -> None:  # noqa: ARG002 - Ray's
        """A trial starts again, because its process was killed, or its node is gone."""
        self._reporter.recovered(number_of(self._folder, trial.trial_id))
