"""No child leaves a socket or a descriptor behind."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from monitor.testing import wait_until


def sockets_in_use() -> set[str]:
    """Return the names of the sockets on which loggers of this process listen to children."""
    lines = Path("/proc/net/unix").read_text().splitlines() if Path("/proc/net/unix").exists() else []
    return {line.split()[-1] for line in lines if f"training-monitor-{os.getpid()}-" in line}


def descriptors() -> set[str]:
    """Return the file descriptors of this process."""
    return {path.name for path in Path("/proc/self/fd").iterdir()}


@pytest.fixture(autouse=True)
def leaves_no_socket_and_no_descriptor_behind() -> object:
    """Check at the end that everything is closed."""
    sockets, before = sockets_in_use(), descriptors()
    yield
    wait_until(lambda: sockets_in_use() <= sockets, 60, "the end of a socket")
    assert descriptors() <= before
