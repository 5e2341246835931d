"""TensorBoard over a view that a process of its own makes: bad options, killed processes, and the data server."""

from __future__ import annotations

import ctypes
import os
import re
import socket
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest
import requests

from monitor import Logger
from monitor.dashboards.tensorboard.data_server import PACKAGE, PIDFD_GETFD
from monitor.dashboards.tensorboard.run_view import PREFIX
from monitor.testing import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.processes import Start
    from tests.support.servers import Served

# Looks for the view's process many times a second.
IMPATIENT = """
import sys
from monitor.cli import main
from monitor.dashboards.tensorboard import tensorboard_server
tensorboard_server.LOST_RUN_CHECK_S = 0.05
main(sys.argv[1:])
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder for temporary files of the servers."""
    found = tmp_path / "temporary"
    found.mkdir()
    monkeypatch.setenv("TMPDIR", str(found))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return found


@pytest.fixture
def logdir(tmp_path: Path) -> Path:
    with Logger(tmp_path / "runs" / "mlp", ["tensorboard"], {"lr": 0.1}) as log:
        log.scalar("train/loss", 0.5, 0)
    return tmp_path / "runs"


def view_process(server: int) -> psutil.Process:
    (found,) = (child for child in psutil.Process(server).children() if "serve_view" in " ".join(child.cmdline()))
    return found


@pytest.mark.parametrize(
    ("options", "status", "says"),
    [
        (["--filter", "lrr<1"], 2, "no run has 'lrr'; did you mean 'lr'"),
        (["--filter", "lr<"], 2, "a value is expected, not the end"),
        (["--last", "0"], 2, "0 is not in the range"),
    ],
)
def test_bad_options_are_one_line(logdir: Path, start: Start, options: list[str], status: int, says: str) -> None:
    process = start("-m", "monitor", "serve", "tensorboard", "--port", "0", "--logdir", str(logdir), *options)
    output, errors = process.communicate(timeout=60)
    assert (output, process.returncode) == ("", status)
    assert re.fullmatch(r"Error: [^\n]+\n", errors)
    assert says in errors


def test_the_view_goes_with_a_killed_server(logdir: Path, folder: Path, serve: Callable[..., Served]) -> None:
    server = serve("tensorboard", "--port", "0", "--logdir", str(logdir), "--last", "1", TMPDIR=str(folder))
    view = view_process(server.process.pid)
    assert len(list(folder.glob(f"{PREFIX}*"))) == 1
    server.process.kill()
    wait_until(lambda: not list(folder.glob(f"{PREFIX}*")), 30, "the view is removed")
    wait_until(lambda: not view.is_running(), 30, "its process has ended")


@pytest.mark.usefixtures("folder")
def test_a_killed_view_is_reported_and_served_further(logdir: Path, start: Start) -> None:
    options = ("--port", "0", "--logdir", str(logdir), "--last", "1")
    process = start("-c", IMPATIENT, "serve", "tensorboard", *options, fresh=True)
    assert process.stdout is not None
    url = process.stdout.readline().strip().partition(": ")[2]
    view_process(process.pid).kill()
    assert process.stderr is not None
    lines = iter(process.stderr.readline, "")
    warning = next(line for line in lines if line.startswith("WARNING"))
    assert warning == f"WARNING: the view of {logdir} is not kept up to date anymore: its process was ended\n"
    assert "mlp" in requests.get(f"{url}/data/plugin/scalars/tags", timeout=60).json()
    process.terminate()
    process.communicate(timeout=60)
    assert process.returncode == 0


def test_the_data_server_sends_without_delay(logdir: Path, serve: Callable[..., Served]) -> None:
    server = serve("tensorboard", "--port", "0", "--logdir", str(logdir))
    requests.get(f"{server.url}/data/plugin/scalars/tags", timeout=60).raise_for_status()
    (data_server,) = (
        child for child in psutil.Process(server.process.pid).children() if PACKAGE in " ".join(child.cmdline())
    )
    process = os.pidfd_open(data_server.pid)
    options = []
    for entry in Path(f"/proc/{data_server.pid}/fd").iterdir():
        copy = ctypes.CDLL(None).syscall(PIDFD_GETFD, process, int(entry.name), 0)
        assert copy >= 0
        if str(entry.readlink()).startswith("socket:"):
            with suppress(OSError), socket.socket(fileno=os.dup(copy)) as found:
                options.append(found.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        os.close(copy)
    os.close(process)
    assert len(options) >= 2  # it listens, and TensorBoard is connected
    assert set(options) == {1}
