"""The log calls off the fast path, and what all log calls cost."""

from __future__ import annotations

import sys
from time import perf_counter
from typing import TYPE_CHECKING, Any

from monitor.capture.pending import PendingRecord

if TYPE_CHECKING:
    from collections.abc import Callable, Sized


class MeasuredCalls:
    """Passes entries on, and measures how long that takes."""

    def __init__(self, put: Callable[[Any], None]) -> None:
        """Pass entries, as `Pipeline.inbox` takes them, to `put`."""
        self._put = put
        self._inbox: Sized = ()  # where `put` appends to, if it is bounded
        self._limit = 0  # its entries; beyond, `_hold` is called with the new one
        self._hold: Callable[[Any], None] = put
        self._note_array: Callable[[int], None] = _ignore_array  # gets the bytes of each array in the inbox
        self._tags: set[str] = set()  # the tags that were checked before
        self._tensor_type: Any = None  # `torch.Tensor`, once the program has imported torch
        self._sampling = False
        self._sampled_calls = self._slow_calls = self._slow_tuples = 0
        self._sampled_seconds = self._slow_seconds = 0.0

    def _measure(self, call: Any, *arguments: Any) -> None:
        """Make a call off the fast path, all or nothing, and record how long it took."""
        started = perf_counter()
        if self._tensor_type is None:
            self._tensor_type = getattr(sys.modules.get("torch"), "Tensor", None)
        for entry in call(self._tags, *arguments):
            self._put(entry)
            if len(self._inbox) > self._limit:
                self._hold(entry)
            if isinstance(entry, PendingRecord):
                self._note_array(entry.nbytes)
            self._slow_tuples += type(entry) is tuple
        self._slow_seconds += perf_counter() - started
        self._slow_calls += 1

    def _sample(self, call: Any, *arguments: Any) -> None:
        """Measure one call of the fast path. It stands for the others, because timing each would double their cost."""
        self._sampling = False
        started = perf_counter()
        call(*arguments)
        self._sampled_seconds += perf_counter() - started
        self._sampled_calls += 1

    def _tick(self) -> None:
        """Measure the next call of the fast path."""
        self._sampling = True

    def _cost(self, tuples: int) -> tuple[int, float]:
        """Return the number of calls and the seconds they took; `tuples` counts the tuples in the inbox so far."""
        fast_calls = tuples - self._slow_tuples
        seconds = self._slow_seconds
        if self._sampled_calls:
            seconds += fast_calls * self._sampled_seconds / self._sampled_calls
        return fast_calls + self._slow_calls, seconds


def _ignore_array(_nbytes: int) -> None:
    """Take no notice of an array."""
