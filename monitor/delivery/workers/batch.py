"""Build the records of a batch, and describe one in messages."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from monitor.capture.pending import DeviceScalar, PendingRecord, resolve_device_scalars
from monitor.delivery.inbox import record_type
from monitor.delivery.workers.unpacking import Unpacked
from monitor.errors import DataError
from monitor.scalar_block import ScalarBlock

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from monitor.delivery.workers.queue import Slot
    from monitor.delivery.workers.unpacking import Unpacker
    from monitor.records import Record

    Report = Callable[[BaseException, str], None]

Part = ScalarBlock | list["Record | Unpacked"]  # what one call of a sink takes


def describe(record: object) -> str:
    """Return what kind of record it is, with its tag and step if it has them."""
    record = record.logged if isinstance(record, Unpacked) else record
    tag, step = getattr(record, "tag", None), getattr(record, "step", None)
    kind = record.kind if isinstance(record, PendingRecord) else type(record)
    name = kind.__name__ + (f" {tag!r}" if tag is not None else "")
    return f"the record {name}" + (f" at step {step}" if step is not None else "")


def describe_piece(piece: Part) -> str | None:
    """Describe the one record of a piece; return None if there are several."""
    if len(piece) != 1:
        return None
    return describe(piece.records()[0] if isinstance(piece, ScalarBlock) else piece[0])


def cut(part: Part, size: int | None) -> tuple[Part, Part | None]:
    """Return the first `size` calls or records of a part, and the rest, if there is one; without a size, all of it."""
    count = part.calls if isinstance(part, ScalarBlock) else len(part)
    if size is None or size >= count:
        return part, None
    if isinstance(part, ScalarBlock):
        return part.part(0, size), part.part(size, count)
    return part[:size], part[size:]


def halve(part: Part, refused: Part) -> tuple[Part, int]:
    """Return a part whose beginning was refused, and the size of the next piece of it to try."""
    if not isinstance(refused, ScalarBlock):
        return part, max(1, len(refused) // 2)
    if refused.calls > 1:
        return part, refused.calls // 2
    assert isinstance(part, ScalarBlock)  # one call of several scalars: go on with the scalars one by one
    return list(part.records()), max(1, len(refused) // 2)


def build_parts(
    slots: Sequence[Slot], report: Report, unpacker: Unpacker, *, in_blocks: bool
) -> tuple[list[Part], int, int]:
    """Build what is written for a batch. Blocks until values on a GPU are on the host.

    Args:
        slots: the batch.
        report: called with the exception and a description for each record that cannot be built.
        unpacker: replaces summaries by what they hold, if the sink takes none.
        in_blocks: whether the sink takes blocks of scalars; otherwise they become records too.

    Returns:
        Blocks of scalars and lists of records, in order; how many records could not be built; and how many scalars
        could not be read back.

    Raises:
        OSError: if scalars that left memory cannot be read back now.
    """
    blocks = [_load(slot, report) for slot in slots]
    device_scalars = [slot.item for slot in slots if isinstance(slot.item, DeviceScalar)]
    try:
        resolve_device_scalars(device_scalars)
    except Exception as error:
        report(error, "a device scalar could not be read")
    parts: list[Part] = []
    failed = unread = 0
    for slot, block in zip(slots, blocks):
        if block is not None:
            unread += slot.count - len(block)
            if in_blocks and len(block):
                parts.append(block)
            elif not in_blocks:
                _last_list(parts).extend(block.records())
            continue
        try:
            record = unpacker.unpack(_build(slot.item))
        except Exception as error:
            report(error, f"a {record_type(slot.item).__name__} record could not be read")  # type: ignore[arg-type]
            failed += 1
            continue
        _last_list(parts).append(record)
    return [part for part in parts if len(part)], failed, unread


def _last_list(parts: list[Part]) -> list[Record | Unpacked]:
    """Return the list at the end of `parts`; append one if there is none."""
    if not parts or isinstance(parts[-1], ScalarBlock):
        parts.append([])
    return cast("list[Record | Unpacked]", parts[-1])


def _build(item: object) -> Record:
    if isinstance(item, DeviceScalar):
        if item.record is None:
            raise RuntimeError("a device scalar could not be read")
        return item.record
    return item.resolve() if isinstance(item, PendingRecord) else item  # type: ignore[return-value]


def _load(slot: Slot, report: Report) -> ScalarBlock | None:
    """Return the scalars of a slot, read back if they left memory; None for any other record."""
    if slot.stored is None:
        return slot.item if isinstance(slot.item, ScalarBlock) else None
    from monitor.events.scalars.decoding import decode_scalars

    path, offset, length = slot.stored
    with path.open("rb") as file:
        file.seek(offset)
        data = file.read(length)
    try:
        return decode_scalars(data)
    except DataError as error:
        report(error, f"{slot.count} scalars could not be read back from {path}")
        return ScalarBlock.of(())
