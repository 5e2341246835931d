"""Real servers for the tests, each a process of its own on a free port of 127.0.0.1."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import requests

from monitor.testing import wait_until

SCRIPT = """
import sys
from visdom.server.run_server import start_server
start_server(port=int(sys.argv[1]), base_url="", env_path=sys.argv[2], bind_local=True)
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class VisdomServer:
    """visdom's own server. `stop` and `start` again to see what a restart does; its state is lost then."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None
        self.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def spec(self, env: str = "") -> str:
        return f"visdom://127.0.0.1:{self.port}/{env}"

    def start(self) -> None:
        self.folder.mkdir(exist_ok=True)
        with (self.folder.parent / "visdom.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-W", "ignore", "-c", SCRIPT, str(self.port), str(self.folder)],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
            )
        wait_until(self.answers, 30, "the Visdom server's answer")

    def answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, "the Visdom server ended"
        try:
            return requests.post(f"{self.url}/env_state", json={}, timeout=2).ok
        except requests.RequestException:
            return False

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait(10)
            self.process = None

    def envs(self) -> list[str]:
        return list(requests.post(f"{self.url}/env_state", json={}, timeout=5).json())

    def windows(self, env: str) -> dict[str, dict]:
        """Return the windows of an env by their titles."""
        answer = requests.post(f"{self.url}/win_data", json={"win": None, "eid": env}, timeout=5)
        return {window["title"]: window for window in answer.json().values()} if answer.ok else {}

    def trace(self, env: str, title: str, name: str) -> list[tuple[int, float]]:
        """Return the points of one trace."""
        window = self.windows(env)[title]
        (trace,) = (trace for trace in window["content"]["data"] if trace["name"] == name)
        return list(zip(trace["x"], trace["y"]))
