"""Dashboards for a training run: find the server that is there, or start one as a child."""

from __future__ import annotations

import json
import os
import select
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

START_TIMEOUT_S = 10.0  # seconds that a training run waits for a server
STOP_TIMEOUT_S = 5.0  # seconds

Report = Callable[[str], None]


class DashboardServer:
    """A server: one that was there, at `url`, or a child that is starting, which `wait` makes ready."""

    def __init__(self, name: str, url: str = "", arguments: Sequence[str] = ()) -> None:
        """Start a child where `arguments` are given. Does not wait for it."""
        self.name, self.url = name, url
        self.process: subprocess.Popen[bytes] | None = None
        if arguments:
            self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - read if it does not start
            self.process = subprocess.Popen(
                [sys.executable, "-m", "monitor", "serve", *arguments, "--parent", str(os.getpid())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                start_new_session=True,  # Ctrl-C is for the training, which then stops its dashboards
            )

    def wait(self, report: Report) -> bool:
        """Wait until the server answers, 10 s at most; tell whether it does, and if not, `report` why in one line."""
        if self.process is None:
            return True
        line = _first_line(self.process, START_TIMEOUT_S)
        if line.startswith(f"{self.name}: http"):
            self.url = line.partition(": ")[2]
            return True
        ended = self.process.poll() is not None
        self._errors.seek(0)
        said = self._errors.read().decode(errors="replace").strip().splitlines()
        self.stop()
        why = said[-1] if ended and said else f"it did not answer within {START_TIMEOUT_S:.0f} s"
        report(f"{self.name} could not be started: {why}; training goes on without it")
        return False

    def stop(self) -> None:
        """End the server, if it is ours; blocks for at most 5 s."""
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()
        self._errors.close()
        self.process = None


def visdom(host: str, port: int, env_dir: Path) -> DashboardServer:
    """Start a Visdom server; port 0 takes a free one."""
    arguments = ["visdom", "--host", host.strip("[]"), "--port", str(port), "--env-dir", str(env_dir)]
    return DashboardServer("Visdom", arguments=arguments)


def tensorboard(logdir: Path, port: int = 6006) -> DashboardServer:
    """Find a TensorBoard over `logdir`, or start one."""
    url = f"http://127.0.0.1:{port}"
    answer = _ask(f"{url}/data/environment", None)
    where = answer.get("data_location") if isinstance(answer, dict) else None
    if where and Path(str(where)).resolve() == logdir.resolve():
        return DashboardServer("TensorBoard", url)
    return DashboardServer("TensorBoard", arguments=["tensorboard", "--port", str(port), "--logdir", str(logdir)])


def _first_line(process: subprocess.Popen[bytes], timeout: float) -> str:
    """Read a line from a process, waiting for at most `timeout` seconds; empty where none came."""
    assert process.stdout is not None
    deadline, said = time.monotonic() + timeout, b""
    while not said.endswith(b"\n"):
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([process.stdout], [], [], left)[0]:
            return ""
        byte = os.read(process.stdout.fileno(), 1)
        if not byte:
            return ""
        said += byte
    return said.decode(errors="replace").strip()


def _ask(url: str, body: bytes | None) -> Any:
    """Return the JSON that `url` answers, `"login"` where it wants one, None for anything else."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(urllib.request.Request(url, data=body), timeout=2) as answer:
            return json.loads(answer.read(10**7))
    except urllib.error.HTTPError as error:
        return "login" if error.code in (400, 401) else None
    except (OSError, ValueError):
        return None


def answers_as_visdom(url: str) -> bool:
    """Tell whether a Visdom server answers at `url`, also one that wants a login. Blocks for at most 2 s."""
    answer = _ask(f"{url}/env_state", b"{}")
    return isinstance(answer, list) or answer == "login"


def answers_as_tensorboard(url: str) -> bool:
    """Tell whether a TensorBoard answers at `url`. Blocks for at most 2 s."""
    answer = _ask(f"{url}/data/environment", None)
    return isinstance(answer, dict) and "data_location" in answer


def is_local(host: str) -> bool:
    """Tell whether `host` is this machine's loopback, where a server may be started."""
    bare = host.strip("[]")
    return bare == "localhost" or bare.startswith("127.") or bare == "::1"


def listens(host: str, port: int) -> bool:
    """Tell whether anything takes connections there. Blocks for at most 2 s."""
    try:
        socket.create_connection((host.strip("[]"), port), timeout=2).close()
    except OSError:
        return False
    return True
