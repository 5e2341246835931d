"""Decide whether a run is pruned, from its values and those of its peers. It is never called on the training thread."""

from __future__ import annotations

import logging
import math
from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from monitor.rules.halving import Halving, PruneRule
from monitor.runs.trials.rungs import Rungs
from monitor.runs.trials.trial import SWEEP_SUFFIX, Trial

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

log = logging.getLogger("monitor")


class Pruned(NamedTuple):
    """That a run is pruned.

    Attributes:
        reason: a line that says why.
        step: of the value that decided it.
    """

    reason: str
    step: int


class Pruner:
    """Applies a rule to one run. Values are taken in from memory, and decided upon when there is time for I/O.

    Attributes:
        rule: the rule.
        pruned: set once the run is pruned.
    """

    def __init__(self, rule: PruneRule, rungs: Rungs) -> None:
        self.rule, self._rungs = rule, rungs
        self.pruned: Pruned | None = None
        self._waiting: deque[tuple[int, float]] = deque()
        self._values = 0  # that count: one for each step, the steps ascending
        self._last_step = -1
        self._last_value = math.nan
        self._rung: int | None = None  # the next one; None until the files were read
        self._base = rule.halving.min_resource
        self._has_warned = False

    def recall(self, step: int) -> None:
        """Count a value that an earlier process of the run has logged."""
        if step > self._last_step:
            self._values, self._last_step = self._values + 1, step

    def add(self, steps: Iterable[int], values: Iterable[float]) -> None:
        """Take in values in the order in which they were logged. Does no I/O."""
        if self.pruned is None:
            self._waiting.extend(zip(steps, values))

    def decide(self) -> Pruned | None:
        """Decide about the values taken in; return the decision if it is to prune.

        Blocks while it reads the files of the peers, at a rung alone. If that fails, it decides at the next call.
        """
        while self._waiting and self.pruned is None:
            step, value = self._waiting[0]
            try:
                self.pruned = self._decide(step, value)
            except OSError as error:
                if not self._has_warned:
                    self._has_warned = True
                    log.warning("prune: the peers cannot be read, trying again: %s", error)
                return None
            self._waiting.popleft()
            self._has_warned = False
        return self.pruned

    def finish(self) -> None:
        """Tell the peers that the run has finished, if they need to know. Blocks."""
        if self.rule.halving.min_resource is None and self._values and self.pruned is None:
            try:
                self._rungs.add_end(self._resource)
            except OSError as error:
                log.warning("prune: the peers cannot be told that this run has finished: %s", error)

    @property
    def _resource(self) -> int:
        return self._values if self.rule.halving.resource == "values" else self._last_step

    def _decide(self, step: int, value: float) -> Pruned | None:
        """Do what Optuna's pruner does after a value. Raises `OSError`; it may be called with the same value again."""
        if step > self._last_step:
            self._values, self._last_step, self._last_value = self._values + 1, step, value
        halving, goal = self.rule.halving, self.rule.goal
        if self._rung is None:
            self._rung = self._rungs.completed()
        while True:
            if self._base is None:
                self._base = self._rungs.base()
            if self._base is None or self._resource < halving.rung_at(self._base, self._rung):
                return None
            if math.isnan(self._last_value):
                return Pruned(f"{self.rule.metric} is nan at rung {self._rung}, step {self._last_step}", step)
            self._rungs.add(self._rung, self._last_value)
            others = self._rungs.others(self._rung)
            if not halving.goes_on(self._last_value, others, goal):
                return Pruned(self._reason(others), step)
            self._rung += 1

    def _reason(self, others: list[float]) -> str:
        count = len(others) + 1
        best = max(count // self.rule.halving.reduction_factor, 1)
        place = f"is not {f'among the best {best}' if best > 1 else 'the best'} of {count}"
        if count <= self.rule.halving.bootstrap_count:
            place = f"is one of the first {self.rule.halving.bootstrap_count}"
        at = f"rung {self._rung}, step {self._last_step}"
        return f"{self.rule.metric} {self._last_value:.6g} at {at} {place}"


def trial_by_hand(rule: PruneRule, directory: Path, name: str) -> Trial:
    """Return the run `name` in `directory`, whose peers the rule names, as a trial of a sweep of that name."""
    assert rule.peers is not None
    folder = directory.parent / f"{rule.peers}{SWEEP_SUFFIX}"
    return Trial(rule.peers, name, rule.metric, rule.goal, {}, folder, rule.halving.fields())


def pruner_of(trial: Trial, rule: PruneRule | None = None) -> Pruner | None:
    """Return what prunes a trial: by `rule`, or else by the rule of the sweep; None if it has none."""
    if rule is None:
        if trial.prune is None:
            return None
        rule = PruneRule(trial.metric, trial.goal, Halving.from_fields(trial.prune))
    return Pruner(rule, Rungs(trial.folder, str(trial.trial)))
