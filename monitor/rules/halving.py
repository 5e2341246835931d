"""The rule that prunes a run by its peers: asynchronous successive halving, with the decisions of Optuna's pruner.

Example: `test/accuracy max min_resource=1 reduction_factor=3 peers=lr-search`. At the rungs, which here are the first,
third, and ninth value of the metric, a run goes on if it is among the best third of those that have come this far.

The algorithm is ASHA (Li et al., "A System for Massively Parallel Hyperparameter Tuning", MLSys 2020) as
`optuna.pruners.SuccessiveHalvingPruner` has it: no run waits for another one, so the first ones of a rung go on if they
are the best so far.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from monitor.errors import AlertError
from monitor.metrics import GOALS
from monitor.metrics import goal as known_goal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

AUTO = "auto"
RESOURCES = ("values", "steps")
NO_RULE = "none"  # switches pruning off, also in a trial of a sweep
PRUNE_TAG = "pruned"  # of the text record
ACCEPTED = (
    "accepted: 'METRIC [max | min] [min_resource=N | auto] [reduction_factor=N] [min_early_stopping_rate=N] "
    "[bootstrap_count=N] [resource=values | steps] [peers=NAME]'"
)
_LEAST = {"min_resource": 1, "reduction_factor": 2, "min_early_stopping_rate": 0, "bootstrap_count": 0}
_MOST = 10**9
_NAME = re.compile(r"[^./\x00-\x20][^/\x00-\x20]{0,199}")


class Halving(NamedTuple):
    """The settings of successive halving; those of Optuna's pruner have its names.

    Attributes:
        min_resource: the resource at the first rung; None is Optuna's `auto`, a hundredth of what the longest finished
            run took, and nothing is pruned before one has finished.
        reduction_factor: one in so many goes on, and each rung is so many times as far as the one before.
        min_early_stopping_rate: so many rungs are left out at the beginning.
        bootstrap_count: a rung that no more than so many runs have completed, this one included, prunes them all.
        resource: what rungs count: the `values` of the metric, from 1, or the `steps` at which they are logged.
    """

    min_resource: int | None = 1
    reduction_factor: int = 4
    min_early_stopping_rate: int = 0
    bootstrap_count: int = 0
    resource: str = "values"

    def rung_at(self, base: int, rung: int) -> int:
        """Return the resource at which a rung is completed, where the first one is at `base`."""
        return int(base * self.reduction_factor ** (self.min_early_stopping_rate + rung))

    def goes_on(self, value: float, others: Sequence[float], goal: str) -> bool:
        """Tell whether a run with `value` at a rung goes on, given those of the other runs that have completed it."""
        if len(others) + 1 <= self.bootstrap_count:
            return False
        ranked = sorted([*others, value], reverse=goal == "max")
        worst = ranked[max(len(ranked) // self.reduction_factor - 1, 0)]
        return value >= worst if goal == "max" else value <= worst

    def fields(self) -> dict[str, Any]:
        """Return the settings as JSON holds them; `from_fields` reads them again."""
        return {**self._asdict(), "min_resource": AUTO if self.min_resource is None else self.min_resource}

    @classmethod
    def from_fields(cls, fields: Mapping[str, Any]) -> Halving:
        """Read settings; those that are missing have their defaults. Raises `AlertError` for one that is wrong."""
        values: dict[str, Any] = {}
        for name, value in fields.items():
            if name == "min_resource" and value == AUTO:
                values[name] = None
            elif (name in _LEAST and type(value) is int and _LEAST[name] <= value <= _MOST) or (
                name == "resource" and value in RESOURCES
            ):
                values[name] = value
            elif name in _LEAST:
                raise AlertError(f"prune: {name} must be a whole number from {_LEAST[name]}, not {value!r}; {ACCEPTED}")
            else:
                raise AlertError(f"prune: {name}={value!r} is no setting; {ACCEPTED}")
        settings = cls(**values)
        if settings.bootstrap_count and settings.min_resource is None:
            raise AlertError("prune: bootstrap_count needs a min_resource that is a number, as Optuna's pruner does")
        return settings


class PruneRule(NamedTuple):
    """A rule that prunes a run.

    Attributes:
        metric: the tag by whose values runs are compared.
        goal: `"min"` or `"max"`.
        halving: the settings.
        peers: names the runs that compete; None in a trial of a sweep, whose peers are the other trials.
    """

    metric: str
    goal: str
    halving: Halving = Halving()
    peers: str | None = None


def parse_settings(text: str) -> Halving:
    """Read settings such as `min_resource=2 reduction_factor=3`; raise `AlertError` for anything else."""
    return Halving.from_fields(_pairs(text.split(), text))


def parse_prune(text: str | PruneRule | None) -> PruneRule | None:
    """Read a rule; None stands for no rule, and so does `none`. Raises `AlertError` for text that is not one."""
    if text is None or isinstance(text, PruneRule):
        return text
    if not isinstance(text, str):
        raise TypeError(f"prune is a rule such as 'test/accuracy max peers=lr-search', not {type(text).__name__}")
    words = text.split()
    if words == [NO_RULE]:
        return None
    if not words or "=" in words[0]:
        raise AlertError(f"prune {text!r} names no metric; {ACCEPTED}")
    metric, words = words[0], words[1:]
    goal = words.pop(0) if words and words[0] in GOALS else known_goal(metric)
    if goal is None:
        raise AlertError(f"prune {text!r}: whether {metric!r} should be high or low is not known; write max or min")
    pairs = _pairs(words, text)
    peers = pairs.pop("peers", None)
    if peers is not None and not _NAME.fullmatch(str(peers)):
        raise AlertError(f"prune {text!r}: {str(peers)!r} cannot be a name of a folder")
    return PruneRule(metric, goal, Halving.from_fields(pairs), None if peers is None else str(peers))


def _pairs(words: Sequence[str], text: str) -> dict[str, Any]:
    pairs: dict[str, Any] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or name in pairs:
            raise AlertError(f"prune {text!r} is not a rule; {ACCEPTED}")
        is_number = name != "peers" and value.isascii() and value.isdecimal() and len(value) < 16
        pairs[name] = int(value) if is_number else value
    return pairs
