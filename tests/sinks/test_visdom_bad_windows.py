"""A window that cannot be shown costs itself, and a server that asks for a pause gets it."""

from __future__ import annotations

import json
import threading
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from monitor import BadRecord, Run, SlowDown
from monitor import records as r
from monitor.sinks.visdom.sink import VisdomSink

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.support.servers import VisdomServer


class Unprintable(str):
    """A text that cannot be inserted into another one."""

    def __format__(self, spec: str) -> str:
        raise RuntimeError("no text")


GOOD: list[r.Record] = [
    r.Scalar("train/loss", 1.0, 0, 1.0),
    r.Text("notes", "good", 3, 1.0),
    r.Images("picture", np.zeros((1, 1, 8, 8), np.uint8), 4, 1.0),
]
BAD: dict[str, r.Record] = {
    "the record Images 'photo' at step 7": r.Images("photo", np.zeros((1, 5, 8, 8), np.uint8), 7, 1.0),
    "the record Histogram 'weights' at step 7": r.Histogram("weights", np.array(["a"]), 7, 1.0),
    "the record Text 'notes' at step 7": r.Text("notes", Unprintable("text"), 7, 1.0),
    "the record Text 'other' at step 7": r.Text("other", Unprintable("text"), 7, 1.0),
    "the window of the scalars 'accuracy'": r.Scalar("test/accuracy", 1.0, 2**70, 1.0),
}


class Answers:
    """A server that takes windows as Visdom's does, unless `answer` returns another status for a request."""

    def __init__(self) -> None:
        self.answer: Callable[[str, dict[str, Any]], int] = lambda _path, _message: 200
        self.headers: dict[str, str] = {}
        self.titles: list[str] = []  # of the windows that it took
        self.layouts: dict[str, Any] = {}  # of these, by title
        owner = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                message = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                status = owner.answer(self.path, message)
                if status == 200 and self.path == "/events":
                    owner.titles.append(message["opts"]["title"])
                    owner.layouts[message["opts"]["title"]] = message.get("layout")
                self.send_response(status)
                for name, value in {**owner.headers, "Content-Length": "0"}.items():
                    self.send_header(name, value)
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_port
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        self.thread.start()


@pytest.fixture
def server() -> Iterator[Answers]:
    answers = Answers()
    yield answers
    answers.server.shutdown()
    answers.server.server_close()
    answers.thread.join()


@pytest.fixture
def sink(server: Answers, run: Run) -> Iterator[VisdomSink]:
    opened = VisdomSink(port=server.port)
    opened.open(run)
    yield opened
    opened.close()


@pytest.mark.parametrize("what", BAD)
def test_a_window_that_cannot_be_drawn_costs_itself(what: str, run: Run, visdom_server: VisdomServer) -> None:
    sink = VisdomSink(port=visdom_server.port, env="bad")
    sink.open(run)
    sink.write([GOOD[0], BAD[what], *GOOD[1:]])
    with pytest.raises(BadRecord, match=f"^{what} cannot be shown: [A-Za-z]+: ") as caught:
        sink.flush()
    assert caught.value.count == 1
    windows = visdom_server.windows("bad")
    assert set(windows) == {"loss", "notes", "picture"}
    assert "good" in windows["notes"]["content"]
    sink.flush()  # it is told once
    sink.write([r.Scalar("train/loss", 2.0, 1, 2.0)])
    sink.flush()
    assert visdom_server.trace("bad", "loss", "train") == [(0, 1.0), (1, 2.0)]
    sink.close()


def test_all_that_cannot_be_shown_is_named_at_once(sink: VisdomSink, server: Answers) -> None:
    sink.write([*BAD.values(), *GOOD])
    with pytest.raises(BadRecord) as caught:
        sink.flush()
    assert caught.value.count == len(BAD)
    assert all(f"{what} cannot be shown" in str(caught.value) for what in BAD)
    assert len(str(caught.value).splitlines()) == 1
    assert set(server.titles) == {"loss", "notes", "picture"}


def test_a_failure_of_the_network_does_not_hide_what_is_bad(sink: VisdomSink, server: Answers) -> None:
    server.answer = lambda path, message: 500 if path == "/events" and message["opts"]["title"] == "notes" else 200
    sink.write([next(iter(BAD.values())), *GOOD])
    with pytest.raises(ConnectionError, match="500"):
        sink.flush()
    server.answer = lambda _path, _message: 200
    with pytest.raises(BadRecord, match="'photo'"):
        sink.flush()
    assert sorted(server.titles) == ["loss", "notes", "picture"]


@pytest.mark.parametrize("status", [400, 401, 403, 413, 422])
def test_a_window_that_the_server_refuses_costs_itself(sink: VisdomSink, server: Answers, status: int) -> None:
    server.answer = lambda path, message: status if path == "/events" and message["opts"]["title"] == "picture" else 200
    sink.write(GOOD)
    with pytest.raises(BadRecord, match=r"^the record Images 'picture' at step 4 cannot be shown: the server at .*4"):
        sink.flush()
    assert sorted(server.titles) == ["loss", "notes"]
    sink.flush()


@pytest.mark.parametrize("status", [400, 401, 404, 413])
def test_a_server_that_refuses_everything_loses_nothing(sink: VisdomSink, server: Answers, status: int) -> None:
    """It asks for a login, or is none of Visdom's."""
    server.answer = lambda _path, _message: status
    sink.write(GOOD)
    with pytest.raises(OSError, match=r"login|answers"):
        sink.flush()
    server.answer = lambda _path, _message: 200
    sink.flush()
    assert sorted(server.titles) == ["loss", "notes", "picture"]


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(
    ("header", "delay"),
    [("17", 17.0), ("", 5.0), ("soon", 5.0), ("9" * 400, 5.0), ("0", 0.0), ("-3", 5.0), ("nan", 5.0)],
)
def test_a_server_that_asks_for_a_pause(
    sink: VisdomSink, server: Answers, status: int, header: str, delay: float
) -> None:
    server.headers = {"Retry-After": header}
    server.answer = lambda path, _message: status if path == "/events" else 200
    sink.write(GOOD)
    with pytest.raises(SlowDown, match=str(status)) as caught:
        sink.flush()
    assert caught.value.delay == delay
    server.answer = lambda _path, _message: 200
    sink.flush()
    assert sorted(server.titles) == ["loss", "notes", "picture"]


@pytest.mark.parametrize(("ahead_s", "delay"), [(3600, 3600.0), (-3600, 0.0)])
def test_a_pause_until_a_date(sink: VisdomSink, server: Answers, ahead_s: int, delay: float) -> None:
    date = datetime.now(timezone.utc) + timedelta(seconds=ahead_s)
    server.headers = {"Retry-After": format_datetime(date, usegmt=True)}
    server.answer = lambda _path, _message: 503
    sink.write(GOOD)
    with pytest.raises(SlowDown) as caught:
        sink.flush()
    assert caught.value.delay == pytest.approx(delay, abs=60)


def test_a_window_that_cannot_be_drawn_is_not_saved(sink: VisdomSink, tmp_path: Path) -> None:
    sink.write([*BAD.values(), *GOOD[:1], *GOOD[2:]])
    sink.save(tmp_path / "saved")
    saved = json.loads((tmp_path / "saved" / "run.json").read_text())["jsons"].values()
    assert {window["title"] for window in saved} == {"loss", "picture"}


def test_a_server_without_our_page_gets_buttons_that_need_no_script(sink: VisdomSink, server: Answers) -> None:
    sink.write([r.Scalar("train/loss", 1.0, step, 1.7e9 + step) for step in range(3)])
    sink.flush()
    (menu,) = server.layouts["loss"]["updatemenus"]
    shown = {button["label"]: button["args"][0]["x"][0] for button in menu["buttons"]}
    assert (shown["step"], shown["relative"]) == ([0, 1, 2], [0, 1, 2])
    assert [time - shown["time"][0] for time in shown["time"]] == [0, 1000, 2000]
