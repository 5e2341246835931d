"""Dashboards start by themselves and end with their run; a server that is there is used."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import signal
import socket
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import requests

from monitor.dashboards import launcher
from monitor.machine import network
from monitor.sinks.visdom.sink import VisdomSink
from monitor.testing import wait_until
from tests.support import event_reader
from tests.support.dashboards import answers, mlp
from tests.support.servers import Served, VisdomServer, free_port

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.processes import Start

pytestmark = pytest.mark.usefixtures("assets")
# Two TensorBoards that look for the next free port at the same moment find the same one.
FREE_PORTS = pytest.mark.xdist_group("free ports")


@pytest.mark.usefixtures("own_default_ports")
@FREE_PORTS
def test_a_run_starts_its_dashboards_and_keeps_their_windows(
    tmp_path: Path, small_mnist: Path, start: Start, serve: Callable[..., Served]
) -> None:
    process = start(*mlp(small_mnist, tmp_path / "runs", "a", "--epochs", "2"))
    out, err = process.communicate(timeout=200)
    assert process.returncode == 0, err
    visdom = re.search(r"^Visdom: (http://127\.0\.0\.1:\d+)/env/a$", out, re.M)
    board = re.search(r"^TensorBoard: (http://127\.0\.0\.1:\d+)$", out, re.M)
    assert visdom, out + err
    assert board, out + err
    assert not answers(visdom[1])
    assert not answers(board[1])
    folder = tmp_path / "runs" / "a" / "visdom"
    assert f"monitor serve visdom --env-dir {folder}" in out
    server = serve("visdom", "--port", "0", "--env-dir", str(folder))
    try:
        kept = requests.post(f"{server.url}/win_data", json={"win": None, "eid": "a"}, timeout=60).json()
    finally:
        server.stop()
    (train,) = (window for window in kept.values() if window["title"] == "loss")
    assert train["content"]["data"][0]["x"] == [
        step for step, _ in event_reader.series(tmp_path / "runs" / "a", "train/loss")
    ]
    assert {"accuracy", "samples", "predictions"} <= {window["title"] for window in kept.values()}


def test_a_server_that_is_there_is_used_and_left_running(
    tmp_path: Path, small_mnist: Path, start: Start, visdom_server: VisdomServer
) -> None:
    process = start(*mlp(small_mnist, tmp_path, "b", "--epochs", "1", "--sink", visdom_server.spec()))
    out, _ = process.communicate(timeout=200)
    assert f"Visdom: {visdom_server.url}/env/b" in out
    assert "loss" in visdom_server.windows("b")
    assert (tmp_path / "b" / "visdom" / "b.json").is_file()


@pytest.mark.slow
def test_where_nobody_listens_a_server_is_started_there(tmp_path: Path, small_mnist: Path, start: Start) -> None:
    port = free_port()
    process = start(*mlp(small_mnist, tmp_path, "c", "--epochs", "100000", "--sink", f"visdom://127.0.0.1:{port}/mine"))
    assert process.stdout is not None
    assert process.stdout.readline().strip() == f"Visdom: http://127.0.0.1:{port}/env/mine"
    assert answers(f"http://127.0.0.1:{port}/env/mine")
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=200)
    assert process.returncode == 130
    assert not answers(f"http://127.0.0.1:{port}")


INTERRUPTED_AT_ONCE = """
import signal, sys
from runners.launch import session
from runners.mlp import main

new_run, number = session._new_run, int(sys.argv.pop(1))
def interrupted(*arguments):
    run = new_run(*arguments)
    signal.raise_signal(number)
    return run
session._new_run = interrupted
main(sys.argv[1:])
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_right_after_the_run_was_made(
    tmp_path: Path, small_mnist: Path, start: Start, number: signal.Signals
) -> None:
    arguments = mlp(small_mnist, tmp_path, "early", "--sink", "memory")[2:]  # without -m runners.mlp
    process = start("-c", INTERRUPTED_AT_ONCE, str(int(number)), *arguments)
    _, err = process.communicate(timeout=200)
    assert process.returncode in (130, 128 + number), err
    assert json.loads((tmp_path / "early" / "run.json").read_text())["status"] == "interrupted"


@pytest.mark.usefixtures("own_default_ports")
@FREE_PORTS
def test_ctrl_c_while_the_dashboards_start_leaves_no_lie(tmp_path: Path, small_mnist: Path, start: Start) -> None:
    process = start(*mlp(small_mnist, tmp_path, "early", "--epochs", "100000"))
    kept = tmp_path / "early" / "run.json"
    wait_until(lambda: kept.is_file() and kept.stat().st_size, 60, "the run")
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=200)
    assert process.returncode == 130
    assert "Traceback" not in err
    assert json.loads(kept.read_text())["status"] == "interrupted"


@pytest.mark.usefixtures("own_default_ports")
@FREE_PORTS
def test_no_server_outlives_a_killed_run(tmp_path: Path, small_mnist: Path, start: Start) -> None:
    process = start(*mlp(small_mnist, tmp_path, "d", "--epochs", "100000"))
    assert process.stdout is not None
    lines = [process.stdout.readline() for _ in range(2)]
    urls = [re.search(r"http://127\.0\.0\.1:\d+", line) for line in lines]
    assert all(urls), lines
    pids = set(Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split())
    assert len(pids) >= 2
    process.kill()
    process.wait()
    wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids), 60, "the end of the servers")
    assert not any(answers(url[0]) for url in urls if url)


@pytest.mark.usefixtures("own_default_ports")
@FREE_PORTS
def test_with_wait_the_dashboards_stay_until_ctrl_c(tmp_path: Path, small_mnist: Path, start: Start) -> None:
    master, slave = pty.openpty()
    terminal: dict[str, Any] = {"stdin": slave, "stdout": slave, "stderr": slave}
    process = start(*mlp(small_mnist, tmp_path, "e", "--epochs", "1", "--wait"), **terminal, start_new_session=True)
    os.close(slave)
    said = ""
    try:
        deadline = time.monotonic() + 60
        while "until Ctrl-C" not in said:
            assert time.monotonic() < deadline, said
            if select.select([master], [], [], 1)[0]:
                said += os.read(master, 65536).decode(errors="replace")
        url = re.search(r"Visdom: (http://127\.0\.0\.1:\d+/env/e)", said)
        assert url, said
        assert answers(url[1])
        assert '"status": "finished"' in (tmp_path / "e" / "run.json").read_text()
        process.send_signal(signal.SIGINT)
        wait_until(lambda: drained(master) is not None and process.poll() is not None, 60, "the end")
        assert process.returncode == 0
        assert not answers(url[1])
    finally:
        process.kill()
        process.wait()
        os.close(master)


def drained(master: int) -> str:
    """Take what waits on a terminal, so that nobody blocks on it."""
    said = ""
    while select.select([master], [], [], 0)[0]:
        try:
            said += os.read(master, 65536).decode(errors="replace")
        except OSError:  # the other side is closed
            break
    return said


@pytest.mark.slow
def test_a_port_that_something_else_holds_is_left_for_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setenv("MONITOR_VISDOM_PORT", str(port))
        assert network.listens("127.0.0.1", port)
        board = launcher.serve_sink(VisdomSink(), tmp_path)
        try:
            assert board.wait(said.append)
            assert port < int(board.url.rpartition(":")[2]) <= port + network.MAX_PORTS, "the next free port"
            assert network.is_visdom(board.url)
            second = VisdomSink()
            shared = launcher.serve_sink(second, tmp_path)
            assert shared.wait(said.append)
            assert (shared.process, second.url) == (None, board.url), "other runs find it there"
            shared.stop()
        finally:
            board.stop()
    assert said == []
