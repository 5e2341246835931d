"""What `FileWriter.event_writer` is: the innermost part of the stock writers, as far as other code uses it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Protocol

from monitor.integrations.writer import capture
from monitor.integrations.writer.raw_events import event_record

if TYPE_CHECKING:
    from collections.abc import Callable


class Writer(Protocol):
    """What it needs of a `FileWriter`."""

    @property
    def path(self) -> str | None: ...
    def get_logdir(self) -> str: ...
    def put(self, call: Callable[..., Any], *arguments: Any) -> None: ...
    def flush(self) -> None: ...
    def close(self) -> None: ...


class EventWriter:
    """Write events with their own steps and times."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer

    def get_logdir(self) -> str:
        """Return the directory."""
        return self._writer.get_logdir()

    def add_event(self, event: Any) -> None:
        """Add an `Event` message of either package."""
        if not event.wall_time:
            event.wall_time = time.time()
        self._writer.put(capture.ready, event_record(event))

    def flush(self) -> None:
        """Wait until everything logged so far is on disk."""
        self._writer.flush()

    def close(self) -> None:
        """Close the file; what is logged later goes into a new one."""
        self._writer.close()

    def reopen(self) -> None:
        """Do nothing: what is logged after `close` goes into a new file."""

    @property
    def _ev_writer(self) -> EventWriter:
        return self  # tensorboardX's has the name of its file here

    @property
    def _file_name(self) -> str | None:
        return self._writer.path
