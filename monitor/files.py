"""Write files so that no reader ever sees half of one, and name a part of one."""

from __future__ import annotations

import itertools
import os
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from pathlib import Path


_writes = itertools.count()


class FileRange(NamedTuple):
    """Bytes of a file.

    Attributes:
        path: the file.
        offset: where they begin.
        length: how many they are.
    """

    path: Path
    offset: int
    length: int


def atomic_write(path: Path, content: bytes | str, mode: int | None = None) -> None:
    """Put `content` at `path` in one step: readers find the old file or the new one, never a part.

    Text is encoded as UTF-8. `mode` sets the permissions; by default the umask does. Blocks; does not fsync. Raises
    `OSError` and leaves an old file as it is.
    """
    data = content.encode() if isinstance(content, str) else content
    # The count tells a signal handler that writes the same file from the write that it interrupted.
    part = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}.{next(_writes)}.part")
    try:
        part.write_bytes(data)
        if mode is not None:
            part.chmod(mode)
        part.replace(path)
    except BaseException:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise
