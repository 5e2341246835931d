"""Events that are decoded thousands at a time are those that are decoded one by one, whatever a file holds."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.compat.proto.tensor_pb2 import TensorProto

from monitor import ScalarBlock
from monitor.comparison.event_data import read_curves, read_points
from monitor.events import framing
from monitor.events.event_decoder import EventDecoder
from monitor.events.framing import FrameReader, frame
from monitor.events.pieces import Piece, PieceReader
from monitor.events.reader import EventReader, read_history
from monitor.events.scalars.columns import OTHER, ColumnDecoder
from monitor.events.scalars.encoding import encode_scalars
from monitor.records import RECORD_TYPES, Record, Restart, Scalar
from monitor.render.downsampling import DownsampledSeries
from tests.events.test_event_file_properties import damaged
from tests.support import foreign, hostile_events

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

fuzz = settings(
    max_examples=max(10, int(os.environ.get("MONITOR_FUZZ", "300")) // 6),
    deadline=None,
    suppress_health_check=list(HealthCheck),
    derandomize=True,
)

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
    before, framing.READ_CHUNK_BYTES = framing.READ_CHUNK_BYTES, size
    try:
        yield
    finally:
        framing.READ_CHUNK_BYTES = before


def check(data: bytes, chunk: int = 2**20) -> None:
    with tempfile.TemporaryDirectory() as folder, chunks_of(chunk):
        path = Path(folder) / "tfevents"
        path.write_bytes(data)
        for kinds in (RECORD_TYPES, frozenset({Scalar, Restart})):
            assert at_once(path, kinds) == one_by_one(path, kinds)


@fuzz
@given(files(), st.sampled_from([64, 1000, 2**20]))
def test_random_files(data: bytes, chunk: int) -> None:
    check(data, chunk)


@fuzz
@given(files().flatmap(lambda data: damaged([data])), st.sampled_from([500, 2**20]))
def test_damaged_and_torn_files(data: bytes, chunk: int) -> None:
    check(data, chunk)


@pytest.mark.parametrize(
    "name",
    ["no protobuf", "large steps", "odd times", pytest.param("long tags", marks=pytest.mark.slow), "tensor of 2^29"],
)
def test_hostile_files(name: str, tmp_path: Path) -> None:
    hostile_events.FILES[name](tmp_path / "tfevents")
    check((tmp_path / "tfevents").read_bytes() * 20)


def test_every_byte_of_a_frame_is_checked() -> None:
    """A flipped bit anywhere costs what it costs when events are read one by one, and nothing else."""
    step = frame(foreign.event(300, foreign.simple("train/loss", 1.0)).SerializeToString())
    events = [foreign.event(200 + n, foreign.simple("train/loss", n)).SerializeToString() for n in range(40)]
    data = b"".join(map(frame, events))
    for at in range(20 * len(step), 21 * len(step)):
        damaged_data = bytearray(data)
        damaged_data[at] ^= 1 << at % 8
        check(bytes(damaged_data))


def write_torch(folder: Path, *, new_style: bool) -> None:
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(str(folder)) as writer:
        for step in range(200):
            for tag in ("train/loss", "train/accuracy", "lr"):
                writer.add_scalar(tag, step / 7, step, new_style=new_style, double_precision=tag == "lr")


def write_tensorboardx(folder: Path) -> None:
    from tensorboardX import SummaryWriter

    with SummaryWriter(str(folder)) as writer:
        for step in range(200):
            for tag in ("train/loss", "train/accuracy"):
                writer.add_scalar(tag, step / 7, step, summary_description="what it is")


def write_tensorflow(folder: Path) -> None:
    events = [foreign.event(step, foreign.scalar(tag, step / 7)) for step in range(200) for tag in ("loss", "a", "b")]
    foreign.write(folder / "events.out.tfevents.1.v2", *events)


WRITERS: dict[str, Callable[[Path], None]] = {
    "torch": lambda folder: write_torch(folder, new_style=False),
    "torch, new style": lambda folder: write_torch(folder, new_style=True),
    "tensorboardX": write_tensorboardx,
    "tensorflow": write_tensorflow,
}


@pytest.mark.parametrize("name", WRITERS)
def test_scalars_of_every_writer_are_decoded_at_once(name: str, tmp_path: Path) -> None:
    WRITERS[name](tmp_path)
    (path,) = tmp_path.glob("*tfevents*")
    decoder = ColumnDecoder()
    pieces = [piece for piece in PieceReader(path).pieces() if isinstance(piece, Piece)]
    which = np.concatenate([decoder.decode(piece).which for piece in pieces])
    assert (which == OTHER).sum() <= 20, "more than the version and a few events around changes of width"
    assert at_once(path, RECORD_TYPES) == one_by_one(path, RECORD_TYPES)
    assert len(one_by_one(path, RECORD_TYPES)[0]) == len(which) - 1


def test_tags_by_the_hundred_of_one_length(tmp_path: Path) -> None:
    events = [foreign.event(n, foreign.simple(f"layer{k:03}/weight", n + k)) for n in range(30) for k in range(150)]
    path = foreign.write(tmp_path / "tfevents", *events)
    (piece,) = PieceReader(path).pieces()
    assert isinstance(piece, Piece)
    columns = ColumnDecoder().decode(piece)
    assert len(columns.patterns) >= 150
    assert (columns.which == OTHER).sum() <= 151  # the version, and the first step, whose frames are shorter
    assert at_once(path, RECORD_TYPES) == one_by_one(path, RECORD_TYPES)


def test_events_of_a_thousand_tags(tmp_path: Path) -> None:
    tags = tuple(f"layer{n}/weight" for n in range(1000))
    times = 1.7e9 + np.arange(60, dtype=np.float64)
    block = ScalarBlock([tags], np.zeros(60, np.int32), np.arange(60), times, np.arange(60_000) / 7)
    path = tmp_path / "tfevents"
    path.write_bytes(encode_scalars(block))
    assert at_once(path, RECORD_TYPES) == one_by_one(path, RECORD_TYPES)


def test_a_file_that_grows_while_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "tfevents"
    data = b"".join(frame(foreign.event(n, foreign.simple("a", n)).SerializeToString()) for n in range(100))
    reader, found = EventReader(path), []
    for end in range(0, len(data) + 1, 37):
        path.write_bytes(data[:end])
        found += [record for records in reader.records() for record in records]
    path.write_bytes(data)
    found += [record for records in reader.records() for record in records]
    assert [record.step for record in found if isinstance(record, Scalar)] == list(range(100))


@fuzz
@given(files())
def test_curves_and_points_are_those_of_the_records(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as name:
        (Path(name) / "a.tfevents").write_bytes(data)
        (Path(name) / "b.tfevents").write_bytes(data)
        records = [r for records in read_history(Path(name), kinds=frozenset({Scalar})) for r in records]
        tags = TAGS[:-1]  # a tensor of the last one counts as a text where tags are chosen
        curves, points = read_curves(Path(name), tags, max_buckets=16), read_points(Path(name), tags)
        for tag in tags:
            series, last = DownsampledSeries(16), dict[int, float]()
            for record in records:
                if isinstance(record, Scalar) and record.tag == tag:
                    series.add(record.step, record.value)
                    last[record.step] = record.value
            assert curves.series[tag].points() == series.points()
            assert repr(curves.series[tag].first_non_finite) == repr(series.first_non_finite)
            assert points[tag][0].tolist() == sorted(last)
            np.testing.assert_array_equal(points[tag][1], [last[step] for step in sorted(last)])


@pytest.mark.slow
def test_memory_is_bounded_by_what_is_asked_for(tmp_path: Path) -> None:
    """Curves of four tags out of a file of 33 MB take some megabytes, and so does one tag's last value."""
    steps = np.arange(180_000)
    tags = ("train/loss", "train/accuracy", "test/loss", "test/accuracy")
    block = ScalarBlock([tags], np.zeros(len(steps), np.int32), steps, 1.7e9 + steps / 1e3, np.sin(np.arange(720_000)))
    (tmp_path / "tfevents").write_bytes(encode_scalars(block))
    script = """
import re, sys
from pathlib import Path
from monitor.comparison.event_data import read_curves
def peak():
    return int(re.search(r"VmHWM:\\s*([0-9]+)", Path("/proc/self/status").read_text())[1]) / 1024
(Path(sys.argv[1]) / "small").mkdir()
with open(f"{sys.argv[1]}/tfevents", "rb") as file, open(f"{sys.argv[1]}/small/tfevents", "wb") as small:
    small.write(file.read(2**20))
read_curves(Path(sys.argv[1]) / "small", ["train/loss"])
before = peak()
curves = read_curves(Path(sys.argv[1]), sys.argv[2:])
print(min(series.count for series in curves.series.values()), peak() - before)
"""
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path), *tags], capture_output=True, text=True, timeout=200, check=True
    )
    count, more = done.stdout.split()
    assert int(count) == 180_000
    assert float(more) < 25
