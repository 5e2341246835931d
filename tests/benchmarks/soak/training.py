"""The soak's handle on a training process: its reports, its answers, its end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from monitor.testing import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[3]


class HungError(AssertionError):
    """The training did not do in time what it was asked for; says where its threads were."""


class Training:
    """One training process.

    Attributes:
        options: what it was started with.
        acknowledged: `(steps logged, monotonic time)`, as it reported them.
        answers: its answers to commands, by name, the latest of each.
        last: its last report, from which the exact number of logged steps is known; empty if it was killed.
    """

    def __init__(self, **options: Any) -> None:
        """Start it and wait until it logs."""
        self.options = options
        self.acknowledged: list[tuple[int, float]] = []
        self.answers: dict[str, dict[str, Any]] = {}
        self.last: dict[str, Any] = {}
        self._written = ""
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - read when the process has ended
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.benchmarks.soak.trainer", json.dumps(options)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors, cwd=ROOT,
        )  # fmt: skip
        self._reader = threading.Thread(target=self._read)
        self._reader.start()
        self.wait_for(lambda: self.acknowledged, 60, "log its first step")

    @property
    def path(self) -> Path:
        """The run directory."""
        return Path(self.options["path"])

    @property
    def steps(self) -> int:
        """The steps that are known to be logged."""
        return self.acknowledged[-1][0] if self.acknowledged else int(self.options["first"])

    def steps_before(self, moment: float) -> int:
        """Return the steps whose log calls had returned at a moment of the monotonic clock."""
        first = int(self.options["first"])
        return max((step for step, when in self.acknowledged if when <= moment), default=first)

    def tell(self, do: str, **fields: Any) -> None:
        """Send a command."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"do": do, **fields}).encode() + b"\n")
        self.process.stdin.flush()

    def ask(self, do: str, **fields: Any) -> dict[str, Any]:
        """Send a command and return its answer. Raises `HungError`, also where the answer is no."""
        self.answers.pop(do, None)
        self.tell(do, **fields)
        self.wait_for(lambda: do in self.answers, 60, f"answer to {do!r}")
        answer = self.answers[do]
        if not answer["ok"]:
            raise HungError(f"{do!r} was not through in 30 s: {self.stderr()}")
        return answer

    def signal(self, number: int) -> None:
        """Send a signal."""
        self.process.send_signal(number)

    def kill(self) -> float:
        """Send SIGKILL; return when, on the monotonic clock."""
        moment = time.monotonic()
        self.process.kill()
        self._finish()
        return moment

    def wait(self, timeout: float = 90) -> int:
        """Wait for the end; return the exit status. Raises `HungError`."""
        self.wait_for(lambda: self.process.poll() is not None, timeout, "end")
        self._finish()
        return self.process.returncode

    def wait_for(self, condition: Callable[[], object], timeout: float, what: str) -> None:
        """Wait until the training has done something. Raises `HungError`, with the stacks of its threads."""
        try:
            wait_until(
                lambda: condition() or (self.process.poll() is not None and not self._reader.is_alive()), timeout
            )
        except AssertionError:
            self.signal(signal.SIGCONT)
            self.signal(signal.SIGUSR2)
            time.sleep(0.5)  # faulthandler has no end that could be waited for
            raise HungError(f"the training did not {what} in {timeout} s: {self.stderr(3000)}") from None
        if not condition():
            raise HungError(f"the training ended and did not {what}: {self.stderr()}")

    def stderr(self, characters: int = 600) -> str:
        """Return the end of what it wrote to stderr."""
        if not self._errors.closed:
            size = os.fstat(self._errors.fileno()).st_size
            self._written = os.pread(self._errors.fileno(), size, 0).decode(errors="replace")
        return self._written[-characters:].strip()

    def _is_over(self) -> bool:
        return self.process.poll() is not None and not self._reader.is_alive()

    def _finish(self) -> None:
        self.process.wait()
        self._reader.join()
        self.stderr()  # keeps it
        self._errors.close()
        for stream in (self.process.stdin, self.process.stdout):
            assert stream is not None
            try:
                stream.close()
            except BrokenPipeError:  # a command that it did not live to read
                continue

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if not line.endswith(b"\n"):
                continue
            fields = json.loads(line)
            if "step" in fields:
                self.acknowledged.append((fields["step"], fields["when"]))
            elif "answer" in fields:
                self.answers[fields["answer"]] = fields
            elif "four" in fields:
                self.last = fields
