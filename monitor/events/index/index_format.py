"""The bytes of an index: a header, and each curve's summary, compressed, so that it can be read without the others."""

from __future__ import annotations

import itertools
import json
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np

from monitor.render.reduction.downsampling import DownsampledSeries

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from monitor.render.reduction.buckets import Point

MAGIC = b"monitor index 1\n"
LENGTH_BYTES = 8  # of the header's length
ROLES = 5  # points of a bucket: the first, last, lowest, highest, and one that is not finite
MAX_HEADER_BYTES = 2**24
MAX_BUCKETS = 4096  # of one curve; more are not from us


def encode(header: Mapping[str, Any], sections: Mapping[str, bytes]) -> bytes:
    """Return the bytes of an index; `header` gets the place of each section under `sections`."""
    places, at = {}, 0
    for name, section in sections.items():
        places[name] = [at, len(section)]
        at += len(section)
    packed = zlib.compress(json.dumps({**header, "sections": places}).encode(), 6)
    start = MAGIC + len(packed).to_bytes(LENGTH_BYTES, "little") + packed
    return start + zlib.crc32(start).to_bytes(4, "little") + b"".join(sections.values())


def decode(data: bytes) -> tuple[dict[str, Any], int]:
    """Return the header at the beginning of an index, and where its sections begin.

    Raises `ValueError`, or another exception, for anything that `encode` does not return.
    """
    at = len(MAGIC) + LENGTH_BYTES
    if not data.startswith(MAGIC):
        raise ValueError("this is no index")
    end = at + int.from_bytes(data[len(MAGIC) : at], "little")
    if end + 4 > len(data) or zlib.crc32(data[:end]) != int.from_bytes(data[end : end + 4], "little"):
        raise ValueError("the header of the index is damaged")
    unpacker = zlib.decompressobj()
    header = json.loads(unpacker.decompress(data[at:end], MAX_HEADER_BYTES))
    if not isinstance(header, dict):
        raise ValueError("the header of the index is no object")
    return header, end + 4


def encode_series(series: DownsampledSeries) -> bytes:
    """Return a curve's buckets, compressed, without the times of their points."""
    size, buckets = series.buckets()
    points = [(-1, 0, 0.0) if point is None else point[:3] for bucket in buckets for point in bucket]
    sums = series.sums()
    positions, steps, values = (
        np.array(column, dtype)
        for column, dtype in zip(zip(*points) if points else ((), (), ()), (np.int64, np.int64, np.float64))
    )
    starts = np.repeat(np.arange(len(buckets), dtype=np.int64) * size, ROLES)
    with np.errstate(over="ignore", invalid="ignore"):
        singles = values.astype(np.float32)
        is_single = bool((singles.astype(np.float64).view(np.int64) == values.view(np.int64)).all())
    parts = [
        np.array([series.count, size, len(buckets), is_single], np.int64).tobytes(),
        _shuffled(np.where(positions < 0, np.int64(-1), positions - starts)),
        _shuffled(steps - positions),  # usually the same for all
        _shuffled(np.array([finite for finite, _ in sums], np.int64)),
        _shuffled(np.array([total for _, total in sums], np.float64)),
        _shuffled(singles if is_single else values),
    ]
    data = b"".join(parts)
    return zlib.crc32(data).to_bytes(4, "little") + zlib.compress(data, 6)


def decode_series(section: bytes, max_buckets: int) -> DownsampledSeries:
    """Return the curve. Raises `ValueError` or another exception for what `encode_series` does not return."""
    limit = 32 + ROLES * MAX_BUCKETS * 24 + MAX_BUCKETS * 16
    data = zlib.decompressobj().decompress(section[4:], limit)
    if zlib.crc32(data) != int.from_bytes(section[:4], "little"):
        raise ValueError("a curve of the index is damaged")
    count, size, number, is_single = np.frombuffer(data, np.int64, 4).tolist()
    if (
        not 0 <= number <= MAX_BUCKETS
        or size < 1
        or (not (number - 1) * size < count <= number * size and (number or count))
    ):
        raise ValueError("a curve of the index has an impossible size")
    points, at = number * ROLES, 32
    positions = _unshuffled(data[at : at + 8 * points], np.int64)
    steps = _unshuffled(data[at + 8 * points : at + 16 * points], np.int64)
    sums_at = at + 16 * points
    values_at = sums_at + 16 * number
    finite = _unshuffled(data[sums_at : sums_at + 8 * number], np.int64).tolist()
    totals = _unshuffled(data[sums_at + 8 * number : values_at], np.float64).tolist()
    values = _unshuffled(data[values_at:], np.float32 if is_single else np.float64).astype(np.float64)
    exist = positions >= 0
    positions = np.where(exist, positions + np.repeat(np.arange(number, dtype=np.int64) * size, ROLES), -1)
    steps = steps + positions
    found: list[Point | None] = [
        point if exists else None
        for exists, point in zip(
            exist.tolist(), zip(positions.tolist(), steps.tolist(), values.tolist(), itertools.repeat(0.0))
        )
    ]
    if len(found) != points or len(totals) != number:
        raise ValueError("a curve of the index is cut off")
    buckets = [tuple(found[place : place + ROLES]) for place in range(0, points, ROLES)]
    return DownsampledSeries.restored(max_buckets, size, count, buckets, list(zip(finite, totals)))


def _shuffled(array: NDArray[Any]) -> bytes:
    """Return the first bytes of all numbers, then the second bytes, and so on, which compress better."""
    shuffled: bytes = array.view(np.uint8).reshape(-1, array.itemsize).T.tobytes()
    return shuffled


def _unshuffled(data: bytes, dtype: type) -> NDArray[Any]:
    size = np.dtype(dtype).itemsize
    array: NDArray[Any] = np.ascontiguousarray(np.frombuffer(data, np.uint8).reshape(size, -1).T).view(dtype).ravel()
    return array
