"""What `FileWriter.event_writer` is: the innermost part of the stock writers, as far as other code uses it."""

from __future__ import annotations

import time
from typing import Any

from monitor.integrations.writer.summaries import capture
from monitor.integrations.writer.summaries.raw_events import event_record


class EventWriter:
    """Write events with their own steps and times."""

    def __init__(self, writer: Any) -> None:
        """Write through a `FileWriter`."""
        self._writer = writer

    def get_logdir(self) -> str:
        """Return the directory."""
        return str(self._writer.get_logdir())

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
    def _file_name(self) -> Any:
        return self._writer.path
