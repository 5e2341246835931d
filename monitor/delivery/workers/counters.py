"""The counters of one sink, and what its errors mean."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from monitor.errors import BadRecord, SlowDown
from monitor.stats import SinkStats

if TYPE_CHECKING:
    from collections.abc import Callable

    from monitor.delivery.clock import Clock

log = logging.getLogger("monitor")

MIN_RETRY_S, MAX_RETRY_S = 0.25, 2.0
COUNTS = SinkStats._fields[:-1]  # all but the last error
RETRY: Final = -2  # the call has to be made again
REFUSED: Final = -1  # the call failed for good


class Counters:
    """The delivery counters of one sink. Any thread may add; reading `stats` takes no lock."""

    def __init__(self, clock: Clock) -> None:
        self._lock = clock.lock()
        self._counts = dict.fromkeys(COUNTS, 0)
        self._last_error: str | None = None
        self.stats = SinkStats(0, 0, 0, 0, 0, 0, 0, 0, None)

    def add(self, *, last_error: str | None = None, **changes: int) -> None:
        """Change counters, all at once."""
        with self._lock:
            counts = self._counts
            for name, change in changes.items():
                counts[name] += change
            settled = counts["delivered"] + counts["dropped"] + counts["failed"] + counts["superseded"]
            counts["pending"] = counts["logged"] - settled
            self._last_error = last_error or self._last_error
            self.stats = SinkStats(**counts, last_error=self._last_error)

    @property
    def settled(self) -> int:
        """The number of records that nothing more will happen to."""
        return self.stats.logged - self.stats.pending


class Attempts:
    """Calls of one sink: what its exceptions mean, and when to try again.

    Attributes:
        delay: seconds between two attempts; 0 unless the sink is failing.
    """

    def __init__(self, name: str, counters: Counters, clock: Clock) -> None:
        self._name, self._counters, self._clock = name, counters, clock
        self._not_before = 0.0  # when a sink that asked to slow down may be called again
        self._reported: set[str] = set()  # causes of errors
        self.delay = 0.0

    def call(self, call: Callable[[], None], report: str | None = "what was written") -> int:
        """Call the sink: return 0, the number of records that are lost, `REFUSED` for all of them, or `RETRY`.

        `report` says what is lost if all is; None if nothing is lost yet.
        """
        try:
            call()
        except SlowDown as error:
            self.delay = max(MIN_RETRY_S, error.delay)
            self._not_before = self._clock.now() + self.delay
            self._counters.add(slowdowns=1, last_error=one_line(error))
            self.warn_once(
                f"{one_line(error)}; the next attempt is in {self.delay:.3g} s, nothing is lost", "OSError:slow"
            )
            return RETRY
        except OSError as error:
            self.delay = min(MAX_RETRY_S, self.delay * 2) if self.delay else MIN_RETRY_S
            self._counters.add(retries=1, last_error=one_line(error))
            self.warn_once(f"{one_line(error)}; training goes on, and what is logged is kept and sent later", "OSError")
            return RETRY
        except BadRecord as error:
            self.report(error, "one record is lost" if error.count == 1 else f"{error.count} records are lost")
            return error.count
        except BaseException as error:  # not even a SystemExit in a sink ends the thread
            if report is not None:
                self.report(error, f"{report} is lost")
            return REFUSED
        return 0

    def is_asked_to_wait(self) -> bool:
        """Tell whether the sink asked not to be called yet."""
        return self._clock.now() < self._not_before

    def remaining(self) -> float:
        """Return the seconds until the next attempt; 0 unless the sink is failing."""
        return self._not_before - self._clock.now() if self.is_asked_to_wait() else self.delay

    def recover(self) -> None:
        """Say that the sink is back, if it was failing."""
        if self.delay:
            self.delay = 0.0
            self._reported = {cause for cause in self._reported if not cause.startswith("OSError")}
            log.info("%s: back, nothing was lost", self._name)

    def report(self, error: BaseException, problem: str) -> None:
        """Log an error that loses something, once per type of error."""
        self._counters.add(last_error=one_line(error))
        cause = type(error).__name__
        if cause not in self._reported:
            self._reported.add(cause)
            log.error("%s: %s: %s", self._name, problem, one_line(error))
            log.debug("%s: traceback", self._name, exc_info=error)

    def warn_once(self, message: str, cause: str) -> None:
        """Log a warning, once per cause."""
        if cause not in self._reported:
            self._reported.add(cause)
            log.warning("%s: %s", self._name, message)


def one_line(error: BaseException) -> str:
    """Return an exception as one line."""
    return " ".join(f"{type(error).__name__}: {error}".split())
