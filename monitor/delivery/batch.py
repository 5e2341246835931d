"""What waits in a worker's queue, and how a batch of it becomes records."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from monitor.capture.snapshot import DeviceScalar, PendingRecord, resolve_device_scalars
from monitor.records import Record

if TYPE_CHECKING:
    from collections.abc import Callable

Item = Record | PendingRecord | DeviceScalar
_PENDING_TYPES: set[type] = {PendingRecord, DeviceScalar}


def record_type(item: Item) -> type:
    """Return the type of a record, even if it is still to be built."""
    return item.kind if isinstance(item, PendingRecord | DeviceScalar) else type(item)


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
