"""The framing of W&B's logs: LevelDB's log format behind a header of their own.

The file consists of blocks of 32 KiB. A record is one chunk, or several in blocks that follow each other; a chunk has a
checksum, a length, and a type. Source: https://github.com/google/leveldb/blob/main/doc/log_format.md. W&B's header
takes the first 7 bytes of the first block, and its checksum is zlib's CRC-32 over type and data.
"""

from __future__ import annotations

import os
import struct
from typing import TYPE_CHECKING, BinaryIO
from zlib import crc32

from monitor.machine.files import open_regular

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FILE_HEADER = struct.Struct("<4sHB")  # identifier, magic number, version of the format
IDENTIFIER, MAGIC = b":W&B", 0xBEE1
VERSIONS = (0, 1)  # 1: rows need not say their steps
BLOCK_BYTES = 2**15
READ_BYTES = 32 * BLOCK_BYTES
CHUNK_HEADER = struct.Struct("<IHB")  # checksum, length of the data, type
FULL, FIRST, MIDDLE, LAST = 1, 2, 3, 4
CRC_OF_TYPE = {kind: crc32(bytes([kind])) for kind in (FULL, FIRST, MIDDLE, LAST)}
MAX_RECORD_BYTES = 2**26  # larger records are not read into memory


class BlockLogReader:
    """Read the records of one file; each pass continues where the last one stopped.

    Attributes:
        offset: where the first unread record begins.
        damaged: the number of places where records could not be read, and of records that are too large.
        refused: why the file cannot be read at all; empty if it can.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.offset = 0
        self.damaged = 0
        self.refused = ""
        self._last_size = -1  # of the file, at the end of the last pass

    def records(self) -> Iterator[bytes]:
        """Yield the bytes of each complete record; a torn end is left for the next pass. Raises `OSError`.

        Takes time in proportion to the bytes read, and memory for one record. Behind a damaged chunk, reading continues
        in the next block; a damaged chunk in the last block may still be in the making, so it counts as torn.
        """
        if self.refused:
            return
        with open_regular(self.path) as file:
            size = os.fstat(file.fileno()).st_size
            if size == self._last_size:
                return
            if not self.offset and not self._check_header(file, size):
                return
            yield from self._records(_Chunks(file, self.offset, size))
            self._last_size = size

    @property
    def torn(self) -> int:
        """Bytes at the end that are not a complete record."""
        try:
            return 0 if self.refused else max(0, self.path.stat().st_size - self.offset)
        except OSError:
            return 0

    def _check_header(self, file: BinaryIO, size: int) -> bool:
        """Tell whether the header is there and right; if it is wrong, say so in `refused`."""
        if size < FILE_HEADER.size:
            return False
        identifier, magic, version = FILE_HEADER.unpack(file.read(FILE_HEADER.size))
        if (identifier, magic) != (IDENTIFIER, MAGIC):
            self.refused = "not a W&B log"
        elif version not in VERSIONS:
            self.refused = f"version {version} of W&B's log format is not known"
        else:
            self.offset = FILE_HEADER.size
        return not self.refused

    def _records(self, chunks: _Chunks) -> Iterator[bytes]:
        """Put the chunks together; `offset` moves behind each record that is complete or lost."""
        parts: list[bytes] = []
        length = 0
        is_inside = False  # between the first and the last chunk of a record
        for kind, data in chunks:
            if not kind:  # a damaged chunk; what began before it is lost
                self.damaged += 1
                parts, length, is_inside = [], 0, False
                self.offset = chunks.position
            elif kind in (FULL, FIRST):
                self.damaged += is_inside  # the record before has no end
                parts, length, is_inside = [data], len(data), kind == FIRST
                if is_inside:
                    self.offset = chunks.start
            elif is_inside:
                length += len(data)
                if length > MAX_RECORD_BYTES:
                    parts = []
                else:
                    parts.append(data)
                is_inside = kind == MIDDLE
            else:  # the rest of a record whose first chunk was damaged
                self.offset = chunks.position
                continue
            if kind in (FULL, LAST):
                self.offset = chunks.position
                if length > MAX_RECORD_BYTES:
                    self.damaged += 1
                    continue
                only = [data if kind == FULL else b"".join(parts)]
                parts = []
                del data  # a large record is in memory once: while it is used, there is no reference to it here
                yield only.pop()


class _Chunks:
    """Iterate over the chunks of a file up to `size`, as pairs of type and data; type 0 stands for a damaged chunk.

    Attributes:
        start: where the last chunk began.
        position: where the next one begins.
    """

    def __init__(self, file: BinaryIO, position: int, size: int) -> None:
        self._file, self._size = file, size
        self.start = self.position = position

    def __iter__(self) -> Iterator[tuple[int, bytes]]:
        unpack, header_size = CHUNK_HEADER.unpack_from, CHUNK_HEADER.size
        base = end = 0  # where in the file `data` begins and ends
        data = b""
        while True:
            self.start = position = self.position
            block_end = position - position % BLOCK_BYTES + BLOCK_BYTES
            if block_end - position < header_size:  # padding
                position = self.start = self.position = block_end
                block_end += BLOCK_BYTES
            if position + header_size > self._size:
                return
            if min(block_end, self._size) > end:
                base = position - position % BLOCK_BYTES
                self._file.seek(base)
                data = self._file.read(min(READ_BYTES, self._size - base))
                end = base + len(data)
                if position + header_size > end:
                    return  # the file has become shorter
            at = position - base
            checksum, length, kind = unpack(data, at)
            chunk_end = position + header_size + length
            if chunk_end > self._size and chunk_end <= block_end:
                return
            body = data[at + header_size : at + header_size + length]
            if chunk_end > block_end or kind not in CRC_OF_TYPE or crc32(body, CRC_OF_TYPE[kind]) != checksum:
                if block_end >= self._size:
                    return
                self.position = block_end
                yield 0, b""
            else:
                self.position = chunk_end
                yield kind, body
