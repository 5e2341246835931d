"""Python processes that start at once: forked from one that has imported torch, instead of importing it for seconds."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ROOT = Path(__file__).parents[2]


class ForkedProcess:
    """A child of the fork server, used like a `subprocess.Popen` with text pipes.

    The server reaps it and reports its return code, so `poll` and `wait` work as for a child of this process.
    """

    def __init__(self, arguments: Sequence[str], report: int, pipes: Sequence[int | None]) -> None:
        self.args = list(arguments)
        self.returncode: int | None = None
        modes = zip(pipes, ("w", "r", "r"))
        streams: list[Any] = [None if pipe is None else os.fdopen(pipe, mode) for pipe, mode in modes]
        self.stdin: TextIO | None
        self.stdout: TextIO | None
        self.stderr: TextIO | None
        self.stdin, self.stdout, self.stderr = streams
        self._collected = {stream: b"" for stream in streams[1:] if stream is not None}  # by `communicate`
        self._report = os.fdopen(report)
        line = self._report.readline()
        assert line, "the fork server has ended"
        self.pid = int(line)

    def poll(self) -> int | None:
        """Return the return code, None while the process runs."""
        try:
            return self.wait(0)
        except subprocess.TimeoutExpired:
            return None

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end; raise `subprocess.TimeoutExpired` after `timeout` seconds."""
        if self.returncode is None:
            if not select.select([self._report], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired(self.args, timeout or 0)
            line = self._report.readline()
            assert line, "the fork server has ended"
            self.returncode = int(line)
            self._report.close()
        return self.returncode

    def communicate(self, input: str = "", timeout: float | None = None) -> tuple[str, str]:
        """Send `input`, read the output to its end, and wait; may be called again after a `TimeoutExpired`."""
        deadline = None if timeout is None else time.monotonic() + timeout
        if self.stdin is not None and not self.stdin.closed:
            self.stdin.write(input)  # a few bytes, which the pipe takes without a reader
            self.stdin.close()
        while waiting := [stream for stream in self._collected if not stream.closed]:
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            ready, _, _ = select.select(waiting, [], [], left)
            if not ready:
                raise subprocess.TimeoutExpired(self.args, timeout or 0)
            for stream in ready:
                data = os.read(stream.fileno(), 65536)
                self._collected[stream] += data
                if not data:
                    stream.close()
        self.wait(None if deadline is None else max(0.0, deadline - time.monotonic()))
        out, err = (self._collected.get(stream, b"").decode() for stream in (self.stdout, self.stderr))
        return out, err

    def send_signal(self, number: int) -> None:
        """Send a signal, unless the process has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """Send SIGKILL."""
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        """Send SIGTERM."""
        self.send_signal(signal.SIGTERM)


class ForkServer:
    """The process that forks: a fresh interpreter with one thread. It ends with this object, or with this process."""

    def __init__(self, coverage: str | None = None) -> None:
        """Start it; `coverage` is coverage.py's configuration, where the children are to be measured."""
        self._coverage = coverage
        self._requests, theirs = socket.socketpair()
        with theirs:
            command = [sys.executable, "-m", "tests.support.fork_server_main", str(theirs.fileno())]
            self.process = subprocess.Popen(
                command, cwd=ROOT, stdin=subprocess.DEVNULL, pass_fds=[theirs.fileno()], start_new_session=True
            )

    def start(
        self,
        *arguments: str,
        stdin: int = subprocess.DEVNULL,
        stdout: int = subprocess.PIPE,
        stderr: int = subprocess.PIPE,
        cwd: str | os.PathLike[str] | None = None,
        env: Mapping[str, str] | None = None,
        start_new_session: bool = False,
    ) -> ForkedProcess:
        """Start `-m MODULE …`, `-c CODE …` or `FILE …`; blocks until the modules are loaded, the first time.

        `stdin`, `stdout` and `stderr` are `subprocess.PIPE`, `subprocess.DEVNULL` or a file descriptor.
        """
        request = {
            "arguments": arguments,
            "cwd": os.fspath(cwd or Path.cwd()),
            "env": dict(os.environ if env is None else env),
            "start_new_session": start_new_session,
            "coverage": self._coverage,
        }
        ours: list[int | None] = []
        theirs: list[int] = []
        for number, wanted in enumerate((stdin, stdout, stderr)):
            if wanted == subprocess.PIPE:
                reading, writing = os.pipe()
                ours.append(reading if number else writing)
                theirs.append(writing if number else reading)
            else:
                ours.append(None)
                theirs.append(os.open(os.devnull, os.O_RDWR) if wanted == subprocess.DEVNULL else os.dup(wanted))
        report, told = os.pipe()
        theirs.append(told)
        socket.send_fds(self._requests, [json.dumps(request).encode() + b"\n"], theirs)
        for descriptor in theirs:
            os.close(descriptor)
        return ForkedProcess(arguments, report, ours)

    def close(self) -> None:
        """End the server; children that still run are left alone."""
        self._requests.close()
        self.process.wait(60)
