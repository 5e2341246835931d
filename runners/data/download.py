"""What downloads have in common."""

from __future__ import annotations

import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

DOWNLOAD_TIMEOUT_S = 15.0  # seconds that a download waits for an answer


class DatasetUnavailable(Exception):
    """A data set is neither in the directory nor to be downloaded."""


@contextmanager
def socket_timeout(seconds: float = DOWNLOAD_TIMEOUT_S) -> Iterator[None]:
    """Limit how long a socket waits: torchvision gives its own no limit."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
