"""A dashboard of somebody else takes part in all that Visdom does: start, attach, --open, compare, replay, saving."""

from __future__ import annotations

import json
import os
import sys
import urllib.request
import webbrowser
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, urlsplit

import pytest
from click.testing import CliRunner

from monitor import DashboardSink, Logger, Record, Run, Scalar
from monitor.cli import main
from monitor.dashboards.session import save_pages, start_dashboards, view_commands
from monitor.machine.network import listens
from tests.support.servers import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

# A real server: it takes the points of a page by POST, answers them by GET, and ends with its parent.
SERVER = """
import json, os, sys, threading, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
pages, parent = {}, int(sys.argv[2])
class Handler(BaseHTTPRequestHandler):
    def answer(self):
        body = json.dumps(pages.get(self.path, [])).encode()
        self.send_response(200); self.send_header("Content-Length", str(len(body))); self.end_headers()
        self.wfile.write(body)
    def do_GET(self):
        self.answer()
    def do_POST(self):
        pages[self.path] = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.answer()
    def log_message(self, *args):
        pass
def watch():
    while os.getppid() == parent:
        time.sleep(0.1)
    os._exit(0)
threading.Thread(target=watch, daemon=True).start()
print("WARNING: polishing the board", flush=True)
server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler)
print(f"Board: http://127.0.0.1:{server.server_port}", flush=True)
server.serve_forever()
"""


class BoardSink(DashboardSink):
    """Keep all points of a run, and post them whole."""

    name = "board"
    title = "Board"
    accepts = frozenset({Scalar})
    default_port = 0  # set by the fixture

    def __init__(self, url: str = "", page: str = "") -> None:
        self._url, self._page = url or f"http://127.0.0.1:{self.default_port}", page
        self._points: list[tuple[str, int, float]] = []
        self.has_address = bool(url)

    @classmethod
    def from_spec(cls, spec: SplitResult) -> BoardSink:
        return cls(f"http://{spec.netloc}", spec.path.strip("/")) if spec.netloc else cls()

    @property
    def url(self) -> str:
        return self._url

    def connect_to(self, url: str) -> None:
        self._url = url

    def page_url(self, run: Run) -> str:
        return f"{self._url}/{self._page or run.name}"

    def spec_of_page(self, name: str) -> str:
        return f"board://{urlsplit(self._url).netloc}/{name}"

    def is_served(self) -> bool:
        return listens("127.0.0.1", urlsplit(self._url).port or 0)

    def server_command(self, port: int, folder: Path, logdir: Path | None = None) -> list[str]:
        assert logdir is None or not folder.is_relative_to(logdir) or folder == logdir / ".board"
        folder.mkdir(parents=True, exist_ok=True)
        return [sys.executable, "-c", SERVER, str(port), str(os.getpid())]

    def open(self, run: Run) -> None:
        self._page = self._page or run.name

    def write(self, records: Sequence[Record]) -> None:
        self._points += [(r.tag, r.step, r.value) for r in records if isinstance(r, Scalar)]

    def flush(self) -> None:
        request = urllib.request.Request(f"{self._url}/{self._page}", data=json.dumps(self._points).encode())
        urllib.request.urlopen(request, timeout=60).close()

    def close(self) -> None:
        pass

    def forget(self, trace: str, step: int) -> None:
        self._points = [p for p in self._points if not (p[0].endswith(f"/{trace}") and p[1] >= step)]

    def save(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{self._page}.json").write_text(json.dumps(self._points))

    def view_command(self, folder: Path) -> str:
        return f"board {folder}"


@pytest.fixture
def port(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    """Install the sink through its entry point, as a package would; return the port that it uses by default."""
    info = tmp_path / "site" / "board-1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: board\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[monitor.sinks]\nboard = tests.dashboards.test_third_party:BoardSink\n")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    monkeypatch.setattr(BoardSink, "default_port", free_port())
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    return BoardSink.default_port


@pytest.fixture
def server(port: int) -> Iterator[str]:
    """Return the address of a board that is there already, on the usual port."""
    with ExitStack() as cleanup:
        (started,) = start_dashboards([BoardSink()], lambda sink: sink.url, cleanup)
        assert started.url == f"http://127.0.0.1:{port}"
        yield started.url


def page(url: str) -> list[list[Any]]:
    with urllib.request.urlopen(url, timeout=60) as answer:
        found: list[list[Any]] = json.loads(answer.read())
    return found


def log_run(directory: Path, offset: float) -> None:
    with Logger(directory, ["tensorboard"]) as log:
        for step in range(3):
            log.scalar("test/loss", offset + step, step)


def test_it_is_started_opened_saved_and_ended(
    tmp_path: Path,
    port: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    opened: list[str] = []
    monkeypatch.setattr(webbrowser, "open", opened.append)
    run, sink = Run(tmp_path / "runs" / "a"), BoardSink()
    with ExitStack() as cleanup:
        (server,) = start_dashboards([sink], lambda sink: sink.open_page(run), cleanup, open_browser=True)
        assert server.process is not None
        address = f"http://127.0.0.1:{port}/a"
        assert capsys.readouterr().out == f"Board: {address}\n"
        assert opened == [address]
        assert [record.message for record in caplog.records] == ["polishing the board"]
        with Logger(run, [sink]) as log:
            log.scalar("a", 1.5, 0)
        assert page(address) == [["a", 0, 1.5]]
    assert not listens("127.0.0.1", port)
    assert save_pages([sink], run.path) == [sink]
    assert json.loads((run.path / "board" / "a.json").read_text()) == [["a", 0, 1.5]]
    assert view_commands([sink], tmp_path / "runs", run.path) == [f"board {run.path / 'board'}"]


def test_one_that_is_there_is_used_and_left_running(server: str) -> None:
    with ExitStack() as cleanup:
        (found,) = start_dashboards([BoardSink()], lambda sink: sink.url, cleanup)
        assert (found.process, found.url) == (None, server)
    assert page(f"{server}/none") == []


def test_compare_and_replay_use_it(tmp_path: Path, server: str) -> None:
    for name, offset in (("a", 0.0), ("b", 10.0)):
        log_run(tmp_path / "runs" / name, offset)
    compared = CliRunner().invoke(main, ["compare", "a", "b", "--logdir", str(tmp_path / "runs"), "--sink", "board"])
    assert compared.exit_code == 0, compared.output
    assert f"Board: {server}/comparison" in compared.output
    values = {(tag, step): value for tag, step, value in page(f"{server}/comparison")}
    assert values == {(f"test/loss/{run}", n): 10.0 * (run == "b") + n for run in "ab" for n in range(3)}

    replayed = CliRunner().invoke(main, ["replay", str(tmp_path / "runs"), "--sink", "board"])
    assert replayed.exit_code == 0, replayed.output
    assert page(f"{server}/b") == [["test/loss", n, 10.0 + n] for n in range(3)]


def test_a_training_starts_it_and_it_ends_with_it(tmp_path: Path, port: int) -> None:
    """Under `monitor train`, as the only sink; its page is saved with the run."""
    arguments = ["train", "logistic", "--epochs", "5", "--logdir", str(tmp_path / "runs"), "--name", "t"]
    done = CliRunner().invoke(main, [*arguments, "--sink", "board"])
    assert done.exit_code == 0, done.output
    assert f"Board: http://127.0.0.1:{port}/t" in done.output
    assert f"Look at it with: board {tmp_path / 'runs' / 't' / 'board'}" in done.output
    points = json.loads((tmp_path / "runs" / "t" / "board" / "t.json").read_text())
    assert [step for tag, step, _ in points if tag == "train/loss"] == [0, 1, 2, 3, 4, 5]
    assert not listens("127.0.0.1", port)
