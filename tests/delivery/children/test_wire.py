"""Every record that a child may log arrives as it was sent; media that no log call makes are refused."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from monitor import Config, Record, Restart
from monitor.delivery.children.wire import Frames, encode
from monitor.delivery.children.wire_decoding import decode
from monitor.runs.settings.convert import to_settings
from monitor.testing import hostile_records, sample_records

if TYPE_CHECKING:
    from collections.abc import Iterator

SENT = [
    record
    for record in (*sample_records(), *hostile_records().values())
    if not isinstance(record, Restart)
    and not (isinstance(record, Config) and record.values != to_settings(record.values))  # that no call makes
]


def same(one: Any, other: Any) -> bool:
    if isinstance(one, np.ndarray):
        return one.dtype == other.dtype and np.array_equal(one, other, equal_nan=one.dtype.kind == "f")
    if isinstance(one, tuple):
        return len(one) == len(other) and all(same(*pair) for pair in zip(one, other))
    return bool(one == other) or (one != one and other != other)


@pytest.mark.parametrize("record", SENT, ids=lambda record: type(record).__name__)
def test_a_record_arrives_as_it_was_sent(record: Record) -> None:
    frames = Frames()
    frames.add(encode(record))
    ((header, arrays),) = frames
    found = decode(header, arrays, set())
    assert type(found) is tuple or type(found) is type(record)
    assert same(tuple(found), tuple(record))


def array(dtype: str, *shape: int) -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape}


def refused() -> Iterator[tuple[str, list[Any], int]]:
    """Yield what is wrong, the header, and the bytes of the arrays."""
    bytes_, table = array("|u1", 4), ["Table", "t", ["a"]]
    yield "no picture", ["Figure", "f", bytes_, 0, 0.0, ""], 4
    yield "two figures", ["Figure", "f", bytes_, 0, 0.0, '{"data":[]}'], 4
    yield "no figure", ["Figure", "f", array("|u1", 0), 0, 0.0, ""], 0
    yield "other JSON", ["Figure", "f", array("|u1", 0), 0, 0.0, "[]"], 0
    yield "deep JSON", ["Figure", "f", array("|u1", 0), 0, 0.0, "[" * 100_000], 0
    yield "another type", ["Audio", "a", bytes_, 0, 0.0, "text/html", 1, 1, 1], 4
    yield "no sound", ["Audio", "a", array("|u1", 0), 0, 0.0, "audio/wav", 1, 1, 1], 0
    yield "a negative rate", ["Audio", "a", bytes_, 0, 0.0, "audio/wav", -1, 1, 1], 4
    yield "no film", ["Video", "v", bytes_, 1, 1, 0, 0.0], 4
    yield (
        "no image",
        ["Detections", "d", array("|u1", 2, 1, 1), array("<f8", 0, 4), [], array("|u1", 0, 1, 1), 0, 0.0],
        2,
    )
    yield (
        "no boxes",
        ["Detections", "d", array("|u1", 1, 1, 1), array("<f8", 0, 3), [], array("|u1", 0, 1, 1), 0, 0.0],
        1,
    )
    yield (
        "labels",
        ["Detections", "d", array("|u1", 1, 1, 1), array("<f8", 0, 4), ["a"], array("|u1", 0, 1, 1), 0, 0.0],
        1,
    )
    yield "masks", ["Detections", "d", array("|u1", 1, 1, 1), array("<f8", 0, 4), [], array("|u1", 1, 1, 2), 0, 0.0], 3
    yield "counts", ["PRCurve", "p", array("<f8", 3, 1), array("<f8", 1), array("<f8", 1), 0, 0.0], 40
    yield "flat vectors", ["Embedding", "e", array("<f4", 1), 0, 0.0, [], [], None], 4
    yield "too many labels", ["Embedding", "e", array("<f4", 1, 1), 0, 0.0, [["a"], ["b"]], [], None], 4
    yield "columns", ["Embedding", "e", array("<f4", 1, 1), 0, 0.0, [["a"]], ["x", "y"], None], 4
    yield "images", ["Embedding", "e", array("<f4", 1, 1), 0, 0.0, [], [], array("|u1", 2, 1, 1, 1)], 6
    yield "pairs", ["Mesh", "m", array("<f4", 1, 2), array("<i8", 0, 3), array("|u1", 0, 3), 0, 0.0], 8
    yield "too few colors", ["Mesh", "m", array("<f4", 2, 3), array("<i8", 0, 3), array("|u1", 1, 3), 0, 0.0], 27
    yield "ragged rows", [*table, [["1"], ["1", "2"]], 0, 0.0], 0
    yield "a number in a cell", [*table, [[1]], 0, 0.0], 0
    yield "no event", ["Summary", "s", bytes_, 0, 0.0], 4


@pytest.mark.parametrize(("header", "size"), [case[1:] for case in refused()], ids=[case[0] for case in refused()])
def test_what_no_log_call_makes_is_refused(header: list[Any], size: int) -> None:
    with pytest.raises((ValueError, TypeError, RecursionError)):
        decode(json.dumps(header).encode(), b"\xff" * size, set())
