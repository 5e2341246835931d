"""Dashboards start by themselves, end with their run, keep strangers out, and never hold up the training."""

from __future__ import annotations

import http.client
import json
import os
import pty
import re
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests
from click.testing import CliRunner

from monitor import Logger, network
from monitor.cli import main
from monitor.dashboards import launcher
from monitor.sinks.visdom.sink import VisdomSink
from monitor.testing import wait_until
from tests.support import event_reader
from tests.support.servers import BadServer, Served, VisdomServer, free_port

Start = Callable[..., "subprocess.Popen[str]"]
pytestmark = pytest.mark.usefixtures("assets")


def mlp(data: Path, logdir: Path, name: str, *more: str) -> list[str]:
    return [
        "-m", "runners.mlp", "--data", "mnist", "--data-dir", str(data), "--logdir", str(logdir), "--name", name,
        "--hidden", "16", "--batch-size", "20", *more,
    ]  # fmt: skip


def answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=5).ok
    except requests.RequestException:
        return False


# Serving


def test_serve_visdom_prints_where_the_page_answers(tmp_path: Path) -> None:
    server = Served("visdom", "--port", "0", "--env-dir", str(tmp_path / "envs"))
    try:
        assert server.line == f"Visdom: http://127.0.0.1:{server.port}"
        assert answers(server.url)
        for name in ("js/plotly-plotly.min.js", "css/bootstrap.min.css", "js/monitor.js", "js/main.js"):
            assert requests.get(f"{server.url}/static/{name}", timeout=5).ok
        for outside in ("../../dashboards/assets.json", "%2e%2e/assets.json", "js/../../assets.json", "//etc/passwd"):
            raw = http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)  # sends the path as it is
            raw.request("GET", f"/static/{outside}")
            assert raw.getresponse().status in (403, 404), outside
            raw.close()
    finally:
        assert server.stop(signal.SIGTERM) == ""
    assert server.process.returncode == 0


def test_a_damaged_asset_is_never_served(tmp_path: Path, files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = tmp_path / "cache"
    for path in files.rglob("*.*"):
        (cache / path.relative_to(files)).parent.mkdir(parents=True, exist_ok=True)
        (cache / path.relative_to(files)).write_bytes(path.read_bytes())
    (cache / "js" / "d3.v3.min.js").write_text("alert('not d3')")
    (cache / "js" / "extra.js").write_text("alert('not ours')")
    nobody = {"PATH": "", "http_proxy": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9"}
    server = Served(
        "visdom", "--port", "0", "--env-dir", str(tmp_path / "envs"), MONITOR_ASSETS_DIR=str(cache), **nobody
    )
    try:
        assert requests.get(f"{server.url}/static/js/jquery.min.js", timeout=5).ok
        for name in ("js/d3.v3.min.js", "js/extra.js"):
            assert requests.get(f"{server.url}/static/{name}", timeout=5).status_code == 404
    finally:
        said = server.stop()
    assert "js/d3.v3.min.js" in said
    assert "monitor assets export FILE.zip" in said


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["visdom", "--host", "0.0.0.0"], "--username NAME and --password-file FILE"),
        (["visdom", "--host", "192.0.2.1"], "can be reached from other machines"),
        (["visdom", "--username", "me"], "--username and --password-file go together"),
        (["visdom", "--port", "99999"], "99999 is not in the range"),
        (["visdom", "--password-file", "/no/such/file"], "does not exist"),
        (["tensorboard", "--port", "x"], "'x' is not a valid integer"),
        (["grafana"], "No such command 'grafana'"),
    ],
)
def test_bad_serve_options_are_one_line(arguments: list[str], says: str) -> None:
    result = CliRunner().invoke(main, ["serve", *arguments])
    assert result.exit_code == 2
    assert re.fullmatch(r"Error: [^\n]+\n", result.stderr)
    assert says in result.stderr


def test_a_busy_visdom_port_is_one_line(tmp_path: Path, start: Start) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        process = start("-m", "monitor", "serve", "visdom", "--port", str(port), "--env-dir", str(tmp_path))
        _, err = process.communicate(timeout=30)
    assert process.returncode == 1
    assert re.fullmatch(r"Error: [^\n]+\n", err)
    assert str(port) in err


def test_tensorboard_takes_the_next_free_port(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        server = Served("tensorboard", "--port", str(port), "--logdir", str(tmp_path))
        try:
            assert server.port > port
            assert answers(server.url)
        finally:
            server.stop(signal.SIGTERM)


# Safety


def test_another_sites_page_is_kept_out(tmp_path: Path) -> None:
    server = Served("visdom", "--port", "0", "--env-dir", str(tmp_path / "envs"))
    try:
        own = {"Origin": server.url}
        assert requests.post(f"{server.url}/env_state", json={}, headers=own, timeout=5).ok
        for headers in ({"Origin": "http://evil.example"}, {"Host": f"evil.example:{server.port}"}, {"Origin": "null"}):
            for path in ("/", "/env_state", "/socket", "/vis_socket_wrap"):
                refused = requests.post(f"{server.url}{path}", json={}, headers=headers, timeout=5)
                assert refused.status_code == 403, (headers, path)
    finally:
        server.stop()


def test_every_route_is_behind_the_login(tmp_path: Path) -> None:
    secret = tmp_path / "password"
    secret.write_text("open sesame\n")
    server = Served("visdom", "--port", "0", "--env-dir", str(tmp_path / "envs"), "--username", "ali",
                    "--password-file", str(secret))  # fmt: skip
    try:
        routes = (
            "events update close socket_wrap vis_socket_wrap env/main compare/a+b save win_exists win_data delete_env "
            "win_hash env_state fork_env user/style.css error/x"
        )
        for path in (f"/{route}" for route in routes.split()):
            answer = requests.post(f"{server.url}{path}", json={"data": [], "win": None, "eid": "main"}, timeout=5)
            assert answer.status_code == 401, path
        for path in ("/socket", "/vis_socket"):
            upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
                       "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA=="}  # fmt: skip
            assert requests.get(f"{server.url}{path}", headers=upgrade, timeout=5).status_code == 401, path
        assert "Visdom Login" in requests.get(f"{server.url}/env/main", timeout=5).text
        with Logger(tmp_path / "run", [f"visdom://127.0.0.1:{server.port}"]) as log:
            log.scalar("a", 1.0, 0)
            wait_until(lambda: log.stats().sinks["visdom"].retries)
            assert "needs a login" in str(log.stats().sinks["visdom"].last_error)
        listing = subprocess.run(
            ["ps", "-ww", "-o", "args=", "-p", str(server.process.pid)], capture_output=True, text=True
        )
        assert "sesame" not in listing.stdout
    finally:
        said = server.stop()
    assert "sesame" not in said


def test_a_password_in_a_sinks_spec_is_refused_and_not_repeated(tmp_path: Path) -> None:
    result = CliRunner().invoke(
        main, ["train", "mlp", "--logdir", str(tmp_path / "r"), "--sink", "visdom://a:sesame@h"]
    )
    assert result.exit_code == 2
    assert "VISDOM_PASSWORD_FILE" in result.stderr
    assert "sesame" not in result.output
    assert not (tmp_path / "r").exists()


# Start or attach


def test_a_run_starts_its_dashboards_and_keeps_their_windows(tmp_path: Path, small_mnist: Path, start: Start) -> None:
    process = start(*mlp(small_mnist, tmp_path / "runs", "a", "--epochs", "2"))
    out, err = process.communicate(timeout=90)
    assert process.returncode == 0, err
    visdom = re.search(r"^Visdom: (http://127\.0\.0\.1:\d+)/env/a$", out, re.M)
    board = re.search(r"^TensorBoard: (http://127\.0\.0\.1:\d+)$", out, re.M)
    assert visdom, out + err
    assert board, out + err
    assert not answers(visdom[1])
    assert not answers(board[1])
    folder = tmp_path / "runs" / "a" / "visdom"
    assert f"monitor serve visdom --env-dir {folder}" in out
    server = Served("visdom", "--port", "0", "--env-dir", str(folder))
    try:
        kept = requests.post(f"{server.url}/win_data", json={"win": None, "eid": "a"}, timeout=5).json()
    finally:
        server.stop()
    (train,) = (window for window in kept.values() if window["title"] == "train loss")
    assert train["content"]["data"][0]["x"] == [
        step for step, _ in event_reader.series(tmp_path / "runs" / "a", "train/loss")
    ]
    assert {"test loss & accuracy", "samples", "predictions"} <= {window["title"] for window in kept.values()}


def test_a_server_that_is_there_is_used_and_left_running(
    tmp_path: Path, small_mnist: Path, start: Start, visdom_server: VisdomServer
) -> None:
    process = start(*mlp(small_mnist, tmp_path, "b", "--epochs", "1", "--sink", visdom_server.spec()))
    out, _ = process.communicate(timeout=90)
    assert f"Visdom: {visdom_server.url}/env/b" in out
    assert "train loss" in visdom_server.windows("b")
    assert (tmp_path / "b" / "visdom" / "b.json").is_file()


def test_where_nobody_listens_a_server_is_started_there(tmp_path: Path, small_mnist: Path, start: Start) -> None:
    port = free_port()
    process = start(*mlp(small_mnist, tmp_path, "c", "--epochs", "100000", "--sink", f"visdom://127.0.0.1:{port}/mine"))
    assert process.stdout is not None
    assert process.stdout.readline().strip() == f"Visdom: http://127.0.0.1:{port}/env/mine"
    assert answers(f"http://127.0.0.1:{port}/env/mine")
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode == 130
    assert not answers(f"http://127.0.0.1:{port}")


def test_ctrl_c_while_the_dashboards_start_leaves_no_lie(tmp_path: Path, small_mnist: Path, start: Start) -> None:
    process = start(*mlp(small_mnist, tmp_path, "early", "--epochs", "100000"))
    kept = tmp_path / "early" / "run.json"
    wait_until(lambda: kept.is_file() and kept.stat().st_size, 30, "the run")
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "Traceback" not in err
    assert json.loads(kept.read_text())["status"] == "interrupted"


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
    wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids), 10, "the end of the servers")
    assert not any(answers(url[0]) for url in urls if url)


def test_on_a_terminal_the_dashboards_stay_until_ctrl_c(tmp_path: Path, small_mnist: Path) -> None:
    master, slave = pty.openpty()
    command = [sys.executable, *mlp(small_mnist, tmp_path, "e", "--epochs", "1")]
    process = subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, start_new_session=True)
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
        wait_until(lambda: drained(master) is not None and process.poll() is not None, 20, "the end")
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


def test_a_port_that_something_else_holds_is_left_for_another(tmp_path: Path) -> None:
    said: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert network.listens("127.0.0.1", port)
        board = launcher.serve_sink(VisdomSink("127.0.0.1", port), tmp_path / "envs")
        try:
            assert board.wait(said.append)
            assert board.url != f"http://127.0.0.1:{port}"
            assert network.is_visdom(board.url)
        finally:
            board.stop()
    assert said == []


def test_a_server_that_cannot_start_is_told_in_one_line(tmp_path: Path) -> None:
    said: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as taken:
        command = VisdomSink().server_command(taken.getsockname()[1], tmp_path)
        assert not launcher.DashboardServer("Visdom", command=command).wait(said.append)
    (line,) = said
    assert line.startswith("Visdom could not be started: Error: visdom cannot be served on 127.0.0.1 port")
    assert line.endswith("training goes on without it")


# Servers in trouble


@pytest.fixture
def bad_server(request: pytest.FixtureRequest, visdom_server: VisdomServer) -> Iterator[BadServer]:
    server = BadServer(request.param, visdom_server.port)
    yield server
    server.stop()


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory, small_mnist: Path) -> Path:
    """Return a run without a Visdom server."""
    logdir = tmp_path_factory.mktemp("calm")
    subprocess.run([sys.executable, *mlp(small_mnist, logdir, "calm", *STEADY)], timeout=100, check=True)
    return logdir / "calm"


STEADY = ("--epochs", "20", "--sink", "tensorboard")


@pytest.mark.parametrize("bad_server", ["hang", "error", "drop"], indirect=True)
def test_a_server_in_trouble_changes_nothing(
    tmp_path: Path, small_mnist: Path, start: Start, bad_server: BadServer, calm: Path
) -> None:
    sink = ("--sink", f"visdom://127.0.0.1:{bad_server.port}/trouble")
    troubled = start(*mlp(small_mnist, tmp_path, "troubled", *STEADY, *sink))
    _, err = troubled.communicate(timeout=100)
    assert troubled.returncode == 0, err
    assert "Traceback" not in err
    assert event_reader.series(tmp_path / "troubled", "train/loss") == event_reader.series(calm, "train/loss")
    one, two = (event_reader.read(run).Histograms("weights/fc2.weight")[-1] for run in (tmp_path / "troubled", calm))
    assert one.histogram_value == two.histogram_value
    assert bad_server.connections > 0
    facts = json.loads((tmp_path / "troubled" / "run.json").read_text())["logged"]
    assert facts["tensorboard"]["pending"] == 0
    assert len(re.findall(r"^WARNING: visdom: \w+Error", err, re.M)) <= 1 + facts["visdom"]["retries"]
