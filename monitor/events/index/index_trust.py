"""Whether event files are still those that an index was made of."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, NamedTuple

from crc32c import crc32c

from monitor.machine.files import open_regular

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

EDGE_BYTES = 4096  # that are checked at the beginning and at the end
SAMPLES, SAMPLE_BYTES = 14, 512  # that are checked between them


class Indexed(NamedTuple):
    """What an index knows about an event file.

    Attributes:
        name: its name.
        covered: the bytes that are in the index.
        size: the bytes that it had.
        mtime_ns: when it was last written to, in nanoseconds.
        checksum: CRC-32C of samples of what is covered.
    """

    name: str
    covered: int
    size: int
    mtime_ns: int
    checksum: int


def describe(path: Path, covered: int) -> Indexed:
    """Return what an index notes of a file. Blocks; raises `OSError`."""
    with open_regular(path) as file:
        status = os.fstat(file.fileno())
        return Indexed(path.name, covered, status.st_size, status.st_mtime_ns, _sample(file.fileno(), covered))


def is_unchanged(path: Path, indexed: Indexed, *, may_grow: bool) -> bool:
    """Tell whether a file is as it was, or has only grown. Blocks; raises `OSError`.

    A file of the same size must have the same time. In one that has grown, samples of what is covered must be equal.
    """
    with open_regular(path) as file:
        status = os.fstat(file.fileno())
        is_same = (status.st_size, status.st_mtime_ns) == (indexed.size, indexed.mtime_ns)
        has_grown = may_grow and status.st_size > indexed.size
        return (is_same or has_grown) and _sample(file.fileno(), indexed.covered) == indexed.checksum


def parse(entries: Any, files: Sequence[Path]) -> dict[Path, Indexed]:
    """Return by path what an index notes of files. Raises `ValueError` or `TypeError` if it makes no sense."""
    noted = [Indexed(*entry) for entry in entries]
    by_name = {path.name: path for path in files[: len(noted)]}
    if [entry.name for entry in noted] != list(by_name) or not noted:
        raise ValueError("the index is of other files")
    if not all(isinstance(number, int) and number >= 0 for entry in noted for number in entry[1:]):
        raise ValueError("the index has numbers that are none")
    return {by_name[entry.name]: entry for entry in noted}


def _sample(descriptor: int, covered: int) -> int:
    """Return the checksum of the first and the last bytes that are covered, and of some between them."""
    places = [(0, EDGE_BYTES), (max(0, covered - EDGE_BYTES), EDGE_BYTES)]
    places += [(covered * number // (SAMPLES + 1), SAMPLE_BYTES) for number in range(1, SAMPLES + 1)]
    checksum: int = crc32c(covered.to_bytes(8, "little"))
    for at, count in places:
        checksum = crc32c(os.pread(descriptor, min(count, covered - at), at), checksum)
    return checksum
