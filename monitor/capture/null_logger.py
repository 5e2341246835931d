"""What a `Logger` becomes in a child process, such as a worker of a `DataLoader`."""

from __future__ import annotations

import logging
from typing import Any

log = logging.getLogger("monitor")


class NullLogger:
    """What a `Logger` is in a child process: it takes every call, does nothing, and says so once."""

    def __init__(self) -> None:
        self._warned = False

    def warn_once(self, *_: Any, **__: Any) -> None:
        if not self._warned:
            self._warned = True
            log.warning("logging from a child process is ignored; log from the process that made the Logger")

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self.warn_once
