"""What a `Logger` becomes in a child process, such as a worker of a `DataLoader`."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from monitor.capture.log_methods import LogMethods
from monitor.runs.run import Run
from monitor.stats import Stats

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping
    from types import TracebackType

log = logging.getLogger("monitor")


class NullLogger(LogMethods):
    """Check every log call, log nothing, and warn once.

    It has the methods and properties of a `Logger`, with the same types. Its `run` writes nothing.
    """

    should_stop = False

    def __init__(self, directory: str | os.PathLike[str], config: Mapping[str, Any]) -> None:
        super().__init__(self.warn_once)
        self.run = Run(directory, config, is_written=False)
        self._warned = False

    def warn_once(self, _entry: Any = None) -> None:
        """Take an entry and drop it; the first time, say so."""
        if not self._warned:
            self._warned = True
            log.warning("logging from a child process is ignored; log from the process that made the Logger")

    def stats(self) -> Stats:
        """Return empty counts."""
        return Stats({}, 0, 0.0, 0.0)

    def flush(self, timeout: float = 10.0) -> bool:
        """Return True: nothing is waiting."""
        return True

    def checkpoint(self, name: str, step: int, timeout: float = 10.0) -> bool:
        """Mark nothing; return False."""
        self.warn_once()
        return False

    def close(self, timeout: float | None = None, status: str = "finished", error: str | None = None) -> bool:
        """Return True: nothing is waiting."""
        return True

    def __enter__(self) -> NullLogger:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        pass
