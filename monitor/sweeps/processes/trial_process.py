"""The driver's side of the processes of trials: `TrialServer` starts them, and `TrialProcess` is one of them."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path


class TrialServer:
    """The process of `trial_server`. It starts when it is made, and again when it is gone."""

    def __init__(self, preloads: Sequence[str], environment: Mapping[str, str], directory: str) -> None:
        """Start it, with the modules to import; it does that while the caller goes on."""
        self._preloads, self._environment, self._directory = preloads, environment, directory
        self._start()

    def _start(self) -> None:
        self._requests, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "monitor.sweeps.processes.trial_server", str(theirs.fileno()), *self._preloads],
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                start_new_session=True,  # a Ctrl-C is the driver's
            )

    def start(self, arguments: Sequence[str], variables: Mapping[str, str], claim: int, output: Path) -> TrialProcess:
        """Run `monitor` with these arguments in a process of its own, which inherits the descriptor `claim`.

        Its stdout and stderr are appended to `output`. Blocks until the process is there. Raises `OSError`.
        """
        request = {
            "arguments": list(arguments),
            "environment": {**self._environment, **variables},
            "cwd": self._directory,
        }
        data = json.dumps(request).encode() + b"\n"
        for _ in range(2):
            process = self._request(data, claim, output)
            if process is not None:
                return process
            self.close()  # somebody has killed it
            self._start()
        raise OSError("the process that starts trials ends at once")

    def _request(self, data: bytes, claim: int, output: Path) -> TrialProcess | None:
        report, told = os.pipe()
        written = os.open(output, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            sent = socket.send_fds(self._requests, [data], [claim, written, told])
            self._requests.sendall(data[sent:])
        except OSError:
            os.close(report)
            return None
        finally:
            os.close(written)
            os.close(told)
        process = TrialProcess(report)
        if process.pid == 0:
            process.close()
            return None
        return process

    def close(self) -> None:
        """End the server; trials that run go on."""
        self._requests.close()
        self._process.wait()


class TrialProcess:
    """A trial's process, as a child of the server.

    Attributes:
        pid: its number; 0 if the server was gone before it started one.
    """

    def __init__(self, report: int) -> None:
        self._report = os.fdopen(report)
        self.pid = int(self._report.readline() or 0)

    def fileno(self) -> int:
        """Return what `select` waits for: then the process has ended, or its server is gone."""
        return self._report.fileno()

    def return_code(self) -> int | None:
        """Return how the process ended, negative for a signal; None if the server is gone, and nobody knows."""
        line = self._report.readline()
        return int(line) if line else None

    def close(self) -> None:
        """Forget it."""
        self._report.close()
