"""The messages in W&B's logs, as protocol buffers: only the fields that are needed, without W&B's package.

The numbers are those of W&B's `wandb_internal.proto`. Fields with other numbers stay encoded.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from monitor.events.wire import PART_FACTOR, fits_in_memory

if TYPE_CHECKING:
    from collections.abc import Callable

PACKAGE = "monitor.imports.wandb"
ALWAYS_PARSED_BYTES = 2**18  # a record of this size cannot take much memory, whatever it holds
MAX_MEMORY_BYTES = 2**27  # of a parsed record
# By message: the number and type of each field. `[]` marks a repeated field; a capital letter, a message.
MESSAGES: dict[str, dict[str, tuple[int, str]]] = {
    "Item": {"key": (1, "string"), "nested_key": (2, "string[]"), "value_json": (16, "string")},
    "Step": {"num": (1, "int64")},
    "Time": {"seconds": (1, "int64"), "nanos": (2, "int32")},
    "History": {"item": (1, "Item[]"), "step": (2, "Step")},
    "Changes": {"update": (1, "Item[]"), "remove": (2, "Item[]")},
    "Alert": {"title": (1, "string"), "text": (2, "string")},
    "RunInfo": {
        "run_id": (1, "string"),
        "config": (4, "Changes"),
        "summary": (5, "Changes"),
        "display_name": (8, "string"),
        "starting_step": (14, "int64"),
        "start_time": (17, "Time"),
    },
    "Exit": {"exit_code": (1, "int32")},
}
# One of these is in each record. Those that are bytes are not decoded.
RECORD_KINDS: dict[str, tuple[int, str]] = {
    "history": (2, "History"),
    "summary": (3, "Changes"),
    "output": (4, "bytes"),
    "config": (5, "Changes"),
    "files": (6, "bytes"),
    "stats": (7, "bytes"),
    "artifact": (8, "bytes"),
    "tbrecord": (9, "bytes"),
    "alert": (10, "Alert"),
    "telemetry": (11, "bytes"),
    "metric": (12, "bytes"),
    "output_raw": (13, "bytes"),
    "run": (17, "RunInfo"),
    "exit": (18, "Exit"),
    "final": (20, "bytes"),
    "header": (21, "bytes"),
    "footer": (22, "bytes"),
    "preempting": (23, "bytes"),
    "use_artifact": (25, "bytes"),
    "request": (100, "bytes"),
}
KIND = "record_type"  # names the kinds as alternatives
# The messages that can repeat a field, for the estimate of the memory that a record takes.
_CHANGES: dict[int, Any] = {1: {2: PART_FACTOR}, 2: {2: PART_FACTOR}}
_PARTS: dict[int, Any] = {2: {1: {2: PART_FACTOR}}, 3: _CHANGES, 5: _CHANGES, 17: {4: _CHANGES, 5: _CHANGES}}


def parse_record(data: bytes) -> Any | None:
    """Return the record that `data` encodes; None if it does not decode, or would take far more memory than `data`."""
    parse, decode_error = _parser()
    if len(data) > ALWAYS_PARSED_BYTES and not fits_in_memory(data, MAX_MEMORY_BYTES, _PARTS):
        return None
    try:
        return parse(data)
    except decode_error:
        return None


@cache
def record_class() -> Any:
    """Make the class of records; it is in a pool of its own, so W&B's package may be loaded too."""
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    file = descriptor_pb2.FileDescriptorProto(name="monitor/imports/wandb.proto", package=PACKAGE, syntax="proto3")
    for name, fields in {**MESSAGES, "Record": RECORD_KINDS}.items():
        message = file.message_type.add(name=name)
        if name == "Record":
            message.oneof_decl.add(name=KIND)
        for field_name, (number, kind) in fields.items():
            field = message.field.add(name=field_name, number=number)
            field.label = field.LABEL_REPEATED if kind.endswith("[]") else field.LABEL_OPTIONAL
            kind = kind.removesuffix("[]")
            if kind in MESSAGES:
                field.type, field.type_name = field.TYPE_MESSAGE, f".{PACKAGE}.{kind}"
            else:
                field.type = getattr(field, f"TYPE_{kind.upper()}")
            if name == "Record":
                field.oneof_index = 0
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{PACKAGE}.Record"))


@cache
def _parser() -> tuple[Callable[[bytes], Any], type[Exception]]:
    from google.protobuf.message import DecodeError

    return record_class().FromString, DecodeError
