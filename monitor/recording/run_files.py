"""Add files to a run directory that is used again, such as that of a resumed run: none is replaced."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from monitor.machine.files import atomic_write

if TYPE_CHECKING:
    from pathlib import Path


def add_file(directory: Path, name: str, content: bytes) -> str:
    """Write a file, under a name with a number if there is another one; return its name.

    If the newest one has the same content, it stays the only one. Raises `OSError`.
    """
    stem, dot, suffix = name.rpartition(".")
    newest = None
    for number in itertools.count(1):
        path = directory / (name if number == 1 else f"{stem}-{number}{dot}{suffix}")
        if not path.exists():
            break
        newest = path
    if newest is not None and newest.stat().st_size == len(content) and newest.read_bytes() == content:
        return newest.name
    directory.mkdir(parents=True, exist_ok=True)
    atomic_write(path, content)
    return path.name
