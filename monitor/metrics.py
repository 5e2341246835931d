"""Which metrics should be low or high, and the last and best value of each."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from functools import lru_cache
from math import isfinite
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

LOWER_IS_BETTER = re.compile(
    r"loss|err(?:or)?|cost|perplexity|ppl|nll|mse|mae|rmse|distance|wer|cer|fid", re.IGNORECASE
)
HIGHER_IS_BETTER = re.compile(
    r"acc|f1|auc|auroc|precision|recall|iou|dice|bleu|rouge|map|r2|score|reward|return", re.IGNORECASE
)
# Held-out data comes first.
SPLIT_ORDER = {"train": 2, "training": 2, "val": 1, "valid": 1, "validation": 1, "test": 0, "eval": 0}
BEST_SUFFIX = "/best"  # behind a metric's tag, for its best value so far: TensorBoard sorts it right behind the metric
BEST_PREFIX = "best/"  # before it where a name does not tell that it has one; in old event files, before all of them
GOALS = ("min", "max")
MAX_METRICS = 200  # per run; further metrics are not summarized
MAX_TAG_CHARS = 2000  # of a metric that is summarized, so that `run.json` stays small
SYSTEM_PREFIX = "system/"  # before the tags of system metrics, whose step is in seconds
TIMELINE_PREFIX = "timeline/"  # before the tags of what is counted about predictions of the same samples
TIMELINE_KEY = b"training-monitor timeline"  # of the chunk of a PNG file that holds one
CONFUSION_KEY = b"training-monitor confusion"  # of the one that holds the counts of a confusion matrix
NORMS = ("norm/weights", "norm/gradients")  # what `Logger.watch` logs: the norm of all, and below it of each parameter
_BACKGROUND = (SYSTEM_PREFIX, TIMELINE_PREFIX, *(f"{norm}/" for norm in NORMS))
_WORD_SEPARATORS = re.compile(r"[^a-z0-9]+")


@lru_cache(1024)
def goal(tag: str) -> str | None:
    """Return `"min"` or `"max"` for a metric that should be low or high, judged by its name; None if that is unknown.

    The last part of the tag decides, such as `accuracy` in `test/accuracy`; if that is a split, the part before it, as
    in `Accuracy/test`. What scikit-learn calls `neg_log_loss` and the like should be high.
    """
    words = [word for word in _WORD_SEPARATORS.split(split_of(tag)[1].rpartition("/")[2].lower()) if word]
    for pattern, direction in ((LOWER_IS_BETTER, "min"), (HIGHER_IS_BETTER, "max")):
        if any(pattern.fullmatch(word) or (len(word) > 5 and pattern.search(word)) for word in words):
            return "max" if words[0] == "neg" else direction
    if any(word in ("acc", "accuracy", "top1", "top5") for word in words):
        return "max"
    return None


def split_of(tag: str) -> tuple[str, str]:
    """Return the split and the metric of a tag: `test` and `loss` for both `test/loss` and `loss/test`.

    For a tag without a split, they are what comes before the last `/`, and the last part.
    """
    before, _, last = tag.rpartition("/")
    if before and before not in SPLIT_ORDER and last in SPLIT_ORDER:
        return last, before
    return before, last


def sort_key(tag: str) -> tuple[int, str, str]:
    """Return a sort key that puts test metrics first and training metrics last."""
    split, name = split_of(tag)
    return SPLIT_ORDER.get(split, 3), name, tag


def is_system(tag: str) -> bool:
    """Tell whether a curve shows the machine, not the training; its step is in seconds."""
    return tag.startswith(SYSTEM_PREFIX)


def is_background(tag: str) -> bool:
    """Tell whether a curve is recorded beside the metrics, and is none: nothing is summarized or compared by it."""
    return tag.startswith(_BACKGROUND) or tag in NORMS


def is_held_out(tag: str) -> bool:
    """Tell whether a metric is measured on data that is not trained on."""
    return SPLIT_ORDER.get(split_of(tag)[0], 9) < 2


def is_best_value(tag: str) -> bool:
    """Tell whether a tag is one under which the TensorBoard sink writes the best value of a metric so far."""
    if tag.startswith(BEST_PREFIX):
        return True
    return tag.endswith(BEST_SUFFIX) and _has_best_by_name(tag.removesuffix(BEST_SUFFIX))


def best_tag(tag: str) -> str:
    """Return the tag under which the TensorBoard sink writes the best value of a metric so far."""
    return tag + BEST_SUFFIX if _has_best_by_name(tag) else BEST_PREFIX + tag


class Definition(NamedTuple):
    """What a program says about a metric.

    Attributes:
        metric: its tag, or a pattern such as `val/*`.
        goal: `"min"` or `"max"`.
    """

    metric: str
    goal: str


class Goals:
    """Which metrics should be low or high: as the program defines it, and otherwise as their names tell.

    Any thread may ask while another one defines.

    Attributes:
        defined: the goals by tag or pattern, the latest last. It is replaced as a whole.
    """

    def __init__(self, defined: Mapping[str, str] | None = None) -> None:
        self.defined: dict[str, str] = dict(defined or {})

    def define(self, definition: Definition) -> None:
        """Set the goal of a metric, or of all whose tags match a pattern."""
        metric, goal = definition
        self.defined = {name: other for name, other in self.defined.items() if name != metric} | {metric: goal}

    def defined_for(self, tag: str) -> str | None:
        """Return the goal that was defined for a tag, or by the latest pattern that matches it; or None."""
        defined = self.defined
        if not defined or tag in defined:
            return defined.get(tag)
        return next((defined[pattern] for pattern in reversed(defined) if fnmatchcase(tag, pattern)), None)

    def of(self, tag: str) -> str | None:
        """Return the goal of a metric, `"min"` or `"max"`; None if it is neither defined nor known by name."""
        return self.defined_for(tag) or goal(tag)


class MetricSummary:
    """The last value of each metric, and the best value of those with a goal.

    Attributes:
        goals: tells which of a metric's values is the best. What is defined later counts for earlier values too.
        step: the highest step; None before the first value.
    """

    def __init__(self, goals: Goals | None = None) -> None:
        self.goals = goals or Goals()
        self.step: int | None = None
        self._last: dict[str, tuple[float, int]] = {}
        self._lowest: dict[str, tuple[float, int]] = {}  # finite values
        self._highest: dict[str, tuple[float, int]] = {}

    def add(self, tag: str, value: float, step: int) -> None:
        """Take in a point. Of equal values the first is the best; NaN and infinity never are."""
        if is_background(tag):
            self._advance(tag, step)
            return
        if not self._has_room(tag):
            return
        self._last[tag] = value, step
        self._advance(tag, step)
        if isfinite(value):
            if tag not in self._lowest or value < self._lowest[tag][0]:
                self._lowest[tag] = value, step
            if tag not in self._highest or value > self._highest[tag][0]:
                self._highest[tag] = value, step

    def extend(self, tag: str, steps: NDArray[np.int64], values: NDArray[np.float64]) -> NDArray[np.intp]:
        """Take in points of one metric, as `add` does; return which of them were better than all before."""
        import numpy as np

        none = np.zeros(0, np.intp)
        if not len(values):
            return none
        if is_background(tag):
            self._advance(tag, int(steps.max()))
            return none
        if not self._has_room(tag):
            return none
        self._last[tag] = float(values[-1]), int(steps[-1])
        self._advance(tag, int(steps.max()))
        places = np.flatnonzero(np.isfinite(values))
        if not len(places):
            return places
        finite = values[places]
        improved = places[:0]
        goal = self.goals.of(tag)
        if goal is not None:
            sign, best = (1 if goal == "min" else -1), self.best(tag)
            costs = np.concatenate([[np.inf if best is None else best[0] * sign], finite * sign])
            improved = places[np.flatnonzero(costs[1:] < np.minimum.accumulate(costs[:-1]))]
        for extremes, place, sign in ((self._lowest, finite.argmin(), 1), (self._highest, finite.argmax(), -1)):
            if tag not in extremes or finite[place] * sign < extremes[tag][0] * sign:
                extremes[tag] = float(finite[place]), int(steps[places[place]])
        return improved

    def best(self, tag: str) -> tuple[float, int] | None:
        """Return the best value of a metric and its step, or None."""
        extremes = {"min": self._lowest, "max": self._highest}.get(self.goals.of(tag) or "", {})
        return extremes.get(tag)

    def last(self, tag: str) -> tuple[float, int] | None:
        """Return the last value of a metric and its step, or None."""
        return self._last.get(tag)

    def summary(self) -> dict[str, dict[str, Any]]:
        """Return last and best values by tag, in the form that `run.json` holds."""
        entries: dict[str, dict[str, Any]] = {}
        for tag, (value, step) in self._last.items():
            entries[tag] = {"last": value, "step": step}
            best = self.best(tag)
            if best is not None:
                entries[tag] |= {"best": best[0], "best_step": best[1], "goal": self.goals.of(tag)}
        return entries

    def _advance(self, tag: str, step: int) -> None:
        """Note the step of a curve, unless it counts something else."""
        if (self.step is None or step > self.step) and not is_system(tag):
            self.step = step

    def _has_room(self, tag: str) -> bool:
        """Tell whether a metric is summarized; further ones are not if there are too many, nor endless tags."""
        return tag in self._last or (len(self._last) < MAX_METRICS and len(tag) <= MAX_TAG_CHARS)


def _has_best_by_name(tag: str) -> bool:
    """Tell whether the best value of a metric is written without a definition: it is of held-out data."""
    return is_held_out(tag) and goal(tag) is not None
