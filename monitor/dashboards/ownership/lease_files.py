"""The files of dashboard servers on this machine: where they are, and what the servers say in them."""

from __future__ import annotations

import errno
import json
import os
import re
import socket
import stat
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from monitor.runs.processes import process

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

BY_RUN, BY_USER = "run", "user"  # who started a server; the user's is used and left alone


def lease_folder() -> Path:
    """Return the folder of the user for the files of servers on this machine; it is made. Raises `OSError`.

    Where the user's folders cannot be written, it is one for temporary files that nobody else can write.
    """
    from platformdirs import user_state_path

    folder = user_state_path("training-monitor") / "dashboards" / socket.gethostname()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if os.access(folder, os.W_OK):
            return folder
    except OSError:
        pass
    folder = Path(tempfile.gettempdir()) / f"training-monitor-{os.getuid()}"
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise PermissionError(errno.EPERM, "it belongs to somebody else", str(folder))
    return folder


def lease_path(name: str, url: str) -> Path:
    """Return where the file of the server at `url` is."""
    return lease_folder() / f"{name}-{_address(url)}.lease"


def is_same_server(url: str, other: str) -> bool:
    """Tell whether two addresses are those of the same server."""
    return _address(url) == _address(other)


def _address(url: str) -> str:
    return re.sub(r"[^\w.]+", "-", url.partition("://")[2].lower().replace("localhost", "127.0.0.1")).strip("-")


def served(name: str) -> Iterator[dict[str, Any]]:
    """Yield what the servers of a kind say about themselves, their `url` among it; remove the files of dead ones."""
    try:
        paths = sorted(lease_folder().glob(f"{name}-*.lease"))
    except OSError:
        return
    for path in paths:
        try:
            found = json.loads(path.read_bytes())
            if process.is_alive(found["process"]) is False:
                path.unlink(missing_ok=True)
            elif isinstance(found["url"], str):
                yield found
        except (OSError, ValueError, LookupError, TypeError, AttributeError):
            continue


def logdir_of(facts: Mapping[str, Any]) -> Path | None:
    """Return the folder whose runs a server shows; None if it has none."""
    logdir = facts.get("logdir")
    return Path(logdir) if isinstance(logdir, str) else None


def served_urls(name: str, **facts: Any) -> Iterator[str]:
    """Yield the addresses of the servers of a kind that say these facts about themselves."""
    for found in served(name):
        if all(found.get(key) == value for key, value in facts.items()):
            yield found["url"]
