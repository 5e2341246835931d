"""A network share that can be away."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.support.requirements import skip_or_fail

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def share(tmp_path: Path) -> Iterator[Callable[[bool], None]]:
    """Mount a file system at `logs`, and unmount and mount it again as a network share; root alone can do that."""
    server, client = tmp_path / "server", tmp_path / "logs"
    for folder in (server, client):
        folder.mkdir(exist_ok=True)

    def call(*command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(command, capture_output=True, text=True)

    done = call("mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(server))
    if done.returncode:
        skip_or_fail(f"a file system can be mounted by root alone: {done.stderr.strip()}")

    def mount(is_there: bool) -> None:
        command = ["mount", "--bind", str(server), str(client)] if is_there else ["umount", "-l", str(client)]
        subprocess.run(command, check=True)

    mount(True)
    yield mount
    call("umount", "-l", str(client))
    subprocess.run(["umount", "-l", str(server)], check=True)
