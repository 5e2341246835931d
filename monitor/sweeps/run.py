"""Run a sweep on this machine, with the engine that it has."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from monitor.sweeps.driver import Driver
from monitor.sweeps.engines.optuna_engine import OptunaEngine
from monitor.sweeps.locks import SweepLock
from monitor.sweeps.processes.start import TrialStarter, gpus
from monitor.sweeps.reporting import Reporter
from monitor.sweeps.results import best_first
from monitor.sweeps.settings import sweep_folder
from monitor.sweeps.setup import LOCK_FILE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from monitor.sweeps.settings import RayOptions, Sweep


class SweepEnd(NamedTuple):
    """How a sweep has ended on this machine.

    Attributes:
        status: the exit status of the command.
        problem: why it gave up, or None.
        resume: the command that goes on with it.
    """

    status: int
    problem: str | None
    resume: str


def run_sweep(
    sweep: Sweep, logdir: Path, jobs: int | None, options: RayOptions, specs: Callable[[str], Sequence[str]]
) -> SweepEnd:
    """Run trials until there are all results, print the best, and return how it ended.

    Args:
        sweep: the sweep, whose folder is there.
        logdir: where its runs go.
        jobs: trials at a time; by default, one per GPU, or one; with Ray, as many as have resources.
        options: for Ray.
        specs: returns the sinks of a run by its name.

    Blocks until then. Raises `OSError` if the folder cannot be written.
    """
    folder = sweep_folder(logdir, sweep.name)
    if sweep.engine == "ray":
        from monitor.sweeps.engines.ray_engine import run_on_ray

        reporter = Reporter(sweep, logdir)
        reporter.begin([], jobs)
        results, missing = run_on_ray(sweep, folder, logdir, jobs, options, specs, reporter)
        reporter.summary(results, missing)
        status = 130 if missing else 0 if best_first(results, sweep.goal) else 1
        if missing:
            reporter.stopped()
        return SweepEnd(status, None, reporter.how_to_resume())
    lock = SweepLock(folder / LOCK_FILE)
    jobs = jobs or len(gpus()) or 1
    starter = TrialStarter(sweep, folder, logdir, jobs, specs)
    try:
        engine = OptunaEngine(sweep, folder, lock)
        reporter = Reporter(sweep, logdir)
        driver = Driver(sweep, folder, engine, lock, starter, reporter, jobs)
        reporter.begin(engine.results(), jobs)
        driver.run()
    finally:
        starter.close()
    results = engine.results()
    reporter.summary(results, len(engine.running()))
    if driver.stopped_by is not None:
        reporter.stopped()
        return SweepEnd(128 + driver.stopped_by, None, reporter.how_to_resume())
    has_best = bool(best_first(results, sweep.goal))
    return SweepEnd(0 if has_best else 1, driver.problem, reporter.how_to_resume())
