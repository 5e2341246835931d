"""Keep the index of a run current while the run is written, at little cost."""

from __future__ import annotations

import logging
import math
import time
from typing import TYPE_CHECKING

from monitor.events.index.index_update import update_index
from monitor.events.index.run_index import MIN_BUCKETS, TooManyCurves
from monitor.render.reduction.downsampling import MAX_BUCKETS

if TYPE_CHECKING:
    from pathlib import Path

log = logging.getLogger("monitor")

INTERVAL_S = 30.0  # between two updates
BYTES_PER_UPDATE = 2**24  # that are read again for one; a run that writes more gets an index of its first part
BYTES_AT_END = 2**26


class LiveIndex:
    """Update the index of a run from its own event files, now and then. Never raises: a run does not need an index."""

    def __init__(self, run: Path) -> None:
        self._run = run
        self._due = time.monotonic() + INTERVAL_S

    def tick(self) -> None:
        """Update the index if the last time is long ago. Blocks for some milliseconds for each megabyte that is new."""
        if time.monotonic() >= self._due:
            self._update(BYTES_PER_UPDATE, MAX_BUCKETS)

    def close(self) -> None:
        """Update the index at the end of a run. Blocks for a second at most, where there are 64 MB that are new."""
        self._update(BYTES_AT_END, MIN_BUCKETS)

    def _update(self, most: int, least: int) -> None:
        self._due = time.monotonic() + INTERVAL_S
        try:
            update_index(self._run, most=most, least=least)
        except TooManyCurves:
            self._due = math.inf  # until the end, when a coarser index is accepted
        except Exception as error:
            log.debug("the index of %s was not updated: %s", self._run, error)
