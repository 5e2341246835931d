"""Who may steer a training: pages of the same origin that may write, behind a login unless nobody else reaches them."""

from __future__ import annotations

import json
import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
import requests
import torch
import websocket

from monitor import Logger
from monitor.sinks.visdom.client import VisdomClient
from monitor.testing import wait_until
from tests.support.servers import free_port
from tests.support.steering import PLAIN_SERVER, SteeringPage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.support.processes import Start
    from tests.support.servers import Served, VisdomServer


class Loop:
    """A loop that makes a step whenever it is asked to."""

    def __init__(self, log: Logger, optimizer: torch.optim.Optimizer) -> None:
        self.log, self.step, self._group = log, 0, optimizer.param_groups[0]
        self.log.steer(0)

    @property
    def lr(self) -> float:
        """The learning rate after one more step."""
        self.step += 1
        self.log.steer(self.step)
        return float(self._group["lr"])


@contextmanager
def steered(folder: Path, spec: str) -> Iterator[Loop]:
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
    with Logger(folder / "steered", [spec], controls={"lr": optimizer}) as log:
        yield Loop(log, optimizer)


def changes(loop: Loop, page: SteeringPage, value: str) -> None:
    page.change("lr", value)
    wait_until(lambda: loop.lr == float(value), 60, f"a learning rate of {value}")


def test_a_page_steers_and_other_sites_cannot(tmp_path: Path, visdom_server: VisdomServer) -> None:
    server = visdom_server
    with steered(tmp_path, server.spec()) as loop, SteeringPage(server.url, "steered") as page:
        changes(loop, page, "0.5")
        page.wait("lr", "lr = 0.5 (was 0.1 until step")
        page.change("lr", " ")  # somebody clicked into the field and out of it
        page.change("lr", "1e400")
        wait_until(lambda: loop.lr and "refused" in page.rows()["lr"][1], 60, "the answer")
        assert page.rows()["lr"][1] == "lr = 0.5 (refused: 1e400 is not a number greater than 0)"
        event = page.event("lr", "0.9")
        address = f"ws://127.0.0.1:{server.port}"
        for route in ("/socket", "/vis_socket"):
            for origin in ("http://evil.example", "null", f"http://127.0.0.1:{server.port + 1}"):
                with pytest.raises(websocket.WebSocketBadStatusException, match="403"):
                    websocket.create_connection(address + route, timeout=60, origin=origin)
        sid = requests.get(f"{server.url}/socket_wrap", timeout=60).json()["sid"]
        body = {"message_type": "send", "sid": sid, "message": json.dumps(event)}
        for route in ("socket_wrap", "vis_socket_wrap"):
            refused = requests.post(f"{server.url}/{route}", json=body, headers={"Origin": "http://a.b"}, timeout=60)
            assert refused.status_code == 403
        # None of these is a change by a page: an echo of another client, another env, no place, no text.
        echo = {"cmd": "echo", **event["data"], "pane_data": page.window()}
        other = websocket.create_connection(f"{address}/vis_socket", timeout=60)
        other.send(json.dumps(echo))
        for wrong in (
            {"eid": "main"},
            {"propertyId": 99},
            {"propertyId": "0"},
            {"value": 0.9},
            {"event_type": "Click"},
        ):
            with SteeringPage(server.url, "steered") as stranger:
                stranger.send({**event, "data": {**event["data"], **wrong}})
        changes(loop, page, "0.6")
        assert requests.post(f"{server.url}/socket_wrap", json=body, timeout=60).ok, "the page's own polling"
        wait_until(lambda: loop.lr == 0.9, 60, "the change")
        other.close()
    assert "The run has ended" in server.windows("steered")["controls"]["content"]


@pytest.mark.slow
def test_the_window_comes_back_with_the_server(tmp_path: Path, own_visdom_server: VisdomServer) -> None:
    server = own_visdom_server
    with steered(tmp_path, server.spec()) as loop:
        with SteeringPage(server.url, "steered") as page:
            changes(loop, page, "0.5")
        server.stop()
        assert loop.lr == 0.5
        server.start()
        with SteeringPage(server.url, "steered") as page:
            changes(loop, page, "0.25")


def test_a_page_that_may_only_read_cannot_steer(tmp_path: Path, files: Path, serve: Callable[..., Served]) -> None:
    envs = str(tmp_path / "envs")
    server = serve("visdom", "--port", "0", "--env-dir", envs, "--readonly", MONITOR_ASSETS_DIR=str(files))
    spec = f"visdom://127.0.0.1:{server.port}"
    with steered(tmp_path, spec) as loop, SteeringPage(server.url, "steered") as page:
        event = page.event("lr", "0.9")
        page.change("lr", "0.9")
        sid = requests.get(f"{server.url}/socket_wrap", timeout=60).json()["sid"]
        body = {"message_type": "send", "sid": sid, "message": json.dumps(event)}
        assert requests.post(f"{server.url}/socket_wrap", json=body, timeout=60).ok
        other = websocket.create_connection(f"ws://127.0.0.1:{server.port}/vis_socket", timeout=60)
        other.send(json.dumps({"cmd": "echo", **event["data"], "pane_data": page.window()}))
        while json.loads(other.recv()).get("cmd") != "echo":  # so what was sent before was passed on, or never will be
            pass
        other.close()
        loop.log.controls.request("lr", "0.3")
        wait_until(lambda: loop.lr == 0.3, 60, "the change")
        page.wait("lr", "lr = 0.3")
        assert loop.lr == 0.3


def test_with_a_login_only_who_has_it_can_steer(
    tmp_path: Path, files: Path, serve: Callable[..., Served], monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = tmp_path / "password"
    secret.write_text("open sesame\n")
    server = serve("visdom", "--port", "0", "--env-dir", str(tmp_path / "envs"), "--username", "ali",
                   "--password-file", str(secret), MONITOR_ASSETS_DIR=str(files))  # fmt: skip
    monkeypatch.setenv("VISDOM_USERNAME", "ali")
    monkeypatch.setenv("VISDOM_PASSWORD_FILE", str(secret))
    cookie = VisdomClient(server.url).login_cookie("main")
    with steered(tmp_path, f"visdom://127.0.0.1:{server.port}") as loop:
        for route in ("socket", "vis_socket"):
            with pytest.raises(websocket.WebSocketBadStatusException, match="401"):
                websocket.create_connection(f"ws://127.0.0.1:{server.port}/{route}", timeout=60)
        assert requests.get(f"{server.url}/socket_wrap", timeout=60).status_code == 401
        with SteeringPage(server.url, "steered", cookie) as page:
            changes(loop, page, "0.5")


def test_visdoms_own_server_only_where_nobody_else_reaches_it(
    tmp_path: Path, start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    port = free_port()
    (tmp_path / "envs").mkdir()
    start("-c", PLAIN_SERVER, str(port), str(tmp_path / "envs"))
    url = f"http://127.0.0.1:{port}"
    wait_until(lambda: _answers(url), 60, "the server")
    with caplog.at_level(logging.WARNING, "monitor"):
        with steered(tmp_path, f"visdom://127.0.0.1:{port}") as loop, SteeringPage(url, "steered") as page:
            changes(loop, page, "0.5")
        said = [record.message for record in caplog.records]
        assert len([line for line in said if "accepts requests of any web site" in line]) == 1
        caplog.clear()
        # The same server, under a name that is not certain to be this machine alone.
        with steered(tmp_path / "second", f"visdom://127.1:{port}/second") as loop:
            wait_until(lambda: caplog.records, 60, "the refusal")
            assert loop.lr == 0.1
            assert loop.log.flush()
    assert [record.message for record in caplog.records] == [
        "steering is off, and training goes on: "
        f"the Visdom server at http://127.1:{port} is on the network and has no login"
    ]
    windows: Any = requests.post(f"{url}/win_data", json={"win": None, "eid": "second"}, timeout=60).json()
    assert "controls" not in {window["title"] for window in windows.values()}


def _answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=60).status_code > 0
    except requests.RequestException:
        return False
