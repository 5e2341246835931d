"""Put the content of an event file back where it belongs, whatever is there now.

A run directory is renamed and comes back, a network share is unmounted and mounted again, a folder is restored from a
copy: then the file at the path is missing, or it is an older or another one. What our own writer put there at different
times differs in length only, so one is the beginning of the other, and the longer one is right.
"""

from __future__ import annotations

import io
import logging
import os
import stat
from typing import TYPE_CHECKING, NamedTuple

from crc32c import crc32c

from monitor.events.event_file import PIECE_BYTES, ContentGoneError, EventFile
from monitor.events.framing import CHECKSUM, HEADER, LENGTH

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

log = logging.getLogger("monitor")


class Move(NamedTuple):
    """Content that went into another file.

    Attributes:
        source: the path where it was.
        start: the offset in `source` from which on it moved.
        target: the path where it is.
        start_in_target: the offset there that corresponds to `start`.
    """

    source: Path
    start: int
    target: Path
    start_in_target: int


def restore(file: EventFile, moves: list[Move]) -> list[EventFile]:
    """Make the files in the directory hold the content of `file` again, each event once, and fsync them.

    A missing file is written again. One that holds the beginning of the content gets the rest. One that holds more is
    left as it is. If the file at the path is another writer's, what it lacks goes into a new file, whose name comes
    right behind it, and `moves` gets an entry. Takes memory for one piece of the file. Blocks.

    Returns:
        The files that hold the content now, in their order. If nothing has it anymore, none, with a warning.

    Raises:
        OSError: if it did not succeed; nothing is lost, and another call goes on.
    """
    try:
        return _restore(file, moves)
    except ContentGoneError as error:
        if _adopt_equal(file):
            return _restore(file, moves)
        log.warning("%s: %s bytes are gone with their file system: %s", file.path, f"{file.size:,}", error)
        file.close()
        return []


def _restore(file: EventFile, moves: list[Move]) -> list[EventFile]:
    """Do what `restore` does; raise `ContentGoneError` if the content cannot be read."""
    found, is_writable = _open_found(file.path)
    if found is None:
        return _move_rest(file, None, 0, moves)
    try:
        found_size, is_same = os.fstat(found.fileno()).st_size, file.is_same_file(found)
        if is_same and found_size < file.size:
            log.warning("%s: another program cut off %s bytes", file.path, f"{file.size - found_size:,}")
            file.size, file.is_sealed = found_size, True
            return [file]
        common = file.size if is_same else _common_length(file, found)
        is_ours = found_size <= max(file.size, file.dirty_until) and common == min(found_size, file.size)
        if is_ours and is_writable:
            if found_size > common:  # what a failed write left
                os.ftruncate(found.fileno(), common)
            _append(found, _content(file, common))
        elif common < file.size:
            return _move_rest(file, found, _last_frame_end(file, common), moves)
        else:
            file.is_sealed = True
        file.continue_in(found)
        return [file]
    finally:
        if not file.uses(found):
            found.close()


def _adopt_equal(file: EventFile) -> bool:
    """Read from the file at the path from now on, if it begins with the same content; tell whether it does."""
    found, _ = _open_found(file.path)
    if found is None:
        return False
    if os.fstat(found.fileno()).st_size >= file.size and _checksum(found, file.size) == file.checksum:
        file.continue_in(found)
        return True
    found.close()
    return False


def _open_found(path: Path) -> tuple[io.FileIO | None, bool]:
    """Open what is at `path`, made if it is missing, and tell whether it can be written; None if it is not a file."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            return io.FileIO(path, "x+"), True
        except FileExistsError:  # a link to nowhere
            return None, False
    if stat.S_ISREG(mode):
        for how in ("r+", "r"):
            try:
                return io.FileIO(path, how), how == "r+"
            except PermissionError:
                continue
    return None, False


def _move_rest(file: EventFile, found: io.FileIO | None, start: int, moves: list[Move]) -> list[EventFile]:
    """Copy the version event and the content from `start` on into a new file; return it behind the one with the start.

    What is before `start` stays in `found`, which is not ours and is only read.
    """
    header = _last_frame_end(file, 0, minimum=1)
    if found is None or start <= header:
        start = header = 0
    path = _free_name_behind(file.path)
    new = EventFile.create(path)
    try:
        for first, last in ((0, header), (start, file.size)):
            for piece in _content(file, first, last):
                new.append(piece)
    except BaseException:
        new.close()
        path.unlink(missing_ok=True)
        raise
    moves.append(Move(file.path, start, path, header))
    log.warning("%s: another program's file has this name; what it lacks is in %s", file.path, path.name)
    if found is None or start == 0:
        file.close()
        return [new]
    file.size, file.is_sealed = start, True
    file.continue_in(found)
    file.checksum = _checksum(found, start)
    return [file, new]


def _free_name_behind(path: Path) -> Path:
    """Return a free path that comes right behind `path` in the order of names, in which TensorBoard reads."""
    base, marker, rank = path.name.rpartition(".rank")  # which must remain at the end
    number = 1
    while True:
        name = f"{base}.rest{number:02d}{marker}{rank}" if marker else f"{path.name}.rest{number:02d}"
        if not os.path.lexists(path.with_name(name)):
            return path.with_name(name)
        number += 1


def _content(file: EventFile, start: int, stop: int | None = None) -> Iterator[bytes]:
    """Yield the content from `start` to `stop`, by default to its end."""
    offset, stop = start, file.size if stop is None else stop
    while offset < stop and (piece := file.read(offset)[: stop - offset]):
        yield piece
        offset += len(piece)


def _common_length(file: EventFile, found: io.FileIO) -> int:
    """Return how many bytes are equal from the start on."""
    offset = 0
    for piece in _content(file, 0):
        other = os.pread(found.fileno(), len(piece), offset)
        if piece != other:
            return offset + next((n for n, pair in enumerate(zip(piece, other)) if pair[0] != pair[1]), len(other))
        offset += len(piece)
    return offset


def _last_frame_end(file: EventFile, limit: int, minimum: int = 0) -> int:
    """Return the end of the last event that ends at or before `limit`, but at least that of event `minimum`."""
    piece, piece_start, position, number = b"", 0, 0, 0
    while True:
        if position + LENGTH.size > piece_start + len(piece):
            piece, piece_start = file.read(position), position
        if len(piece) < LENGTH.size:
            return position
        (length,) = LENGTH.unpack_from(piece, position - piece_start)
        end = position + HEADER.size + length + CHECKSUM.size
        if end > limit and number >= minimum:
            return position
        position, number = end, number + 1


def _append(found: io.FileIO, pieces: Iterator[bytes]) -> None:
    found.seek(0, os.SEEK_END)
    for piece in pieces:
        written = 0
        while written < len(piece):
            written += found.write(piece[written:]) or 0
    os.fsync(found.fileno())


def _checksum(found: io.FileIO, size: int) -> int:
    """Return the CRC-32C of the first bytes of a file."""
    checksum = 0
    for offset in range(0, size, PIECE_BYTES):
        checksum = crc32c(os.pread(found.fileno(), min(PIECE_BYTES, size - offset), offset), checksum)
    return checksum
