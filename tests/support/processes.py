"""Python processes for the tests: forked from a warm interpreter, or new ones."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

from tests.support.fork_server import ForkedProcess

if TYPE_CHECKING:
    from tests.support.fork_server import ForkServer

Process = subprocess.Popen[str] | ForkedProcess


def start_fresh(*arguments: str, **options: Any) -> subprocess.Popen[str]:
    """Start a new interpreter with pipes for its output, as a user's shell does."""
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen([sys.executable, *arguments], text=True, **{**pipes, **options})


class Start:
    """Start Python processes of either kind; `close` ends those that still run."""

    def __init__(self, server: ForkServer) -> None:
        self._server = server
        self._started: list[Process] = []

    def __call__(self, *arguments: str, fresh: bool = False, **options: Any) -> Process:
        """Start Python with these arguments, in a process with pipes for its output.

        `fresh` asks for a new interpreter, for a test of how one starts, how it ends, or what it imports.
        """
        process = start_fresh(*arguments, **options) if fresh else self._server.start(*arguments, **options)
        self._started.append(process)
        return process

    def close(self) -> None:
        """Kill what still runs, and wait for it."""
        for process in self._started:
            process.kill()
            process.communicate(timeout=200)  # a grandchild may hold its output
