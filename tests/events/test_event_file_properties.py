"""Whatever an event file holds, each command says so in a line or shows what can be read, and never a traceback."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import HistogramProto, Summary
from tensorboard.compat.proto.tensor_pb2 import TensorProto

from monitor import DataError, Logger, reopen
from monitor.cli import main
from monitor.events.framing import FrameReader, frame
from monitor.records import Scalar
from tests.support import foreign, hostile_events
from tests.support.records import everything

if TYPE_CHECKING:
    from collections.abc import Callable

EXAMPLES = int(os.environ.get("MONITOR_FUZZ", "300"))  # `make fuzz` sets it
fuzz = settings(
    max_examples=max(1, EXAMPLES // 10), deadline=None, suppress_health_check=list(HealthCheck), derandomize=True
)


def _ours(folder: Path) -> bytes:
    with Logger(folder / "run", ["tensorboard"], {"lr": 0.1, "name": "x"}) as log:
        for step in range(4):
            log.scalars({"train/loss": 1.0 / (step + 1), "test/loss": 0.5}, step)
        log.text("notes", "some words", 1)
        log.images("pictures", np.zeros((2, 3, 5, 4), np.uint8), 1)
        log.histogram("weights", np.linspace(-1, 1, 50), 2)
        log.checkpoint("name", 3)
        log.scalar("train/loss", 0.1, 4)
    (file,) = (folder / "run").glob("*tfevents*")
    return file.read_bytes()


def _theirs(folder: Path) -> bytes:
    values = (
        foreign.scalar("a", 0.5), foreign.scalar("b", 1.5, "half"), foreign.text("t", "one", "two"),
        foreign.images("i", np.zeros((3, 4, 3), np.uint8)), foreign.histogram("h", np.ones((3, 3))),
        foreign.old_histogram("o"), hostile_events.settings(a=1.0, b=float("inf")),
    )  # fmt: skip
    events = (foreign.event(step, value) for step, value in enumerate(values))
    return foreign.write(folder / "tfevents", *events, foreign.restart(3)).read_bytes()


def _made(make: Callable[[Path], bytes]) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        return make(Path(folder))


REAL = [_made(_ours), _made(_theirs)]


def payloads(data: bytes) -> list[bytes]:
    """Return the encoded events of a file."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "tfevents").write_bytes(data)
        return list(FrameReader(Path(folder) / "tfevents").frames())


PAYLOADS = [payload for data in REAL for payload in payloads(data)]


@st.composite
def damaged(draw: Callable[[Any], Any], sources: list[bytes]) -> bytes:
    """Return one of the sources with bytes flipped, cut out, repeated, or taken from another one."""
    data = bytearray(draw(st.sampled_from(sources)))
    for _ in range(draw(st.integers(1, 4))):
        kind = draw(st.sampled_from(["flip", "set", "cut", "end", "repeat", "splice"]))
        start, length = draw(st.integers(0, max(0, len(data) - 1))), draw(st.integers(1, 64))
        if kind == "flip" and data:
            data[start] ^= 1 << draw(st.integers(0, 7))
        elif kind == "set":
            data[start : start + length] = draw(st.binary(max_size=16))
        elif kind == "cut":
            del data[start : start + length]
        elif kind == "end":
            del data[start:]
        elif kind == "repeat":
            data[start:start] = data[start : start + length]
        else:
            other = draw(st.sampled_from(sources))
            at = draw(st.integers(0, max(0, len(other) - 1)))
            data[start:start] = other[at : at + length]
    return bytes(data)


numbers = st.floats(width=64) | st.sampled_from([0.0, float("nan"), float("inf"), -float("inf"), 1e308])
steps = st.integers(-(2**63), 2**63 - 1) | st.integers(0, 5)
tags = st.text(max_size=8) | st.sampled_from(["a", "train/loss", "[/]", "\x1b[31m", "<script>", "$x_{", "a\nb"])
sizes = st.lists(st.sampled_from([-1, 0, 1, 2, 3, 2**29, 2**62]), max_size=3)
texts = st.binary(max_size=20) | st.sampled_from([foreign.png(np.zeros((2, 2), np.uint8)), b"GIF89a", b"BM", b"4"])
tensors = st.builds(
    lambda kind, size, content, floats, doubles, ints, strings: TensorProto(
        dtype=kind, tensor_shape=foreign.shape(*size), tensor_content=content, float_val=floats, double_val=doubles,
        int64_val=ints, half_val=[n % 2**16 for n in ints], string_val=strings,
    ),
    st.integers(0, 25), sizes, st.binary(max_size=72), st.lists(st.floats(width=32), max_size=3),
    st.lists(numbers, max_size=9), st.lists(st.integers(-(2**63), 2**63 - 1), max_size=4), st.lists(texts, max_size=4),
)  # fmt: skip
plugins = st.sampled_from(["scalars", "images", "text", "histograms", "hparams", "", "other", "\x1b"])
histograms = st.builds(
    lambda low, high, limits, counts: HistogramProto(min=low, max=high, bucket_limit=limits, bucket=counts),
    numbers, numbers, st.lists(numbers, max_size=4), st.lists(numbers, max_size=4),
)  # fmt: skip
made_values = st.one_of(
    st.builds(foreign.simple, tags, st.floats(width=32)),
    st.builds(foreign.tensor, tags, plugins, tensors),
    st.builds(hostile_events.picture, tags, texts),
    st.builds(lambda tag, histo: Summary.Value(tag=tag, histo=histo), tags, histograms),
    st.builds(lambda values: hostile_events.settings(**values), st.dictionaries(st.text(max_size=5), numbers)),
)
made_events = st.one_of(
    st.builds(
        lambda step, time, values: Event(step=step, wall_time=time, summary=Summary(value=values)),
        steps, numbers, st.lists(made_values, max_size=4),
    ),
    st.builds(
        lambda step, status: Event(step=step, session_log=SessionLog(status=status, checkpoint_path="name")),
        steps, st.integers(0, 3),
    ),
).map(lambda event: event.SerializeToString())  # fmt: skip


def check(data: bytes) -> None:
    """Read a file in every way; what is raised is `DataError`, and what a command says is a line."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "bad").mkdir()
        (folder / "bad" / "tfevents").write_bytes(data)
        foreign.write(folder / "good" / "tfevents", foreign.event(1, foreign.simple("train/loss", 0.5)))
        records, reader = everything(folder / "bad")
        assert all(0 <= record.time < 2**37 for record in records)
        assert reader.damaged >= 0
        assert reader.torn >= 0
        page, copy = folder / "page.html", folder / "copy"
        for command in (
            ["compare", folder / "bad", folder / "good", "--html", page],
            ["replay", folder / "bad", "--sink", "tensorboard", "--sink", "console", "--logdir", copy],
        ):
            result = CliRunner().invoke(main, [*map(str, command)])
            if not isinstance(result.exception, SystemExit | None):
                raise result.exception
            assert result.exit_code in (0, 1, 2), result.stderr  # 1: nothing of the log can be read
            assert len(result.stderr.splitlines()) <= 1, result.stderr
        _check_reopening(folder / "bad")


def _check_reopening(run: Path) -> None:
    (run / "run.json").write_text('{"status": "finished"}')
    try:
        reopened = reopen(run, "name", 2)
    except DataError:
        return
    reopened.finish("finished")


@pytest.mark.slow
@fuzz
@given(damaged(REAL))
@example(b"")
def test_a_damaged_file(data: bytes) -> None:
    check(data)


@pytest.mark.slow
@fuzz
@given(st.lists(st.one_of(damaged(PAYLOADS), st.binary(max_size=40)), min_size=1, max_size=12))
def test_damaged_events_with_valid_checksums(events: list[bytes]) -> None:
    check(b"".join(map(frame, events)))


@pytest.mark.slow
@fuzz
@given(st.lists(made_events, min_size=1, max_size=8))
def test_events_that_no_writer_writes(events: list[bytes]) -> None:
    check(b"".join(map(frame, events)))


@fuzz
@given(st.integers(0, 8), damaged(PAYLOADS))
def test_the_events_around_a_damaged_one_are_read(position: int, bad: bytes) -> None:
    good = [foreign.event(step, foreign.simple("kept", step)).SerializeToString() for step in range(8)]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "tfevents"
        file.write_bytes(b"".join(map(frame, [*good[:position], bad, *good[position:]])))
        found = [record for record in everything(file)[0] if isinstance(record, Scalar) and record.tag == "kept"]
        assert [record.step for record in found] == list(range(8))


@pytest.mark.parametrize("data", REAL)
def test_the_real_files_are_whole(data: bytes) -> None:
    check(data)
