"""Optuna as the engine of a sweep: it chooses the values of the trials, and its journal keeps them and their results.

It is imported by drivers alone, never by a trial.
"""

from __future__ import annotations

import hashlib
import warnings
from typing import TYPE_CHECKING, Any

from monitor.errors import MissingExtra
from monitor.sweeps.results import Result, Trial

try:
    import optuna
    from optuna.trial import TrialState

    from monitor.sweeps.engines.journal import SweepJournal
except ImportError as missing:
    raise MissingExtra(
        f"a sweep needs packages that are not installed ({missing.name or missing}); "
        "pip install 'training-monitor[sweep]'"
    ) from missing

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from monitor.sweeps.locks import SweepLock
    from monitor.sweeps.settings import Sweep
    from monitor.sweeps.space import Dimension

JOURNAL_FILE = "journal.log"
STATES = {TrialState.COMPLETE: "complete", TrialState.PRUNED: "pruned", TrialState.FAIL: "failed"}
ERROR, RUN = "error", "run"  # user attributes of a trial


class OptunaEngine:
    """A study of Optuna, shared by all drivers of a sweep. Whoever calls `ask` or `tell` holds the sweep's lock."""

    def __init__(self, sweep: Sweep, folder: Path | None, lock: SweepLock) -> None:
        """Open the study, and make it if there is none; without a folder, in memory. Raises `OSError`."""
        be_quiet()
        self._sweep = sweep
        self._distributions = {dimension.option: distribution(dimension) for dimension in sweep.space}
        self._journal = None if folder is None else SweepJournal(folder / JOURNAL_FILE, lock)
        with lock:
            self._study = optuna.create_study(
                storage=None if self._journal is None else optuna.storages.JournalStorage(self._journal),
                study_name=sweep.name,
                direction="maximize" if sweep.goal == "max" else "minimize",
                load_if_exists=True,
            )

    def ask(self, limit: int) -> Trial | None:
        """Return a new trial; None if there are as many as `limit`. Raises `OSError`."""
        number = len(self._study.get_trials(deepcopy=False))
        if number >= limit:
            return None
        # Each trial has a sampler of its own: one that goes on after a restart would draw the same values again.
        self._study.sampler = sampler(self._sweep, number)
        if self._journal is None:
            return self._trial(self._study.ask(self._distributions))
        with self._journal.transaction():
            return self._trial(self._study.ask(self._distributions))

    def tell(self, result: Result) -> bool:
        """Keep the result of a trial; return false if it has one already. Raises `OSError`."""
        assert self._journal is not None
        frozen = self._study.get_trials(deepcopy=False)[result.trial.number]
        if frozen.state.is_finished():
            return False
        storage, trial = self._study._storage, frozen._trial_id  # noqa: SLF001 - an `optuna.Trial` would sample again
        with self._journal.transaction():
            for name, value in ((ERROR, result.error), (RUN, result.run)):
                if value is not None:
                    storage.set_trial_user_attr(trial, name, value)
            if result.state == "complete":
                self._study.tell(frozen.number, result.value)
                return True
            if result.value is not None:
                storage.set_trial_intermediate_value(trial, result.step or 0, result.value)
            self._study.tell(frozen.number, state=TrialState.PRUNED if result.state == "pruned" else TrialState.FAIL)
        return True

    def running(self) -> list[Trial]:
        """Return the trials without a result, whoever runs them."""
        return [self._trial(trial) for trial in self._trials(TrialState.RUNNING)]

    def results(self) -> list[Result]:
        """Return the trials with a result."""
        found = []
        for trial in self._trials(*STATES):
            attributes = trial.user_attrs
            state = STATES[trial.state]
            value = trial.value if trial.values else next(iter(trial.intermediate_values.values()), None)
            found.append(Result(self._trial(trial), state, value, None, attributes.get(ERROR), attributes.get(RUN)))
        return found

    def _trials(self, *states: TrialState) -> Iterator[Any]:
        return (trial for trial in self._study.get_trials(deepcopy=False) if trial.state in states)

    def _trial(self, trial: Any) -> Trial:
        return Trial(
            trial.number, {dimension.option: trial.params[dimension.option] for dimension in self._sweep.space}
        )


def be_quiet() -> None:
    """Let Optuna print errors alone."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)


class _Grid(optuna.samplers.GridSampler):  # type: ignore[misc]
    """The grid, without its request to stop, which Optuna takes from within `optimize` alone."""

    def after_trial(self, *_: Any, **__: Any) -> None:
        """Do nothing."""


def sampler(sweep: Sweep, number: int) -> Any:
    """Return the sampler for the trial with this number."""
    digest = hashlib.sha256(f"{sweep.seed}/{number}".encode()).digest()
    seed = int.from_bytes(digest[:4], "big")
    if sweep.sampler == "grid":
        return _Grid({dimension.option: dimension.grid() or [] for dimension in sweep.space}, seed=sweep.seed)
    if sweep.sampler == "random":
        return optuna.samplers.RandomSampler(seed)
    if sweep.sampler == "qmc":  # one sequence, in which the study counts
        others = optuna.samplers.RandomSampler(seed)
        return optuna.samplers.QMCSampler(
            scramble=True,
            seed=sweep.seed,
            independent_sampler=others,
            warn_asynchronous_seeding=False,
            warn_independent_sampling=False,
        )
    return optuna.samplers.TPESampler(seed=seed, constant_liar=True)  # running trials count as bad ones


def distribution(dimension: Dimension) -> Any:
    """Return a dimension as Optuna has it."""
    if dimension.choices:
        return optuna.distributions.CategoricalDistribution(dimension.choices)
    if dimension.is_integer:
        return optuna.distributions.IntDistribution(
            int(dimension.low), int(dimension.high), log=dimension.log, step=int(dimension.step or 1)
        )
    return optuna.distributions.FloatDistribution(dimension.low, dimension.high, log=dimension.log, step=dimension.step)
