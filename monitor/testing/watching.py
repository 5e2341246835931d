"""Notice what a call does to the disk and the network."""

from __future__ import annotations

import os
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

TOUCHING = ("os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.truncate", "os.link", "os.symlink")
NETWORK = ("socket.connect", "socket.bind", "socket.sendto", "socket.sendmsg", "socket.getaddrinfo")
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_seen: dict[int, list[str]] = {}  # by thread, what it does while it is watched
_hooked: list[bool] = []


@contextmanager
def touching() -> Iterator[list[str]]:
    """Collect how this thread touches the disk or the network within the block; reading files does not count."""
    if not _hooked:
        _hooked.append(True)
        sys.addaudithook(_notice)  # it cannot be removed, so there is one for all blocks
    seen = _seen[threading.get_ident()] = []
    try:
        yield seen
    finally:
        del _seen[threading.get_ident()]


def _notice(event: str, arguments: tuple[Any, ...]) -> None:
    if not _seen or (seen := _seen.get(threading.get_ident())) is None:
        return
    if event == "open":
        path, _, flags = arguments
        is_bytecode = "__pycache__" in str(path)  # of a module that is imported
        if not flags & WRITING or is_bytecode or path == os.devnull:
            return
    elif event not in TOUCHING and event not in NETWORK:
        return
    seen.append(f"{event} {arguments[-1] if event in NETWORK else arguments[0]!r}")
