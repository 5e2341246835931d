"""Scalars that are encoded many at a time are the bytes of protocol buffers, and are decoded again."""

from __future__ import annotations

import math
import os
import random
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary

from monitor import DataError, Scalar, ScalarBlock
from monitor.events.framing import frame
from monitor.events.scalars import layout as scalar_layout
from monitor.events.scalars.decoding import decode_scalars
from monitor.events.scalars.encoding import SAME_EVENT_S, encode_scalars

if TYPE_CHECKING:
    from collections.abc import Sequence

fuzz = settings(
    max_examples=int(os.environ.get("MONITOR_FUZZ", "300")) // 2,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    derandomize=True,
)
FOUR = ("train/loss", "train/a", "train/b", "other/c")

tags = st.sampled_from(["a", "b", "c", "train/loss", "ä/ö", "", "long " * 30])
groups = st.lists(st.lists(tags, max_size=5).map(tuple), min_size=1, max_size=4)
steps = st.one_of(st.integers(-3, 300), st.integers(-(2**63), 2**63 - 1), st.sampled_from([0, 127, 128, 2**14, 2**35]))
gaps = st.sampled_from([0.0, 1e-6, 4e-4, 9e-4, SAME_EVENT_S, 2e-3, 1.0, -5e-4, -2.0, math.nan, math.inf])
values = st.floats(allow_nan=True, allow_infinity=True)


@st.composite
def blocks(draw: st.DrawFn) -> ScalarBlock:
    """Calls in a pattern that is repeated, so that there are many alike, with a few changed."""
    chosen = draw(groups)
    pattern = draw(st.lists(st.integers(0, len(chosen) - 1), min_size=1, max_size=6))
    repeats = draw(st.integers(1, 120))
    group = np.array(pattern * repeats, np.int32)
    group[draw(st.lists(st.integers(0, len(group) - 1), max_size=3))] = 0
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    step_pool, gap_pool = (np.array(draw(st.lists(kind, min_size=1, max_size=3))) for kind in (steps, gaps))
    rising = draw(st.integers(0, 3))
    with np.errstate(over="ignore"):
        at = rng.choice(step_pool.astype(np.int64), len(group)) // (1 if rising < 2 else 2**40)
        at += rising * np.arange(len(group)) // len(pattern)
    times = draw(st.sampled_from([0.0, -0.0, 1.7e9])) + np.cumsum(rng.choice(gap_pool, len(group)))
    block = ScalarBlock(chosen, group, at, times, np.zeros(sum(len(chosen[number]) for number in group)))
    pool = draw(st.lists(values, max_size=4))
    block.values[:] = rng.normal(size=len(block)) * 10.0 ** rng.integers(-50, 50, len(block))
    if pool and len(block):
        places = rng.integers(0, len(block), len(block) // 3)
        block.values[places] = rng.choice(np.array(pool), len(places))
    return block


def message_by_message(scalars: Sequence[Scalar]) -> bytes:
    """Encode scalars as protocol buffers do: consecutive ones of a step share an event if they are close in time."""
    events: list[tuple[int, float, list[Scalar]]] = []
    for scalar in scalars:
        if not events or scalar.step != events[-1][0] or abs(scalar.time - events[-1][1]) > SAME_EVENT_S:
            events.append((scalar.step, scalar.time, []))
        events[-1][2].append(scalar)
    frames = []
    for step, time, members in events:
        message = Event(wall_time=time, step=step)
        message.summary.value.extend(Summary.Value(tag=x.tag) for x in members)
        for slot, scalar in zip(message.summary.value, members):
            slot.simple_value = scalar.value
        frames.append(frame(message.SerializeToString()))
    return b"".join(frames)


def block_of(tags: tuple[str, ...], count: int, start: int = 0) -> ScalarBlock:
    numbers = np.arange(start, start + count)
    values = np.random.default_rng(0).normal(size=count * len(tags))
    return ScalarBlock([tags], np.zeros(count, np.int32), numbers, 1.7e9 + numbers / 100, values)


def assert_same_scalars(found: ScalarBlock, wanted: ScalarBlock) -> None:
    assert [(x.tag, x.step) for x in found.records()] == [(x.tag, x.step) for x in wanted.records()]
    with np.errstate(over="ignore", invalid="ignore"):
        np.testing.assert_array_equal(found.values.astype(np.float32), wanted.values.astype(np.float32))


@fuzz
@given(blocks())
def test_the_bytes_are_those_of_protocol_buffers(block: ScalarBlock) -> None:
    assert encode_scalars(block) == message_by_message(block.records())


@fuzz
@given(blocks())
def test_what_is_encoded_is_decoded(block: ScalarBlock) -> None:
    data = encode_scalars(block)
    found = decode_scalars(data)
    assert_same_scalars(found, block)
    assert encode_scalars(found) == data  # so the times are those of the events
    assert found.starts[-1] == len(found)


@pytest.mark.parametrize("count", [1, 47, 48, 5000])
@pytest.mark.parametrize("tags", [("a",), FOUR, ("a", "b", "a"), tuple(f"layer{n}/weight" for n in range(1000))])
def test_steps_of_every_size(tags: tuple[str, ...], count: int) -> None:
    block = block_of(tags, min(count, 60_000 // len(tags)), start=100)
    data = encode_scalars(block)
    assert data == message_by_message(block.records())
    assert_same_scalars(decode_scalars(data), block)
    np.testing.assert_array_equal(decode_scalars(data).times, block.times)


@pytest.mark.parametrize("count", [2, 100])
def test_a_part_of_a_block(count: int) -> None:
    block = block_of(FOUR, 200).part(50, 50 + count)
    assert encode_scalars(block) == message_by_message(block.records())


def test_kinds_of_steps_in_turns() -> None:
    group = np.array([0, 1, 0, 0, 2] * 100, np.int32)
    tags = [FOUR, ("test/loss", "test/accuracy"), ("a",)]
    numbers = np.arange(len(group))
    values = np.arange(sum(len(tags[n]) for n in group)) / 7
    block = ScalarBlock(tags, group, numbers, 1.7e9 + numbers / 1e5, values)
    data = encode_scalars(block)
    assert data == message_by_message(block.records())
    assert_same_scalars(decode_scalars(data), block)


def test_many_tags_of_the_same_length() -> None:
    """Neither direction tries each of many layouts on all events."""
    scalars = [Scalar(f"layer{n % 200:03}", n / 3, n, n / 10) for n in range(20_000)]
    data = encode_scalars(ScalarBlock.of(scalars))
    assert data == message_by_message(scalars)
    assert_same_scalars(decode_scalars(data), ScalarBlock.of(scalars))


def test_nothing_at_all() -> None:
    empty = ScalarBlock([()], np.zeros(3, np.int32), np.zeros(3, np.int64), np.zeros(3), np.zeros(0))
    for block in (ScalarBlock.of([]), empty):
        assert encode_scalars(block) == b""
    assert len(decode_scalars(b"")) == 0


@pytest.mark.parametrize("count", [1, 100])
def test_a_tag_that_cannot_be_written_is_refused(count: int) -> None:
    with pytest.raises(UnicodeEncodeError):
        encode_scalars(block_of(("a", "\ud800"), count))


@pytest.mark.parametrize("count", [3, 300])
def test_damage_is_found_wherever_it_is(count: int) -> None:
    data = encode_scalars(block_of(FOUR, count))
    size = len(data) // count
    for at in (*range(size), *range(len(data) - size, len(data)), len(data) // 2):
        damaged = bytearray(data)
        damaged[at] ^= 1 << at % 8
        with pytest.raises(DataError):
            decode_scalars(bytes(damaged))
    for cut in range(1, size):
        with pytest.raises(DataError):
            decode_scalars(data[:-cut])


def test_other_events_are_refused() -> None:
    text = Event(wall_time=1.0, step=1, summary=Summary(value=[Summary.Value(tag="a", node_name="b")]))
    image = Event(wall_time=1.0, step=1, summary=Summary(value=[Summary.Value(tag="a", image=Summary.Image(width=3))]))
    for event in (text, image, Event(file_version="brain.Event:2"), Event()):
        for around in (b"", encode_scalars(block_of(("a",), 100))):
            with pytest.raises(DataError):
                decode_scalars(around + frame(event.SerializeToString()) + around)


@fuzz
@given(st.binary(max_size=200), st.booleans())
def test_any_bytes_are_scalars_or_damaged(data: bytes, framed: bool) -> None:
    data = frame(data) if framed else data
    try:
        found = decode_scalars(data)
    except DataError:
        return
    assert encode_scalars(found) == data


def test_events_with_equal_hashes_but_other_tags(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hash only proposes which events are alike."""
    monkeypatch.setattr("monitor.events.scalars.encoding._scramble", lambda numbers: numbers.astype(np.uint64) * 0)
    rng = random.Random(0)
    scalars = [Scalar(rng.choice("abc"), 1.0, n // 2, n // 2) for n in range(400)]
    assert encode_scalars(ScalarBlock.of(scalars)) == message_by_message(scalars)


def test_long_events_need_no_tables() -> None:
    tags = tuple("x" * 50 + str(n) for n in range(40))
    assert scalar_layout.Layout(tags, 1, has_time=True).size > scalar_layout.MAX_TABLES
    block = block_of(tags, 100)
    data = encode_scalars(block)
    assert data == message_by_message(block.records())
    damaged = bytearray(data)
    damaged[len(data) // 2] ^= 1
    with pytest.raises(DataError):
        decode_scalars(bytes(damaged))
