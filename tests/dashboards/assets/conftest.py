"""A cache of the test's own, and machines without npm or without a network."""

from __future__ import annotations

import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.asset_files import Proxy


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make the cache a folder of the test's, that does not exist yet."""
    monkeypatch.setenv("MONITOR_ASSETS_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    monkeypatch.setattr("tempfile.tempdir", None)
    (tmp_path / "tmp").mkdir()
    return tmp_path / "cache"


@pytest.fixture
def bin_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make PATH an empty folder: there is no npm but the one that a test puts there."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


@pytest.fixture
def offline(bin_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Leave neither npm nor a network."""
    with socket.socket() as nobody:  # bound, and not listening: every connection is refused
        nobody.bind(("127.0.0.1", 0))
        through(nobody.getsockname()[1], bin_folder, monkeypatch)
        yield


@pytest.fixture
def proxy(bin_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    """Let all HTTP go to a server of the test's, that has some files; it refuses HTTPS."""
    held: dict[str, bytes] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            content = held.get(self.path.rpartition("/")[2])
            self.send_response(404 if content is None else 200)
            self.end_headers()
            self.wfile.write(content or b"")

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    through(server.server_port, bin_folder, monkeypatch)
    yield held.update
    server.shutdown()
    server.server_close()
    thread.join()


def through(port: int, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let programs be found in `folder` alone, and all HTTP go through the proxy at `port`."""
    monkeypatch.setenv("PATH", str(folder))
    for name in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{port}")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
