"""The process that starts trials: it imports what they need once, and forks a process per trial.

A trial then begins at once, instead of importing PyTorch for seconds. The server has one thread and runs nothing of
what its children run. If an import has left a thread, a fork would not be safe: then each trial is a new
interpreter. The server ends with its driver; its children go on, and the next driver finds them.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import io
import os
import socket
import sys
import tempfile
import types
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from monitor.sweeps.processes.forking import reset_signals, serve_forks

if TYPE_CHECKING:
    from collections.abc import Sequence

DESCRIPTORS = 3  # with a request: what keeps the claim, the trial's output, and a pipe for its number and return code


def preload(modules: Sequence[str]) -> None:
    """Import modules; one that cannot be imported is left to the trials, which say why."""
    for name in modules:
        with contextlib.suppress(Exception):
            importlib.import_module(name)
    gc.collect()
    gc.freeze()  # the children's collectors leave the shared pages alone


def can_fork() -> bool:
    """Tell whether this process may be forked: it has one thread.

    The threads of BLAS do not count. They begin when NumPy is imported, and a fork ends them, until they are needed.
    """
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    return len(list(Path("/proc/self/task").iterdir())) == 1


def serve(requests: socket.socket) -> dict[str, Any]:
    """Fork a child per request until the driver is gone; in a child, return its request."""
    request, (claim, output) = serve_forks(requests, DESCRIPTORS)
    return {**request, "claim": claim, "output": output}


def become(request: dict[str, Any]) -> None:
    """Make this child a process of its own, as if a user had started `monitor`."""
    os.setsid()
    reset_signals()
    null = os.open(os.devnull, os.O_RDONLY)
    for descriptor, number in ((null, 0), (request["output"], 1), (request["output"], 2)):
        os.dup2(descriptor, number)
    os.close(null)
    os.close(request["output"])
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["environment"])
    if not request["forks"]:
        os.set_inheritable(request["claim"], True)
        os.execv(sys.executable, [sys.executable, "-m", "monitor", *request["arguments"]])
    os.set_inheritable(request["claim"], False)  # processes that the trial starts do not keep it, those it forks do
    sys.stdin = sys.__stdin__ = io.TextIOWrapper(io.FileIO(0, closefd=False))  # type: ignore[misc]
    sys.stdout = sys.__stdout__ = _stream(1)  # type: ignore[misc]
    sys.stderr = sys.__stderr__ = _stream(2)  # type: ignore[misc]
    tempfile.tempdir = None  # TMPDIR may name another one
    sys.argv = ["monitor", *request["arguments"]]
    sys.orig_argv = [sys.executable, "-m", "monitor", *request["arguments"]]
    sys.modules["__main__"] = types.ModuleType("__main__")
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed()  # the other children have the same state


def run(arguments: Sequence[str]) -> NoReturn:
    """Run `monitor` with these arguments."""
    (entry,) = entry_points(group="console_scripts", name="monitor")
    entry.load()(args=list(arguments), prog_name="monitor")
    sys.exit()


def _stream(number: int) -> io.TextIOWrapper:
    """Open stdout or stderr as a new interpreter does, with a line at a time."""
    raw = io.FileIO(number, "w", closefd=False)
    return io.TextIOWrapper(io.BufferedWriter(raw), "utf-8", "backslashreplace", line_buffering=True)


if __name__ == "__main__":
    preload(sys.argv[2:])
    forks = can_fork()
    child = serve(socket.socket(fileno=int(sys.argv[1])))
    become({**child, "forks": forks})
    run(child["arguments"])
