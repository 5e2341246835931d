"""The entries of a child's log calls as bytes: a JSON header, and the arrays behind it.

A frame is the sizes of the two parts, and the parts.
"""

from __future__ import annotations

import json
import struct
from typing import TYPE_CHECKING, Any

from monitor.metrics import Definition
from monitor.records import RECORD_TYPES, Restart

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from monitor.records import Record

PREFIX = struct.Struct("<QQ")  # bytes of the header, and of the arrays
MAX_HEADER_BYTES = 2**28
MAX_ARRAY_BYTES = 2**34
KINDS = frozenset(kind.__name__ for kind in RECORD_TYPES - {Restart} | {Definition})

# What the inbox takes for scalars: (tag, value, step, time), or None and the values by tag in place of the first two.
# An automatic step is None, in records too: the parent counts it.
ScalarEntry = tuple[str, float, int | None, float] | tuple[None, dict[str, float], int | None, float]


def encode(entry: Record | Definition | ScalarEntry) -> bytes:
    """Return the frame of an entry. Raises `TypeError` for what no child logs, `ValueError` for what is too large."""
    arrays: list[NDArray[Any]] = []

    def describe(array: Any) -> dict[str, Any]:
        import numpy as np

        if isinstance(array, bytes):
            array = np.frombuffer(array, np.uint8)
        if not isinstance(array, np.ndarray):
            raise TypeError(f"a {type(array).__name__} cannot be sent")
        arrays.append(np.ascontiguousarray(array))
        return {"dtype": array.dtype.str, "shape": array.shape}

    kind = "Scalar" if type(entry) is tuple else type(entry).__name__
    if kind not in KINDS:
        raise TypeError(f"a {kind} record cannot be logged in a child process")
    header = json.dumps([kind, *entry], default=describe).encode()
    size = sum(array.nbytes for array in arrays)
    if len(header) > MAX_HEADER_BYTES or size > MAX_ARRAY_BYTES:
        raise ValueError(f"{len(header) + size:,} bytes are too many for one record of a child process")
    return b"".join([PREFIX.pack(len(header), size), header, *(array.data.cast("B") for array in arrays if array.size)])


class Frames:
    """What has arrived over one connection: iterating takes the two parts of each frame that is complete."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._offset = 0  # what comes before it is taken

    def add(self, data: bytes) -> None:
        """Add what has arrived."""
        del self._data[: self._offset]
        self._offset = 0
        self._data += data

    def take(self, count: int) -> bytes:
        """Return the next `count` bytes, none if not so many have arrived."""
        start, end = self._offset, self._offset + count
        if end > len(self._data):
            return b""
        self._offset = end
        with memoryview(self._data) as data:
            return bytes(data[start:end])

    def __iter__(self) -> Iterator[tuple[bytes, bytes]]:
        """Yield the header and the arrays of each frame. Raises `ValueError` for sizes that no frame has."""
        while len(self._data) - self._offset >= PREFIX.size:
            header, arrays = PREFIX.unpack_from(self._data, self._offset)
            if header > MAX_HEADER_BYTES or arrays > MAX_ARRAY_BYTES:
                raise ValueError("this is not a frame")
            if len(self._data) - self._offset < PREFIX.size + header + arrays:
                return
            self._offset += PREFIX.size
            yield self.take(header), self.take(arrays)
