"""The child process of the section *faults*: one writer logs through one fault, and stops where the parent acts.

`python -m tests.benchmarks.fault_writers WRITER FAULT FOLDER`. It prints `started`; `ready` where the parent acts, and
waits for a line; and at the end the exceptions that calls raised.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from importlib import import_module
from typing import Any

STEPS, TROUBLE_S = 1000, 2.0


class Ours:
    """This package, with its defaults."""

    def __init__(self, folder: str) -> None:
        from monitor import Logger

        self._log = Logger(f"{folder}/run", ["tensorboard"])

    def log(self, tag: str, value: Any, step: int) -> None:
        """Log a value."""
        self._log.scalar(tag, value, step)

    def flush(self) -> None:
        """Wait for what was logged, for a moment."""
        self._log.flush(0.1)

    def close(self) -> None:
        """Deliver the rest."""
        self._log.close()


class Peer:
    """A `SummaryWriter`, with its defaults."""

    def __init__(self, kind: Any, folder: str) -> None:
        self._writer = kind(f"{folder}/run")

    def log(self, tag: str, value: Any, step: int) -> None:
        """Log a value."""
        self._writer.add_scalar(tag, value, step)

    def flush(self) -> None:
        """Write what was logged."""
        self._writer.flush()

    def close(self) -> None:
        """Write the rest."""
        self._writer.close()


class Trackio:
    """trackio, with a local database."""

    def __init__(self, folder: str) -> None:
        os.environ["TRACKIO_DIR"] = f"{folder}/run"
        self._trackio: Any = import_module("trackio")  # no requirement of this project
        self._trackio.init(project="p", name="r", embed=False, auto_log_gpu=False, auto_log_cpu=False)

    def log(self, tag: str, value: Any, step: int) -> None:
        """Log a value."""
        self._trackio.log({tag: value}, step=step)

    def flush(self) -> None:
        """Do nothing: there is no such call."""

    def close(self) -> None:
        """Write the rest."""
        self._trackio.finish()


def make(name: str, folder: str) -> Ours | Peer | Trackio:
    """Make a writer."""
    if name == "ours":
        return Ours(folder)
    if name == "trackio":
        return Trackio(folder)
    if name == "torch":
        from torch.utils import tensorboard

        return Peer(tensorboard.SummaryWriter, folder)
    import tensorboardX

    return Peer(tensorboardX.SummaryWriter, folder)


class Child:
    """What the child does for each fault, by its method."""

    def __init__(self, writer: Ours | Peer | Trackio) -> None:
        self.writer = writer
        self.raised: list[str] = []

    def attempt(self, call: Any, *arguments: Any) -> None:
        """Make a call, and note what it raises."""
        try:
            call(*arguments)
        except Exception as error:
            self.raised.append(type(error).__name__)

    def log(self, first: int, end: int, tag: str = "a") -> None:
        """Log the values of these steps."""
        for step in range(first, end):
            self.attempt(self.writer.log, tag, float(step), step)

    def killed(self) -> None:
        """Log everything and wait to be killed."""
        self.log(0, STEPS)
        wait_for_parent()

    def trouble(self) -> None:
        """Log before, during, and after a trouble that the parent makes."""
        self.log(0, 400)
        self.attempt(self.writer.flush)
        time.sleep(0.7)  # so that a writer without `flush` has written it, too
        wait_for_parent()
        for step in range(400, 600, 20):
            self.log(step, step + 20)
            self.attempt(self.writer.flush)
            time.sleep(TROUBLE_S / 10)
        wait_for_parent()
        self.log(600, STEPS)
        self.attempt(self.writer.flush)
        self.attempt(self.writer.close)

    def sys_exit(self) -> None:
        """End the program without `close`."""
        self.log(0, STEPS)
        sys.exit(1)

    def exception(self) -> None:
        """End the program with an exception, without `close`."""
        self.log(0, STEPS)
        raise ZeroDivisionError("the benchmark's own")

    def os_exit(self) -> None:
        """End the process at once."""
        self.log(0, STEPS)
        os._exit(1)

    def bad_value(self, value: Any) -> None:
        """Log one bad value among the good ones."""
        self.log(0, STEPS // 2)
        self.attempt(self.writer.log, "a", value, STEPS // 2)
        self.log(STEPS // 2 + 1, STEPS)
        self.attempt(self.writer.close)

    def nan(self) -> None:
        """Log one NaN."""
        self.bad_value(float("nan"))

    def text(self) -> None:
        """Log one text as a value."""
        self.bad_value("n/a")

    def forked(self) -> None:
        """Let a forked child log, too."""
        self.log(0, STEPS // 2)
        pid = os.fork()
        if pid == 0:
            self.log(0, STEPS // 2, "child")
            time.sleep(0.7)
            os._exit(0)
        end = time.monotonic() + 5
        while os.waitpid(pid, os.WNOHANG) == (0, 0):
            if time.monotonic() > end:
                self.raised.append("the child hangs")
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
                break
            time.sleep(0.02)
        self.log(STEPS // 2, STEPS)
        self.attempt(self.writer.close)


def wait_for_parent() -> None:
    """Let the parent act."""
    print("ready", flush=True)
    sys.stdin.readline()


def main(name: str, fault: str, folder: str) -> None:
    """Log through a fault."""
    with contextlib.redirect_stdout(sys.stderr):  # trackio prints
        child = Child(make(name, folder))
    print("started", flush=True)
    getattr(child, fault)()
    print(f"raised {', '.join(sorted(set(child.raised)))}", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
