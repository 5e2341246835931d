"""Real servers for the tests, each on a free port of 127.0.0.1."""

from __future__ import annotations

import os
import signal
import socket
import socketserver
import tempfile
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import requests

from tests.support.processes import start_fresh

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from tests.support.processes import Process


def free_port() -> int:
    """Return a port of 127.0.0.1 that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Served:
    """A process that runs `monitor serve …` and has printed its address."""

    def __init__(
        self,
        *arguments: str,
        start: Callable[..., Process] = start_fresh,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Start it, with `start` where a new interpreter is not needed, and wait for its address."""
        self._written = ""
        self.errors = tempfile.TemporaryFile()  # noqa: SIM115 - read when the process has ended
        command = ("-m", "monitor", "serve", *arguments)
        self.process = start(*command, stderr=self.errors.fileno(), env={**os.environ, **(environment or {})})
        assert self.process.stdout is not None
        self.line = self.process.stdout.readline().strip()
        self.url = self.line.partition(": ")[2].partition("/env/")[0]
        if not self.url:
            raise AssertionError(self.stop())
        self.port = int(self.url.rpartition(":")[2])

    def stop(self, number: int = signal.SIGTERM) -> str:
        """End the process, if it runs; return what it wrote to stderr."""
        if not self.errors.closed:
            self.process.send_signal(number)
            self.process.communicate(timeout=200)
            self.errors.seek(0)
            self._written = self.errors.read().decode()
            self.errors.close()
        return self._written


class VisdomServer:
    """Visdom's server. `stop` and `start` again to see what a restart does; its state is lost then."""

    def __init__(
        self,
        folder: Path,
        start: Callable[..., Process] = start_fresh,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Start it with `folder` for the envs that it saves."""
        self.folder = folder
        self.port = free_port()
        self.served: Served | None = None
        self._start, self._environment = start, environment
        self.start()

    @property
    def url(self) -> str:
        """The address of the server."""
        return f"http://127.0.0.1:{self.port}"

    def spec(self, env: str = "") -> str:
        """Return the sink that shows a run in this env, by default in one with the run's name."""
        return f"visdom://127.0.0.1:{self.port}/{env}"

    def start(self) -> None:
        """Start the server again, on the same port."""
        arguments = ("visdom", "--port", str(self.port), "--env-dir", str(self.folder))
        self.served = Served(*arguments, start=self._start, environment=self._environment)

    def stop(self, number: int = signal.SIGKILL) -> None:
        """End the server."""
        if self.served is not None:
            self.served.stop(number)
            self.served = None

    def clear(self) -> None:
        """Remove all windows and all envs but `main`, which is always there."""
        for env in set(self.envs()) - {"main"}:
            (self.folder / f"{env}.json").touch()  # the server fails where it has no file to remove
            requests.post(f"{self.url}/delete_env", json={"eid": env}, timeout=60).raise_for_status()
        requests.post(f"{self.url}/close", json={"eid": "main", "win": None}, timeout=60).raise_for_status()

    def envs(self) -> list[str]:
        """Return the names of the envs."""
        return list(requests.post(f"{self.url}/env_state", json={}, timeout=60).json())

    def windows(self, env: str) -> dict[str, dict[str, Any]]:
        """Return the windows of an env by their titles."""
        answer = requests.post(f"{self.url}/win_data", json={"win": None, "eid": env}, timeout=60)
        return {window["title"]: window for window in answer.json().values()} if answer.ok else {}

    def trace(self, env: str, title: str, name: str) -> list[tuple[int, float]]:
        """Return the points of one trace."""
        window = self.windows(env)[title]
        traces = (trace for trace in window["content"]["data"] if trace["name"] == name)
        (trace,) = (trace for trace in traces if trace["meta"].get("part") in (None, "raw"))
        return list(zip(trace["x"], trace["y"]))


class FaultyServer:
    """A server with a fault.

    `hang` accepts and never answers, `error` answers 500, `drop` closes every second connection and passes the others
    on to the port `upstream`.
    """

    def __init__(self, fault: str, upstream: int = 0, port: int = 0) -> None:
        """Start it, on a thread of this process; port 0 takes a free one. Raises `OSError` where the port is taken."""
        self.connections = 0
        self.over = threading.Event()
        owner = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                owner.connections += 1
                if fault == "hang":
                    owner.over.wait()
                elif fault == "error":
                    self.request.recv(65536)
                    self.request.sendall(b"HTTP/1.1 500 Broken\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                elif owner.connections % 2 == 0:
                    owner.relay(self.request, upstream)

        class Server(socketserver.ThreadingTCPServer):
            allow_reuse_address = True
            daemon_threads = True
            block_on_close = False

        self.server = Server(("127.0.0.1", port), Handler)
        self.port = self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()

    def relay(self, request: socket.socket, port: int) -> None:
        """Pass a connection on until either side closes it."""
        with socket.create_connection(("127.0.0.1", port)) as upstream:

            def pump(source: socket.socket, target: socket.socket) -> None:
                try:
                    while data := source.recv(65536):
                        target.sendall(data)
                    target.shutdown(socket.SHUT_WR)
                except OSError:
                    pass

            back = threading.Thread(target=pump, args=(upstream, request), daemon=True)
            back.start()
            pump(request, upstream)
            back.join()

    def stop(self) -> None:
        """End the server and the connections that hang."""
        self.over.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


class Mirror:
    """A real HTTP server over a folder."""

    def __init__(self, folder: Path) -> None:
        """Start it, on a thread of this process."""

        class Quiet(SimpleHTTPRequestHandler):
            def log_message(self, format: str, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/"

    def stop(self) -> None:
        """End the server."""
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()
