"""Bring the index of a run up to date with its event files: in memory for a reader, or on disk."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING
from zlib import error as ZlibError

from monitor.events.files import event_files
from monitor.events.index.index_marks import OtherParts, add_mark
from monitor.events.index.run_index import (
    BYTES_PER_BUCKET,
    INDEX_FILE,
    MIN_BUCKETS,
    RunIndex,
    load_index,
    room_for_index,
)
from monitor.events.reading.history import KINDS, RestartFound, before_restart, without_superseded
from monitor.events.reading.reader import EventReader, find_restarts
from monitor.records import Config
from monitor.render.reduction.downsampling import MAX_BUCKETS
from monitor.scalar_block import ScalarBlock

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from monitor.events.reading.history import Batch

log = logging.getLogger("monitor")

MIN_EVENT_BYTES = 2**20  # of event files that get an index; smaller ones are read as quickly without one
DAMAGED = (ValueError, TypeError, KeyError, IndexError, OverflowError, ZlibError)  # what a bad index may raise


def current_index(run: Path, tags: set[str] | None = None) -> RunIndex | None:
    """Return the index of a run, with what was added to the event files since, of `tags` only if they are given.

    None if there is no index that can be trusted, or if the run was resumed since. Blocks while it reads what is new.
    Raises `OSError`.
    """
    index = load_index(run)
    if index is None:
        return None
    try:
        for tag in tags or ():
            index.series(tag)
        index.fold(_new_batches(index, event_files(run)), tags)
    except RestartFound:
        return None
    except DAMAGED as error:
        log.debug("%s: %s", run / INDEX_FILE, error)
        return None
    return index


def _new_batches(index: RunIndex, files: list[Path], most: int | None = None) -> Iterable[Batch]:
    """Yield what the index does not cover, at most about `most` bytes of it, and note how far it does then."""
    reader = EventReader(index.run, files=files, kinds=KINDS | {Config}, keeps_copies=True)
    reader.skip(index.offsets, index.tensor_tags)
    stops = None if most is None else _stops(files, index.offsets, most)
    yield from _marked(index, reader, before_restart(reader.batches(stops), index.highest_step))


def _stops(files: list[Path], offsets: dict[Path, int], most: int) -> dict[Path, int]:
    """Return how far to read each file, so that about `most` bytes are read."""
    stops: dict[Path, int] = {}
    for path in files:
        start = offsets.get(path, 0)
        stops[path] = start + most
        most -= path.stat().st_size - start
        if most <= 0:
            break
    return stops


def _marked(index: RunIndex, reader: EventReader, batches: Iterable[Batch]) -> Iterable[Batch]:
    """Pass batches on, and note where in the files they are."""
    others = None if index.others is None else OtherParts(reader, index.others)
    for batch in batches:
        if others is not None:
            others.note()
        if isinstance(batch, ScalarBlock):
            path, end = next((path, offset) for path, offset in reversed(reader.offsets.items()) if offset)
            add_mark(index.marks, path.name, end, batch)
        yield batch
    if others is not None:
        others.note()
    index.tensor_tags = reader.tensor_tags
    index.offsets = {path: offset for path, offset in reader.offsets.items() if offset}


def update_index(run: Path, *, most: int | None = None, least: int = MIN_BUCKETS) -> int:
    """Make the index of a run cover its event files, and return its bytes; 0 for files below a megabyte.

    Goes on from the index that is there if it can be trusted, and makes a new one otherwise. Blocks while it reads.

    Args:
        run: the run directory.
        most: read about so many bytes; the rest remains for the next time.
        least: the lowest resolution to accept, in buckets a curve.

    Raises:
        TooManyCurves: if the index would not fit.
        OSError: if the event files cannot be read, or the index cannot be written.
    """
    files = event_files(run)
    size = sum(path.stat().st_size for path in files)
    if size < MIN_EVENT_BYTES:
        return 0
    index = load_index(run)
    if index is not None and (index.max_buckets == MAX_BUCKETS or not _can_be_finer(index, size)):
        if list(index.offsets.items()) == [(path, path.stat().st_size) for path in files]:
            return (run / INDEX_FILE).stat().st_size
        try:
            return _extend(index, _new_batches(index, files, most), size, least)
        except (RestartFound, *DAMAGED):
            pass
    index = RunIndex(run)
    try:
        return _extend(index, _new_batches(index, files, most), size, least)
    except RestartFound:
        index = RunIndex(run)
        index.is_resumed = True
        reader = EventReader(run, files=files, kinds=KINDS | {Config}, keeps_copies=True)
        batches = without_superseded(reader.batches(), find_restarts(files))
        return _extend(index, _marked(index, reader, batches), size, least)


def _can_be_finer(index: RunIndex, size: int) -> bool:
    return len(index.last) * 2 * index.max_buckets * BYTES_PER_BUCKET <= room_for_index(size)


def _extend(index: RunIndex, batches: Iterable[Batch], size: int, least: int) -> int:
    for batch in batches:
        index.fold([batch])
        index.fit(size, least)
    return index.save(size)
