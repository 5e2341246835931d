"""Downloads of data sets, through torchvision; each file is checked against its MD5 checksum."""

from __future__ import annotations

import hashlib
import socket
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SOCKET_TIMEOUT_S = 15.0  # how long a download waits for an answer


class DatasetUnavailable(Exception):
    """A data set is not in the data directory and cannot be downloaded."""


def md5(data: bytes) -> str:
    """Return the MD5 checksum of `data`, as a hexadecimal string."""
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def download(url: str, path: Path, checksum: str) -> None:
    """Download `url` to `path`, unless the file is there with this MD5 checksum.

    Blocks; each wait for the server ends after 15 s. Raises `OSError`, `RuntimeError` or `ValueError`, and then leaves
    no file where there was none.
    """
    from torchvision.datasets.utils import download_url  # here, as it takes three seconds to import

    existed = path.exists()
    try:
        with _socket_timeout(SOCKET_TIMEOUT_S):
            download_url(url, str(path.parent), filename=path.name, md5=checksum)
    except (OSError, RuntimeError, ValueError):
        if not existed:
            with suppress(OSError):
                path.unlink()
        raise


@contextmanager
def remove_empty_folders_on_error(folder: Path) -> Iterator[None]:
    """On an error, remove `folder` and those of its parents that did not exist before, if nothing is in them."""
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        yield
    except Exception:
        for path in missing:
            with suppress(OSError):
                path.rmdir()
        raise


@contextmanager
def _socket_timeout(seconds: float) -> Iterator[None]:
    """Limit how long a socket waits; torchvision sets no limit."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
