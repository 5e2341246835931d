"""The records of event files, as this package's reader finds them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from monitor.events.reading.reader import EventReader
from monitor.records import Record, Scalar

if TYPE_CHECKING:
    from pathlib import Path


def everything(run: Path) -> tuple[list[Record], EventReader]:
    """Return all records of a run, and the reader that found them."""
    reader = EventReader(run)
    return [record for records in reader.records() for record in records], reader


def points(records: list[Record], tag: str) -> list[tuple[int, float]]:
    """Return the points of a scalar."""
    return [(record.step, record.value) for record in records if isinstance(record, Scalar) and record.tag == tag]
