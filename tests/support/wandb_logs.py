"""W&B's logs, written by hand: framing and messages as W&B has them."""

from __future__ import annotations

import json
import struct
import zlib
from typing import TYPE_CHECKING, Any

from monitor.imports.wandb_messages import record_class

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

BLOCK = 32_768
FULL, FIRST, MIDDLE, LAST = 1, 2, 3, 4


def chunk(kind: int, data: bytes) -> bytes:
    """Return a chunk with its header."""
    return struct.pack("<IHB", zlib.crc32(bytes([kind]) + data), len(data), kind) + data


def framed(records: Iterable[bytes], version: int = 1) -> bytes:
    """Return a whole log file of encoded records."""
    out = bytearray(struct.pack("<4sHB", b":W&B", 0xBEE1, version))
    for record in records:
        left, is_first = memoryview(record), True
        while is_first or left:
            room = BLOCK - len(out) % BLOCK
            if room < 7:
                out += bytes(room)
                continue
            part, left = left[: room - 7], left[room - 7 :]
            kinds = {(True, True): FULL, (True, False): FIRST, (False, False): MIDDLE, (False, True): LAST}
            out += chunk(kinds[is_first, not left], bytes(part))
            is_first = False
    return bytes(out)


def write(path: Path, *records: Any, version: int = 1) -> Path:
    """Write records, which may be encoded already, into a log file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    encoded = [record if isinstance(record, bytes) else record.SerializeToString() for record in records]
    path.write_bytes(framed(encoded, version))
    return path


def _fill(items: Any, values: dict[str, Any]) -> None:
    for key, value in values.items():
        item = items.add(value_json=value if isinstance(value, bytes) else json.dumps(value))
        item.nested_key.extend(key.split("."))


def row(step: int | None, values: dict[str, Any], time: float | None = None) -> Any:
    """Return a row of the history; parts of nested keys are separated by dots, and bytes are JSON as it is."""
    record = record_class()()
    own: dict[str, Any] = {} if time is None else {"_timestamp": time}
    if step is not None:
        record.history.step.num = step
        own["_step"] = step
    record.history.SetInParent()
    _fill(record.history.item, {**values, **own})
    return record


def run(run_id: str = "x91lzwbh", display_name: str = "", config: dict[str, Any] | None = None) -> Any:
    """Return the record that names a run."""
    record = record_class()()
    record.run.run_id, record.run.display_name = run_id, display_name
    record.run.start_time.seconds = 1_000
    _fill(record.run.config.update, config or {})
    return record


def config(**values: Any) -> Any:
    """Return a change of settings."""
    record = record_class()()
    _fill(record.config.update, values)
    return record


def summary(**values: Any) -> Any:
    """Return a change of the summary."""
    record = record_class()()
    _fill(record.summary.update, values)
    return record


def end(exit_code: int = 0) -> Any:
    """Return the end of a run."""
    record = record_class()()
    record.exit.exit_code = exit_code
    record.exit.SetInParent()
    return record


def other(kind: str) -> Any:
    """Return a record of a kind that is not decoded."""
    record = record_class()()
    setattr(record, kind, b"")
    return record
