"""Read event files in pieces: whole frames found at once, thousands at a time where their lengths repeat.

A loop over frames in Python costs more than all the rest. Logs repeat: after a few frames, the lengths of the next ones
are known, and one comparison tells how far that is true.
"""

from __future__ import annotations

import os
from itertools import pairwise
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

import numpy as np
from crc32c import crc32c

from monitor.events import framing
from monitor.events.framing import CHECKSUM, HEADER, LENGTH, MAX_LENGTH, FrameReader, masked_crc, read_large
from monitor.machine.files import open_regular

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

MAX_KNOWN_HEADERS = 4096  # whose checksums are known to be right
FIRST_LOOK, MAX_LOOK = 32, 2048  # frames that are walked before the next look for a repetition
OVERHEAD = HEADER.size + CHECKSUM.size


class Piece(NamedTuple):
    """E whole frames, whose lengths are checked and whose events are not.

    Attributes:
        data: their bytes, and others behind them.
        offsets: where each frame begins, and where the last one ends: E + 1 numbers.
        place: where `data` begins in the file.
    """

    data: bytes
    offsets: NDArray[np.intp]
    place: int


class PieceReader(FrameReader):
    """Read one file's frames in pieces; each pass goes on where the last one stopped."""

    def pieces(self, stop: int | None = None) -> Iterator[Piece | bytes]:
        """Yield pieces of the file, and each event that is larger than a piece, checked; a torn end is left.

        Damage counts as in `frames`, apart from the checksums of events in pieces, which the caller checks. Takes
        memory for one piece of a megabyte, or for one event. Raises `OSError`.

        Args:
            stop: go no further than the first piece that reaches this byte of the file; by default, to its end.
        """
        if self.unreadable:
            return
        headers: dict[bytes, int] = {}
        with open_regular(self.path) as file:
            file.seek(self.offset)
            rest = b""
            while stop is None or self.offset < stop:
                more = file.read(framing.READ_CHUNK_BYTES)
                data, is_end = rest + more if rest else more, not more
                del more  # a megabyte, as is all the rest
                offsets, size = _walk(data, headers)
                rest, place = data[offsets[-1] :], self.offset
                if len(offsets) > 1:
                    self.offset += int(offsets[-1])
                    only = [Piece(data, offsets, place)]
                    del data, offsets
                    yield only.pop()
                if size < 0:
                    self.damaged += 1
                    self.unreadable = True
                if size < 0 or is_end:
                    return
                if size > framing.READ_CHUNK_BYTES:
                    if os.fstat(file.fileno()).st_size < self.offset + size:
                        return
                    rest = b""
                    yield from self._large(file, size)
                    file.seek(self.offset)

    def _large(self, file: BinaryIO, size: int) -> Iterator[bytes]:
        """Yield the event in a large frame; count it if it is damaged, or too large to be read."""
        data, checksum = read_large(file, self.offset + HEADER.size, size - OVERHEAD)
        self.offset += size
        if CHECKSUM.pack(masked_crc(crc32c(data))) != checksum:
            self.damaged += 1
            return
        only = [data]
        del data  # a large event is in memory once
        yield only.pop()


def _walk(data: bytes, headers: dict[bytes, int]) -> tuple[NDArray[np.intp], int]:
    """Return where the whole frames in `data` begin and end, and the size of the frame that comes next.

    It is 0 if that is unknown, and negative if its length is damaged. `headers` has the sizes of known headers.
    """
    found: list[NDArray[np.intp]] = []
    walked, look, at, end = [0], FIRST_LOOK, 0, len(data)
    while True:
        size = -1
        for _ in range(look):
            size = headers.get(data[at : at + HEADER.size], 0) or _frame_size(data, at, headers)
            if size <= 0 or at + size > end:
                break
            at += size
            walked.append(at)
        else:
            repeated = _repeated(data, walked)
            if len(repeated) > look:
                found += [np.array(walked, np.intp), repeated]
                at, look = int(repeated[-1]), FIRST_LOOK
                walked = []
                continue
            look = min(2 * look, MAX_LOOK)
            continue
        found.append(np.array(walked, np.intp))
        return np.concatenate(found) if len(found) > 1 else found[0], size


def _frame_size(data: bytes, at: int, headers: dict[bytes, int]) -> int:
    """Return the size of the frame whose header is at `at`: 0 if it is cut off, and -1 if it is damaged."""
    header = data[at : at + HEADER.size]
    if len(header) < HEADER.size:
        return 0
    length, checksum = HEADER.unpack(header)
    if length > MAX_LENGTH or masked_crc(crc32c(header[: LENGTH.size])) != checksum:
        return -1
    if len(headers) >= MAX_KNOWN_HEADERS:
        headers.clear()
    size = headers[header] = int(length) + OVERHEAD
    return size


def _repeated(data: bytes, walked: list[int]) -> NDArray[np.intp]:
    """Return the ends of the frames that repeat the last ones that were walked."""
    sizes = [end - start for start, end in pairwise(walked[-2 * MAX_LOOK - 1 :])]
    none = np.zeros(0, np.intp)
    period = _period(sizes)
    if not period:
        return none
    sizes = sizes[-period:]
    ends = np.cumsum(sizes)
    stride, at = int(ends[-1]), walked[-1]
    count = (len(data) - at) // stride
    if not count:
        return none
    equal = np.ones(count, np.bool_)
    for start, size in zip((ends - sizes).tolist(), sizes):
        length, checksum = HEADER.unpack_from(data, at + start - stride)
        equal &= np.ndarray((count,), "<u8", data, at + start, (stride,)) == size - OVERHEAD
        equal &= np.ndarray((count,), "<u4", data, at + start + LENGTH.size, (stride,)) == checksum
        assert length == size - OVERHEAD
    count = count if equal.all() else int(equal.argmin())
    repeated: NDArray[np.intp] = (at + stride * np.arange(count)[:, None] + ends).ravel()
    return repeated


def _period(sizes: list[int]) -> int:
    """Return after how many frames their sizes repeat; 0 if they do not."""
    for period in range(1, len(sizes) // 2 + 1):
        count = min(len(sizes), max(2 * period, FIRST_LOOK - 2))
        if sizes[-1] == sizes[-1 - period] and sizes[-count:-period] == sizes[period - count :]:
            return period
    return 0
