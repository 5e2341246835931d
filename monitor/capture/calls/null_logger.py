"""What a `Logger` becomes in a child process, such as a worker of a `DataLoader`."""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING, Any

from monitor.capture import validation
from monitor.capture.calls.log_methods import LogMethods
from monitor.capture.run_config import RunConfig
from monitor.runs.run import Run
from monitor.runs.status import ending
from monitor.stats import Stats

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping
    from types import TracebackType

log = logging.getLogger("monitor")

IGNORED = (
    "logging from a child process is ignored; log from the process that made the Logger, "
    'or make it with children="forward"'
)


class NullLogger(LogMethods):
    """Check every log call, log nothing, and warn once.

    It has the methods and properties of a `Logger`, with the same types.

    Attributes:
        run: the run that the parent logs to; nothing is written to it from here.
        config: its settings, as far as this process knows.
    """

    _watches_models = False

    def __init__(
        self, directory: str | os.PathLike[str], config: Mapping[str, Any], *, is_silent: bool = False
    ) -> None:
        """Stand for the logger of the run in `directory`; `is_silent` if that one drops every call too."""
        super().__init__(self.take)
        self.run = Run(directory, config, is_written=False)
        self._config = RunConfig(self.run, self._measure, is_child=True)
        self._is_silent = self._has_warned = is_silent
        self._tuples = 0  # how many entries were tuples
        self._calls: Callable[[int], tuple[int, float]] = self._cost  # counts the calls that lead here
        self._measure_next: Callable[[], None] = self._tick

    def stand_in_for(
        self, logger: LogMethods, calls: Callable[[int], tuple[int, float]], measure_next: Callable[[], None]
    ) -> None:
        """Let `logger`, which a fork has copied, act as this one: no lock and no counter of the parent is used.

        Its log calls stay its own, so that a subclass may override them.

        Args:
            logger: the copy.
            calls: the `_cost` of the copy.
            measure_next: its `_tick`.
        """
        LogMethods.__init__(logger, self.take)
        self._calls, self._measure_next = calls, measure_next
        for name in ("run", "stats", "flush", "checkpoint", "close"):
            setattr(logger, name, getattr(self, name))
        logger._config = RunConfig(self.run, logger._measure, is_child=True)  # noqa: SLF001

    def take(self, entry: Any) -> None:
        """Take an entry and drop it; the first time, say so."""
        self._tuples += type(entry) is tuple
        if not self._has_warned:
            self._has_warned = True
            log.warning("%s", IGNORED)

    @property
    def should_stop(self) -> bool:
        """Return False."""
        return False

    def stats(self) -> Stats:
        """Return the number of calls of this process; nothing is delivered."""
        calls, seconds = self._calls(self._tuples)
        return Stats({}, calls, seconds, 0.0)

    def flush(self, timeout: float = 10.0) -> bool:
        """Return True: nothing is waiting."""
        return True

    def checkpoint(self, name: str, step: int, timeout: float = 10.0) -> bool:
        """Mark nothing; return False."""
        validation.text(name, "a checkpoint's name")
        validation.step(step)
        self.take(None)
        return False

    def close(self, timeout: float | None = None, status: str = "finished", error: str | None = None) -> bool:
        """Return True: nothing is waiting. Raises `ValueError` for a status with which no run ends."""
        ending(status)
        return True

    def __enter__(self) -> NullLogger:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __reduce__(self) -> tuple[Any, ...]:
        """Become the same in a child of this process, which warns for itself."""
        return partial(NullLogger, is_silent=self._is_silent), (str(self.run.path), self.run.config)
