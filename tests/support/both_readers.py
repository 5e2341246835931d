"""Event files of all kinds, read at once and one by one, which must give the same."""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from hypothesis import strategies as st
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.compat.proto.tensor_pb2 import TensorProto

from monitor.events import framing
from monitor.events.event_decoder import EventDecoder
from monitor.events.framing import FrameReader, frame
from monitor.events.reading.reader import EventReader
from monitor.records import RECORD_TYPES, Record, Restart, Scalar
from tests.support import foreign, hostile_events

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


TAGS = ("a", "b", "train/loss", "test/loss", "test/loss/best", "ä/ö", "", "t/text_summary")


def _twice(value: Any) -> Any:
    """Return a value whose tag is there twice, as no writer writes it: the last one counts."""
    return Summary.Value.FromString(value.SerializeToString())


def _metadata(tag: str, value: float) -> Any:
    made = foreign.simple(tag, value)
    made.metadata.display_name = "shown"
    return made


def _new_style(tag: str, value: float) -> Any:
    """Return a scalar as `add_scalar(new_style=True)` of PyTorch writes it."""
    return foreign.tensor(tag, "scalars", TensorProto(dtype=foreign.FLOAT, float_val=[value]))


VALUES: dict[str, Callable[[str, float], Any]] = {
    "simple": foreign.simple,
    "with metadata": _metadata,
    "content": foreign.scalar,
    "unnamed": lambda tag, value: foreign.scalar(tag, value, named=False),
    "double": lambda tag, value: foreign.scalar(tag, value, "double"),
    "half": lambda tag, value: foreign.scalar(tag, min(max(value, -6e4), 6e4), "half"),
    "new style": _new_style,
    "images": lambda tag, value: foreign.tensor(
        tag, "images", TensorProto(dtype=foreign.FLOAT, tensor_shape=foreign.shape(), float_val=[value])
    ),
    "wide": lambda tag, value: foreign.tensor(
        tag, "scalars", TensorProto(dtype=foreign.FLOAT, tensor_shape=foreign.shape(1), float_val=[value])
    ),
    "text": lambda tag, value: foreign.text(tag, str(value)),
    "settings": lambda _tag, value: hostile_events.settings(a=value),
    "histogram": lambda tag, value: foreign.histogram(tag, np.full((3, 3), value)),
}
kinds = st.sampled_from([*VALUES, "simple", "simple", "content"])
parts = st.lists(st.tuples(kinds, st.sampled_from(TAGS)), min_size=1, max_size=3)
steps = st.sampled_from([0, 1, 100, 2**14 - 9, 2**35, 2**63 - 2000, -5, -(2**63)])
floats = st.floats(width=32) | st.sampled_from([0.0, 1.5])


@st.composite
def files(draw: st.DrawFn) -> bytes:
    """Draw a file in which a few kinds of events come again and again, with others between them."""
    pattern = draw(st.lists(parts, min_size=1, max_size=5))
    numbers = draw(st.lists(floats, min_size=1, max_size=4))
    first, stride = draw(steps), draw(st.sampled_from([0, 1, 7]))
    frames: list[bytes] = []
    for turn in range(draw(st.integers(1, 40))):
        step = min(first + stride * turn, 2**63 - 1)
        for place, values in enumerate(pattern):
            made = [VALUES[kind](tag, numbers[(turn + place) % len(numbers)]) for kind, tag in values]
            time = draw(st.sampled_from([0.0, 1.7e9 + turn])) if turn % 9 == 0 else 1.7e9 + turn / 7
            frames.append(frame(Event(wall_time=time, step=step, summary=Summary(value=made)).SerializeToString()))
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(frames)))
        other = draw(
            st.sampled_from(
                [
                    frame(foreign.restart(first).SerializeToString()),
                    frame(b"\xff\xff"),
                    frame(Event(file_version="brain.Event:2").SerializeToString()),
                    frame(hostile_events.field(5, hostile_events.field(1, b"\x0a\x01a\x0a\x01b\x15\0\0\0\0"))),
                    frame(foreign.event(3, foreign.text("x", "y" * 300)).SerializeToString()),
                ]
            )
        )
        frames.insert(at, other)
    return b"".join(frames)


def plain(record: Record) -> tuple[Any, ...]:
    """Return what two records are compared by; NaN equals NaN."""
    if isinstance(record, Scalar):
        return "Scalar", record.tag, record.step, record.time, repr(record.value)
    return type(record).__name__, getattr(record, "tag", ""), getattr(record, "step", 0), record.time


def one_by_one(path: Path, kinds: frozenset[type]) -> tuple[Any, ...]:
    """Read a file event by event."""
    reader, decoder, records = FrameReader(path), EventDecoder(kinds), list[Record]()
    for event in reader.events():
        decoder.decode(event, records)
    return list(map(plain, records)), reader.damaged, reader.torn, reader.offset, decoder.skipped


def at_once(path: Path, kinds: frozenset[type]) -> tuple[Any, ...]:
    """Read a file as the commands do."""
    reader = EventReader(path, kinds=kinds)
    records = [record for records in reader.records() for record in records]
    return list(map(plain, records)), reader.damaged, reader.torn, reader.offsets[path], reader.skipped


@contextmanager
def chunks_of(size: int) -> Iterator[None]:
    """Read files in pieces of this size."""
    before, framing.READ_CHUNK_BYTES = framing.READ_CHUNK_BYTES, size
    try:
        yield
    finally:
        framing.READ_CHUNK_BYTES = before


def check(data: bytes, chunk: int = 2**20) -> None:
    """Read a file both ways, for several kinds of records, and compare."""
    with tempfile.TemporaryDirectory() as folder, chunks_of(chunk):
        path = Path(folder) / "tfevents"
        path.write_bytes(data)
        for kinds in (RECORD_TYPES, frozenset({Scalar, Restart})):
            assert at_once(path, kinds) == one_by_one(path, kinds)
