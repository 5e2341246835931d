"""A real S3 server for the tests, and a proxy before it that counts bytes and can be gone for a while."""

from __future__ import annotations

import socket
import socketserver
import subprocess
import sys
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import fsspec
import requests

from monitor.testing import wait_until
from tests.support.servers import free_port

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

BUCKET = "bucket"


class S3Server:
    """moto's S3 server in a process of its own; what it holds is lost when it is killed."""

    def __init__(self) -> None:
        """Start it on a free port, with a bucket."""
        self.port = free_port()
        self.start()

    @property
    def url(self) -> str:
        """The address of the server."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it on the same port again, with an empty bucket."""
        command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.port)]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_until(self._answers, 60, "moto's server")
        requests.put(f"{self.url}/{BUCKET}", timeout=60).raise_for_status()

    def kill(self) -> None:
        """End the server with SIGKILL."""
        self.process.kill()
        self.process.wait()

    def objects(self, prefix: str = "") -> dict[str, int]:
        """Return the sizes of the objects in the bucket by their names."""
        return {path.removeprefix(f"{BUCKET}/"): info["size"] for path, info in self._find(prefix).items()}

    def read(self, name: str) -> bytes:
        """Return an object."""
        return bytes(self._fs().cat_file(f"{BUCKET}/{name}"))

    def write(self, name: str, data: bytes) -> None:
        """Write an object."""
        self._fs().pipe_file(f"{BUCKET}/{name}", data)

    def clear(self) -> None:
        """Remove all objects."""
        for path in self._find(""):
            self._fs().rm_file(path)

    def _find(self, prefix: str) -> dict[str, Any]:
        return dict(self._fs().find(BUCKET, prefix=prefix, detail=True))

    def _fs(self) -> Any:
        return fsspec.filesystem(
            "s3",
            endpoint_url=self.url,
            key="k",
            secret="s",
            use_listings_cache=False,
            client_kwargs={"region_name": "us-east-1"},
        )

    def _answers(self) -> bool:
        with suppress(requests.ConnectionError):
            return requests.get(f"{self.url}/moto-api/data.json", timeout=60).ok
        return False


class Proxy:
    """A TCP proxy that counts what goes to the server; `stop` and `start` make it unreachable and reachable again."""

    def __init__(self, upstream: int) -> None:
        """Start it on a free port."""
        self.upstream, self.port = upstream, 0
        self.sent = self.received = 0  # bytes, to and from the server
        self._open: set[socket.socket] = set()
        self.start()

    @property
    def url(self) -> str:
        """The address to connect to."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Listen again, on the same port."""
        owner = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                owner._relay(self.request)

        class Server(socketserver.ThreadingTCPServer):
            allow_reuse_address = True
            daemon_threads = True
            block_on_close = False

        self._server = Server(("127.0.0.1", self.port), Handler)
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def stop(self) -> None:
        """Close the port and all connections, also in the middle of a request."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        for connection in list(self._open):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def _relay(self, request: socket.socket) -> None:
        try:
            upstream = socket.create_connection(("127.0.0.1", self.upstream))
        except OSError:
            return
        self._open |= {request, upstream}
        back = threading.Thread(target=self._pump, args=(upstream, request, False), daemon=True)
        back.start()
        self._pump(request, upstream, True)
        back.join()
        self._open -= {request, upstream}
        upstream.close()

    def _pump(self, source: socket.socket, target: socket.socket, is_sent: bool) -> None:
        with suppress(OSError):
            while data := source.recv(2**16):
                if is_sent:
                    self.sent += len(data)
                else:
                    self.received += len(data)
                target.sendall(data)
        for end in (source, target):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


def use_store(patch: pytest.MonkeyPatch, url: str, folder: Path) -> None:
    """Let this process and its children use the S3 server at `url`, with spool and cache under `folder`."""
    for name, value in {
        "AWS_ENDPOINT_URL": url,
        "S3_ENDPOINT": url,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "MONITOR_SPOOL": str(folder / "spool"),
        "MONITOR_REMOTE_CACHE": str(folder / "cache"),
    }.items():
        patch.setenv(name, value)
