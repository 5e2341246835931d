"""`monitor serve`: the servers' pages, files and ports."""

from __future__ import annotations

import http.client
import re
import signal
import socket
from typing import TYPE_CHECKING

import pytest
import requests
from click.testing import CliRunner

from monitor.cli import main
from tests.support.dashboards import answers
from tests.support.servers import Served

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support.processes import Start
    from tests.support.servers import VisdomServer


pytestmark = pytest.mark.usefixtures("assets")


def test_serve_visdom_prints_where_the_page_answers(tmp_path: Path) -> None:
    server = Served("visdom", "--port", "0", "--env-dir", str(tmp_path / "envs"))
    try:
        assert server.line == f"Visdom: http://127.0.0.1:{server.port}"
        assert answers(server.url)
        for name in ("js/plotly-plotly.min.js", "css/bootstrap.min.css", "js/monitor/plots.js", "js/main.js"):
            assert requests.get(f"{server.url}/static/{name}", timeout=60).ok
        for outside in ("../../dashboards/assets.json", "%2e%2e/assets.json", "js/../../assets.json", "//etc/passwd"):
            raw = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)  # sends the path as it is
            raw.request("GET", f"/static/{outside}")
            assert raw.getresponse().status in (403, 404), outside
            raw.close()
    finally:
        assert server.stop(signal.SIGTERM) == ""
    assert server.process.returncode == 0


@pytest.mark.slow
def test_a_damaged_asset_is_never_served(tmp_path: Path, files: Path, serve: Callable[..., Served]) -> None:
    cache = tmp_path / "cache"
    for path in files.rglob("*.*"):
        (cache / path.relative_to(files)).parent.mkdir(parents=True, exist_ok=True)
        (cache / path.relative_to(files)).write_bytes(path.read_bytes())
    (cache / "js" / "d3.v3.min.js").write_text("alert('not d3')")
    (cache / "js" / "extra.js").write_text("alert('not ours')")
    nobody = {"PATH": "", "http_proxy": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9"}
    environment = {"MONITOR_ASSETS_DIR": str(cache), **nobody}
    server = serve("visdom", "--port", "0", "--env-dir", str(tmp_path / "envs"), **environment)
    try:
        assert requests.get(f"{server.url}/static/js/jquery.min.js", timeout=60).ok
        for name in ("js/d3.v3.min.js", "js/extra.js"):
            assert requests.get(f"{server.url}/static/{name}", timeout=60).status_code == 404
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
        _, err = process.communicate(timeout=200)
    assert process.returncode == 1
    assert re.fullmatch(r"Error: [^\n]+\n", err)
    assert str(port) in err


@pytest.mark.xdist_group("free ports")
def test_tensorboard_takes_the_next_free_port(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        server = Served("tensorboard", "--port", str(port), "--logdir", str(tmp_path))
        try:
            assert server.port > port
            assert answers(server.url)
        finally:
            server.stop(signal.SIGTERM)


def test_a_default_port_that_is_busy_moves_to_the_next(
    serve: Callable[..., Served], visdom_server: VisdomServer, tmp_path: Path
) -> None:
    port = visdom_server.port
    moved = serve("visdom", "--env-dir", str(tmp_path), MONITOR_VISDOM_PORT=str(port))
    assert port < int(moved.url.rpartition(":")[2]) <= port + 100
