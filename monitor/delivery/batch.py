"""What waits in a worker's queue, and how a batch of it becomes records."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from monitor.capture.snapshot import DeviceScalar, PendingRecord, resolve_device_scalars
from monitor.records import Checkpoint, Record, Restart

if TYPE_CHECKING:
    from collections import deque
    from collections.abc import Callable

Item = Record | PendingRecord | DeviceScalar
BATCH_RECORDS = 20_000  # of one batch, which is written, flushed and counted as a whole
BATCH_ARRAYS = 8  # records of one batch that are still to be built and drawn
BATCH_BYTES = 16 * 2**20  # of arrays in one batch, unless a single one is larger
_BARRIERS: set[type] = {Checkpoint, Restart}  # nothing that was logged before them may be delivered after them
_PENDING_TYPES: set[type] = {PendingRecord, DeviceScalar}


def record_type(item: Item) -> type:
    """Return the type of a record, even if it is still to be built."""
    return item.kind if isinstance(item, PendingRecord | DeviceScalar) else type(item)


def describe(record: Record) -> str:
    """Return what kind of record it is, with its tag and step if it has them."""
    tag, step = getattr(record, "tag", None), getattr(record, "step", None)
    name = type(record).__name__ + (f" {tag!r}" if tag is not None else "")
    return f"the record {name}" + (f" at step {step}" if step is not None else "")


def take_batch(queue: deque[Item], *, scalars_first: bool) -> list[Item]:
    """Take the next batch out of a queue, bounded in records and in bytes of arrays.

    With `scalars_first`, records that are ready overtake arrays that are still to be drawn, but no checkpoint or
    restart: those mark what was logged before them.
    """
    batch: list[Item] = []
    overtaken: list[Item] = []
    arrays = size = 0
    while queue and len(batch) < BATCH_RECORDS:
        item = queue[0]
        if isinstance(item, PendingRecord):
            if scalars_first:
                overtaken.append(queue.popleft())
                continue
            if arrays and (arrays >= BATCH_ARRAYS or size + item.nbytes > BATCH_BYTES):
                break
            arrays, size = arrays + 1, size + item.nbytes
        elif overtaken and type(item) in _BARRIERS:
            break
        batch.append(queue.popleft())
    queue.extendleft(reversed(overtaken))
    if not batch and overtaken:
        return take_batch(queue, scalars_first=False)
    return batch


def build_records(items: list[Item], report: Callable[[Exception, str], None]) -> tuple[list[Record], list[Item]]:
    """Build the records of a batch. Blocks until values on a GPU are on the host.

    Args:
        items: the batch.
        report: called with the exception and a description for each record that cannot be built.

    Returns:
        The records that could be built, and the items that they were built from.
    """
    if not _PENDING_TYPES & set(map(type, items)):
        return cast("list[Record]", items), items
    records: list[Record] = []
    built: list[Item] = []
    try:
        resolve_device_scalars(items)
    except Exception as error:
        report(error, "a device scalar could not be read")
    for item in items:
        try:
            if isinstance(item, DeviceScalar):
                if item.record is None:
                    raise RuntimeError("a device scalar could not be read")
                records.append(item.record)
            else:
                records.append(item.resolve() if isinstance(item, PendingRecord) else item)
            built.append(item)
        except Exception as error:
            report(error, f"a {record_type(item).__name__} record could not be read")
    return records, built
