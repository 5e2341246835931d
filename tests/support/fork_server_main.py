"""The process behind `tests.support.fork_server`: it imports what is slow to import, then forks a child per request.

It has one thread, and it never runs what its children run. A child gets its own standard streams, environment, working
directory, arguments and signal handlers, a fresh `__main__`, and the interpreter's own exit.
"""

from __future__ import annotations

import gc
import importlib
import io
import os
import runpy
import socket
import sys
import tempfile
import types
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from monitor.sweeps.processes.forking import reset_signals, serve_forks

if TYPE_CHECKING:
    from collections.abc import Sequence

PRELOADED = (
    "torch",
    "torch.distributed",
    "torch.utils.data",
    "torchvision",
    "numpy",
    "sklearn.datasets",
    "matplotlib.figure",
    "tensorboard.default",
    "tensorboard.program",
    "monitor.commands.comparing.compare",
    "monitor.commands.replaying.replay",
    "monitor.commands.listing.runs",
    "monitor.commands.serving.serve",
    "monitor.commands.train",
    "monitor.dashboards.assets.cache",
    "monitor.dashboards.tensorboard.tensorboard_server",
    "monitor.dashboards.visdom.server",
    "monitor.events.reading.reader",
    "monitor.sinks.console",
    "monitor.sinks.tensorboard",
    "monitor.sinks.visdom.sink",
    "runners.data.images",
    "runners.launch.job",
    "runners.logistic",
    "runners.mlp",
    "runners.training.losses",
    "runners.training.models",
    "runners.training.optimizers",
)


def preload() -> None:
    """Import the slow modules, and what torch imports only at an optimizer's first step."""
    for name in PRELOADED:
        importlib.import_module(name)
    import torch

    weight = torch.nn.Parameter(torch.zeros(2))
    weight.grad = torch.zeros(2)
    torch.optim.Adam([weight]).step()  # without `backward`, which would start threads where there is a GPU
    gc.collect()
    gc.freeze()  # the children's collectors leave the shared pages alone


def serve(requests: socket.socket) -> dict[str, Any]:
    """Fork a child per request, with its stdin, stdout, and stderr, until the other side closes; return its request."""
    request, streams = serve_forks(requests, 4)
    take_streams(streams)
    return request


def take_streams(streams: Sequence[int]) -> None:
    """Make `streams` the stdin, stdout and stderr of this process."""
    for number, descriptor in enumerate(streams):
        os.dup2(descriptor, number)
        os.close(descriptor)


def become(request: dict[str, Any]) -> None:
    """Make this child look like a new interpreter that was started with the request's arguments."""
    if request["start_new_session"]:
        os.setsid()
    reset_signals()
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["env"])
    sys.stdin = sys.__stdin__ = io.TextIOWrapper(io.FileIO(0, closefd=False))  # type: ignore[misc]
    sys.stdout = sys.__stdout__ = _stream(1)  # type: ignore[misc]
    sys.stderr = sys.__stderr__ = _stream(2)  # type: ignore[misc]
    tempfile.tempdir = None  # TMPDIR may name another one
    sys.orig_argv = [sys.executable, *request["arguments"]]
    sys.modules["__main__"] = types.ModuleType("__main__")
    if request["coverage"]:
        measure(request["coverage"])


def measure(configuration: str) -> None:
    """Measure coverage in this process, and in none that it starts."""
    import coverage

    os.environ["COVERAGE_PROCESS_CONFIG"] = configuration
    coverage.process_startup()
    del os.environ["COVERAGE_PROCESS_CONFIG"]


def _stream(number: int) -> io.TextIOWrapper:
    """Open stdout or stderr as a new interpreter does."""
    raw = io.FileIO(number, "w", closefd=False)
    line = number == 2 or raw.isatty()
    errors = "backslashreplace" if number == 2 else "strict"
    return io.TextIOWrapper(io.BufferedWriter(raw), line_buffering=line, errors=errors)


def run(arguments: list[str]) -> None:
    """Run `[-W ACTION] -m MODULE`, `-c CODE` or `FILE`, and its arguments, in `__main__`."""
    while arguments[0] == "-W":
        sys.warnoptions.append(arguments[1])
        warnings.simplefilter(arguments[1])  # type: ignore[arg-type]
        arguments = arguments[2:]
    names = sys.modules["__main__"].__dict__
    if arguments[0] == "-m":
        sys.path[0] = str(Path.cwd())
        sys.argv = ["-m", *arguments[2:]]
        sys.modules.pop(arguments[1], None)  # where it is preloaded, as a module that is not the program
        runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
    elif arguments[0] == "-c":
        sys.path[0] = ""
        sys.argv = ["-c", *arguments[2:]]
        exec(compile(arguments[1], "<string>", "exec"), names)
    else:
        sys.path[0] = str(Path(arguments[0]).parent)
        sys.argv = arguments
        names["__file__"] = arguments[0]
        exec(compile(Path(arguments[0]).read_text(), arguments[0], "exec"), names)


if __name__ == "__main__":
    preload()
    child = serve(socket.socket(fileno=int(sys.argv[1])))
    become(child)
    run(child["arguments"])
