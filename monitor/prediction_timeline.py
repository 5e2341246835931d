"""What a model predicted for the same samples at each test, and how often it forgot a sample.

A sample is learned at the first test at which its prediction is correct, and forgotten at each test at which it is not
although it was at the test before (Toneva et al. 2019, An Empirical Study of Example Forgetting during Deep Neural
Network Learning, arXiv:1812.05159).
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from monitor.metrics import TIMELINE_PREFIX
from monitor.thinning import most_redundant

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAX_TESTS = 100  # that are kept; the counts are of all tests
CURVES = ("learned", "forgotten", "never_learned")  # the counts that are curves
WRONG, RIGHT, FORGOTTEN = 0, 1, 2  # the states of a sample at a test


class PredictionTimeline(NamedTuple):
    """The tests of one tag, for N samples.

    Attributes:
        samples: identifies the pictures and the true classes of the samples, and their order.
        target: the N true classes, int64.
        names: the names of the classes; may be empty.
        steps: the steps of the T tests that are kept, int64: the first, the newest, and of the others an even thinning.
        numbers: which tests these are, counted from 0, int64.
        predicted: T×N classes, int64.
        states: T×N, uint8: whether a sample was WRONG, RIGHT, or FORGOTTEN, which is wrong after a test at which it was
            right, whether or not that one is kept.
        forgettings: how often each sample was forgotten, at all tests, int64.
        learned: whether each sample was predicted correctly at any test, bool.
        tests: how many tests there were.
    """

    samples: str
    target: NDArray[np.int64]
    names: tuple[str, ...]
    steps: NDArray[np.int64]
    numbers: NDArray[np.int64]
    predicted: NDArray[np.int64]
    states: NDArray[np.uint8]
    forgettings: NDArray[np.int64]
    learned: NDArray[np.bool_]
    tests: int

    @property
    def step(self) -> int:
        """The step of the newest test."""
        return int(self.steps[-1])

    def with_test(self, step: int, predicted: NDArray[np.int64], names: tuple[str, ...]) -> PredictionTimeline:
        """Return the timeline with one more test of the same samples, at a later step."""
        correct = predicted == self.target
        forgotten = ~correct & (self.states[-1] == RIGHT)
        states = np.where(forgotten, FORGOTTEN, correct).astype(np.uint8)
        numbers = np.append(self.numbers, self.tests)
        kept = np.arange(len(numbers))
        while len(kept) > MAX_TESTS:
            kept = np.delete(kept, most_redundant(numbers[kept].tolist()))
        return self._replace(
            names=names,
            steps=np.append(self.steps, step)[kept],
            numbers=numbers[kept],
            predicted=np.vstack([self.predicted, predicted])[kept],
            states=np.vstack([self.states, states])[kept],
            forgettings=self.forgettings + forgotten,
            learned=self.learned | correct,
            tests=self.tests + 1,
        )

    def counts(self) -> dict[str, int]:
        """Return what `run.json` holds: the step, and the numbers of tests, samples, and forgetting events."""
        return {
            "step": self.step,
            "tests": self.tests,
            "samples": len(self.target),
            "learned": int(self.learned.sum()),
            "forgotten": int((self.forgettings > 0).sum()),
            "never_learned": int((~self.learned).sum()),
            "forgetting_events": int(self.forgettings.sum()),
        }

    def order(self) -> list[int]:
        """Return the samples, those that were forgotten most often first, then those that were wrong most often."""
        wrong = (self.states != RIGHT).sum(axis=0)
        return np.lexsort((np.arange(len(wrong)), -wrong, -self.forgettings)).tolist()  # type: ignore[no-any-return]

    def label(self, index: int) -> str:
        """Return the name of class `index`, or its number if it has no name."""
        return self.names[index] if 0 <= index < len(self.names) else str(index)


def first_test(
    samples: str, step: int, predicted: NDArray[np.int64], target: NDArray[np.int64], names: tuple[str, ...]
) -> PredictionTimeline:
    """Return a timeline of one test; `samples` is what `identity` returns."""
    correct = predicted == target
    return PredictionTimeline(
        samples,
        target,
        names,
        np.array([step], np.int64),
        np.zeros(1, np.int64),
        predicted[None],
        correct[None].astype(np.uint8),
        np.zeros(len(correct), np.int64),
        correct,
        1,
    )


def identity(images: NDArray[np.uint8], target: NDArray[np.int64]) -> str:
    """Return what is the same for the same pictures with the same true classes in the same order, and for no others."""
    digest = hashlib.blake2b(repr(images.shape).encode(), digest_size=16)
    digest.update(np.ascontiguousarray(images).data)
    digest.update(np.ascontiguousarray(target, np.int64).data)
    return digest.hexdigest()


def timeline_tag(tag: str) -> str:
    """Return the tag of the timeline of predictions; that of a curve has the name of the count behind it."""
    return TIMELINE_PREFIX + tag
