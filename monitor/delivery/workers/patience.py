"""How long `close` waits for a sink: as long as it gets on, and some seconds more."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from monitor.delivery.clock import Clock

WORK_S = 0.02  # of a processor, that show that a thread works, and does not hang
WORK_FACTOR = 12  # work alone counts as progress for so many times the patience


class Patience:
    """When a sink is given up: so long after its last progress.

    On a busy machine, opening a sink or drawing a large picture may take longer than that. So a thread that has worked
    meanwhile, without getting done, is not given up, for at most twelve times as long.
    """

    def __init__(self, clock: Clock, work: Callable[[], float]) -> None:
        """Have no end; `work` says how long the sink's threads have used a processor, in seconds."""
        self._clock, self._work = clock, work
        self._seconds = self._full_seconds = float("inf")
        self._progress_time = self._work_time = clock.now()
        self._known_work = 0.0

    def begin(self, seconds: float, first: float | None = None) -> None:
        """Start to count `seconds` from now, or until the next progress `first` instead, if that is less."""
        self._full_seconds = seconds
        self._seconds = seconds if first is None else min(seconds, first)
        self._progress_time = self._work_time = self._clock.now()
        self._known_work = self._work()

    def note_progress(self) -> None:
        """Count from now on, and to the full."""
        self._seconds = self._full_seconds  # if it was failing when the close began, it is back
        self._progress_time = self._clock.now()

    def note_work(self) -> None:
        """See whether there was work since the last call."""
        work = self._work()
        if abs(work - self._known_work) >= WORK_S:
            self._known_work, self._work_time = work, self._clock.now()

    def end(self) -> float:
        """Return when to give up, on the clock."""
        work_time = min(self._work_time, self._progress_time + WORK_FACTOR * self._seconds)
        return max(self._progress_time, work_time) + self._seconds
