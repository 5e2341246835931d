"""Which metrics should be low or high, and the last and best value of each."""

from __future__ import annotations

import re
from functools import lru_cache
from math import isfinite
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

LOWER_IS_BETTER = re.compile(r"loss|err|cost|perplexity|ppl|nll|mse|mae|rmse|distance|wer|cer|fid", re.IGNORECASE)
HIGHER_IS_BETTER = re.compile(
    r"acc|f1|auc|auroc|precision|recall|iou|dice|bleu|rouge|map|r2|score|reward|return", re.IGNORECASE
)
# Held-out data comes first.
SPLIT_ORDER = {"train": 2, "training": 2, "val": 1, "valid": 1, "validation": 1, "test": 0, "eval": 0}
BEST_SUFFIX = "/best"  # behind a metric's tag, for its best value so far: TensorBoard sorts it right behind the metric
OLD_BEST_PREFIX = "best/"  # what it was before; old event files have it
MAX_METRICS = 200  # per run; further metrics are not summarized
_WORD_SEPARATORS = re.compile(r"[^a-z0-9]+")


@lru_cache(1024)
def goal(tag: str) -> str | None:
    """Return `"min"` or `"max"` for a metric that should be low or high, judged by its name; None if that is unknown.

    The last part of the tag decides, such as `accuracy` in `test/accuracy`.
    """
    words = [word for word in _WORD_SEPARATORS.split(tag.rpartition("/")[2].lower()) if word]
    for pattern, direction in ((LOWER_IS_BETTER, "min"), (HIGHER_IS_BETTER, "max")):
        if any(pattern.fullmatch(word) or (len(word) > 5 and pattern.search(word)) for word in words):
            return direction
    if any(word in ("acc", "accuracy", "top1", "top5") for word in words):
        return "max"
    return None


def sort_key(tag: str) -> tuple[int, str, str]:
    """Return a sort key that puts test metrics first and training metrics last."""
    split, _, name = tag.rpartition("/")
    return SPLIT_ORDER.get(split, 3), name, tag


def is_held_out(tag: str) -> bool:
    """Tell whether a metric is measured on data that is not trained on."""
    return SPLIT_ORDER.get(tag.rpartition("/")[0], 9) < 2


def is_best_value(tag: str) -> bool:
    """Tell whether a tag is one under which the TensorBoard sink writes the best value of a metric so far."""
    if tag.startswith(OLD_BEST_PREFIX):
        return True
    return tag.endswith(BEST_SUFFIX) and has_best(tag.removesuffix(BEST_SUFFIX))


def has_best(tag: str) -> bool:
    """Tell whether the best value of a metric is written, as of those of held-out data."""
    return is_held_out(tag) and goal(tag) is not None


class MetricSummary:
    """The last value of each metric, and the best value of those with a goal."""

    def __init__(self) -> None:
        self._last: dict[str, tuple[float, int]] = {}
        self._best: dict[str, tuple[float, int]] = {}
        self._signs: dict[str, int] = {}  # by tag: 1 if lower is better, -1 if higher is, 0 if unknown
        self.step: int | None = None  # the highest

    def add(self, tag: str, value: float, step: int) -> None:
        """Take in a point. Of equal values the first is the best; NaN and infinity never are."""
        sign = self._sign(tag)
        if sign is None:
            return
        self._last[tag] = value, step
        if self.step is None or step > self.step:
            self.step = step
        if sign and isfinite(value):
            best = self._best.get(tag)
            if best is None or (value - best[0]) * sign < 0:
                self._best[tag] = value, step

    def extend(self, tag: str, steps: NDArray[np.int64], values: NDArray[np.float64]) -> NDArray[np.intp]:
        """Take in points of one metric, as `add` does; return which of them were better than all before."""
        import numpy as np

        none = np.zeros(0, np.intp)
        sign = self._sign(tag)
        if sign is None or not len(values):
            return none
        self._last[tag] = float(values[-1]), int(steps[-1])
        highest = int(steps.max())
        if self.step is None or highest > self.step:
            self.step = highest
        if not sign:
            return none
        before = self._best[tag][0] * sign if tag in self._best else np.inf
        costs = np.where(np.isfinite(values), values * sign, np.inf)
        lowest = np.minimum.accumulate(np.concatenate([[before], costs[:-1]]))
        improved = np.flatnonzero(costs < lowest)
        if len(improved):
            last = improved[-1]
            self._best[tag] = float(values[last]), int(steps[last])
        return improved

    def best(self, tag: str) -> tuple[float, int] | None:
        """Return the best value of a metric and its step, or None."""
        return self._best.get(tag)

    def last(self, tag: str) -> tuple[float, int] | None:
        """Return the last value of a metric and its step, or None."""
        return self._last.get(tag)

    def summary(self) -> dict[str, dict[str, Any]]:
        """Return last and best values by tag, in the form that `run.json` holds."""
        entries: dict[str, dict[str, Any]] = {}
        for tag, (value, step) in self._last.items():
            entries[tag] = {"last": value, "step": step}
            if tag in self._best:
                entries[tag] |= {"best": self._best[tag][0], "best_step": self._best[tag][1], "goal": goal(tag)}
        return entries

    def _sign(self, tag: str) -> int | None:
        """Return 1 if lower is better, -1 if higher is, 0 if that is unknown; None if there are too many metrics."""
        sign = self._signs.get(tag)
        if sign is None and len(self._signs) < MAX_METRICS:
            sign = self._signs[tag] = {"min": 1, "max": -1, None: 0}[goal(tag)]
        return sign
