"""What waits for one sink, bounded in memory.

Scalars that an event file holds leave memory when too much waits, and are read back from there. Where no event file
holds them, they are thinned: of many points the first, last, lowest, and highest stay. Arrays are dropped, images
first, oldest first.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from monitor.capture.pending import PendingRecord
from monitor.records import (
    Checkpoint,
    ConfusionMatrix,
    Curve,
    Detections,
    Histogram,
    Images,
    Predictions,
    Restart,
    Video,
)
from monitor.scalar_block import ScalarBlock

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from monitor.delivery.inbox import Item
    from monitor.machine.files import FileRange

MAX_ARRAY_BYTES = 256 * 2**20  # of arrays that wait for one sink, beside the largest one
MAX_SCALAR_BYTES = 32 * 2**20  # of scalars in memory; beyond, those in an event file are read back later
SLOWING_SCALAR_BYTES = 64 * 2**20  # in memory for a sink that takes them: beyond, log calls wait for it
SLOWING_ARRAY_BYTES = 128 * 2**20  # likewise, for a sink that keeps records through a crash
MAX_UNSTORED_BYTES = 256 * 2**20  # of scalars that no event file holds
BLOCK_OVERHEAD_BYTES = 1000  # of a block beside its columns
BATCH_SCALARS = 100_000  # of one batch, which is written, flushed and counted as a whole
BATCH_RECORDS = 20_000  # likewise, of everything else, and of scalars for a sink that takes records only
BATCH_ARRAYS = 8  # records of one batch that are still to be built and drawn
BATCH_BYTES = 16 * 2**20  # of arrays in one batch, unless a single one is larger
THINNED_POINTS = 64  # consecutive points of a curve of which at most four stay
BARRIERS: set[type] = {Checkpoint, Restart}  # nothing that was logged before them may be delivered after them
PICTURES = (Images, Predictions, Detections, Video)  # dropped before other arrays
REPLACEABLE: set[type] = {Curve, ConfusionMatrix, Histogram}


class Slot:
    """The place of one item in the queue.

    Attributes:
        item: the item; None if it left memory.
        stored: where an event file holds it, if it left memory.
        count: the number of its records.
        nbytes: the memory that its scalars take.
    """

    __slots__ = ("count", "item", "nbytes", "stored")

    def __init__(self, item: Item) -> None:
        self.item: Item | None = item
        self.stored: FileRange | None = None
        is_block = isinstance(item, ScalarBlock)
        self.count = len(item) if isinstance(item, ScalarBlock) else 1
        self.nbytes = item.nbytes + BLOCK_OVERHEAD_BYTES if is_block else 0  # type: ignore[union-attr]


class WorkQueue:
    """The items that wait for one sink, in the order in which they were logged. Its user holds a lock."""

    def __init__(self) -> None:
        self._slots: deque[Slot] = deque()
        self._in_memory: deque[Slot] = deque()  # those with scalars, and some that were taken already
        self.array_bytes = self.scalar_bytes = 0
        self.count = 0  # of records

    def __bool__(self) -> bool:
        """Tell whether something waits."""
        return bool(self._slots)

    def put(self, items: Sequence[Item]) -> None:
        """Append items."""
        for item in items:
            slot = Slot(item)
            self._slots.append(slot)
            self.count += slot.count
            if slot.nbytes:
                self.scalar_bytes += slot.nbytes
                self._in_memory.append(slot)
            elif isinstance(item, PendingRecord):
                self.array_bytes += item.nbytes

    def take_batch(self, *, scalars: int, scalars_first: bool, stops_at_mark: bool = False) -> list[Slot]:
        """Take the next batch, bounded in records and in bytes of arrays.

        Args:
            scalars: the most scalars of a batch; a single block may hold more.
            scalars_first: whether records that are ready overtake arrays that are still to be drawn, but no checkpoint
                or restart: those mark what was logged before them. The batch then holds no arrays.
            stops_at_mark: whether to stop at the next mark even if no array is ahead of it in the queue, because some
                are being drawn.
        """
        batch: list[Slot] = []
        overtaken: list[Slot] = []
        arrays = size = records = points = 0
        while self._slots and records < BATCH_RECORDS and points < scalars:
            slot = self._slots[0]
            item = slot.item
            if isinstance(item, PendingRecord):
                if scalars_first:
                    overtaken.append(self._slots.popleft())
                    continue
                if arrays and (arrays >= BATCH_ARRAYS or size + item.nbytes > BATCH_BYTES):
                    break
                arrays, size = arrays + 1, size + item.nbytes
            elif (overtaken or stops_at_mark) and type(item) in BARRIERS:
                break
            if slot.nbytes or slot.stored:
                if points and points + slot.count > scalars:
                    break
                points += slot.count
            else:
                records += 1
            batch.append(self._slots.popleft())
        self._slots.extendleft(reversed(overtaken))
        self._discount(batch)
        return batch

    def take_arrays(self) -> list[Slot]:
        """Take the next arrays ahead of the next checkpoint or restart, as many as fit in one batch."""
        batch: list[Slot] = []
        size = 0
        for slot in self._slots:
            if type(slot.item) in BARRIERS or len(batch) >= BATCH_ARRAYS:
                break
            if isinstance(slot.item, PendingRecord):
                if batch and size + slot.item.nbytes > BATCH_BYTES:
                    break
                size += slot.item.nbytes
                batch.append(slot)
        self._remove(batch)
        return batch

    def store(self) -> None:
        """Take scalars out of memory that an event file holds, oldest first, until the rest fits."""
        if self.scalar_bytes <= MAX_SCALAR_BYTES:
            return
        remaining: deque[Slot] = deque()
        for slot in self._in_memory:
            block = slot.item
            if not isinstance(block, ScalarBlock) or not slot.nbytes:
                continue  # it was taken
            if block.stored is None or self.scalar_bytes <= MAX_SCALAR_BYTES:
                remaining.append(slot)
            else:
                self.scalar_bytes -= slot.nbytes
                slot.stored, slot.item, slot.nbytes = block.stored, None, 0
        self._in_memory = remaining

    def thin(self, limit: int) -> int:
        """Thin the scalars in memory if they take more than `limit` bytes; return how many points are gone."""
        if self.scalar_bytes <= limit:
            return 0
        gone = 0
        for slot in self._slots:
            if isinstance(slot.item, ScalarBlock):
                thinned = thin_block(slot.item)
                gone += slot.count - len(thinned)
                size = thinned.nbytes + BLOCK_OVERHEAD_BYTES
                self.scalar_bytes += size - slot.nbytes
                slot.item, slot.count, slot.nbytes = thinned, len(thinned), size
        self.count -= gone
        return gone

    def drop_arrays(self) -> int:
        """Drop arrays until the rest fits, images first, oldest first; return how many."""
        if self.array_bytes <= MAX_ARRAY_BYTES:
            return 0
        waiting = [(slot, slot.item) for slot in self._slots if isinstance(slot.item, PendingRecord)]
        sizes = [item.held_bytes for _, item in waiting]
        over = sum(sizes) - max(sizes) - MAX_ARRAY_BYTES
        dropped: list[Slot] = []
        for slot, item in sorted(waiting, key=lambda pair: pair[1].kind not in PICTURES):
            if over <= 0:
                break
            over -= item.held_bytes
            dropped.append(slot)
        self._remove(dropped)
        return len(dropped)

    def drop_superseded(self) -> int:
        """Drop curves, confusion matrices, and histograms that a newer one of the same tag replaces."""
        dropped: list[Slot] = []
        newer: set[tuple[type, str]] = set()
        for slot in reversed(self._slots):
            item = slot.item
            if type(item) in BARRIERS:
                newer.clear()
            elif isinstance(item, PendingRecord) and item.kind in REPLACEABLE:
                if (item.kind, item.tag) in newer:
                    dropped.append(slot)
                newer.add((item.kind, item.tag))
        self._remove(dropped)
        return len(dropped)

    def __iter__(self) -> Iterator[Slot]:
        return iter(self._slots)

    def _remove(self, slots: list[Slot]) -> None:
        gone = set(map(id, slots))
        if gone:
            self._slots = deque(slot for slot in self._slots if id(slot) not in gone)
            self._discount(slots)

    def _discount(self, slots: list[Slot]) -> None:
        for slot in slots:
            self.count -= slot.count
            self.scalar_bytes -= slot.nbytes
            slot.nbytes = 0
            self.array_bytes -= slot.item.nbytes if isinstance(slot.item, PendingRecord) else 0
        while self._in_memory and not self._in_memory[0].nbytes:
            self._in_memory.popleft()
        if not self._slots:
            self._in_memory.clear()


def thin_block(block: ScalarBlock) -> ScalarBlock:
    """Return a block with the first, last, lowest, and highest of every 64 consecutive points of each curve."""
    import numpy as np

    tags: list[str] = []
    rows = []
    for number, (tag, steps, values, times) in enumerate(block.series()):
        tags.append(tag)
        count = len(values)
        edges = np.arange(0, count, THINNED_POINTS)
        padded = np.full((len(edges), THINNED_POINTS), np.nan)
        padded.ravel()[:count] = values
        finite = np.isfinite(padded)
        lowest = np.where(finite, padded, np.inf).argmin(axis=1) + edges
        highest = np.where(finite, padded, -np.inf).argmax(axis=1) + edges
        last = np.minimum(edges + THINNED_POINTS, count) - 1
        places = np.unique(np.concatenate([edges, lowest, highest, last]))
        rows.append((np.full(len(places), number, np.int32), steps[places], times[places], values[places]))
    group, steps, times, values = (np.concatenate(column) for column in zip(*rows))
    return ScalarBlock([(tag,) for tag in tags], group, steps, times, values)
