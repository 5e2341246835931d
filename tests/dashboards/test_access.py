"""Dashboards keep strangers out."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest
import requests
from click.testing import CliRunner

from monitor import Logger
from monitor.cli import main
from monitor.testing import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support.servers import Served


pytestmark = pytest.mark.usefixtures("assets")


def test_another_sites_page_is_kept_out(tmp_path: Path, serve: Callable[..., Served]) -> None:
    server = serve("visdom", "--port", "0", "--env-dir", str(tmp_path / "envs"))
    try:
        own = {"Origin": server.url}
        assert requests.post(f"{server.url}/env_state", json={}, headers=own, timeout=60).ok
        for headers in ({"Origin": "http://evil.example"}, {"Host": f"evil.example:{server.port}"}, {"Origin": "null"}):
            for path in ("/", "/env_state", "/socket", "/vis_socket_wrap"):
                refused = requests.post(f"{server.url}{path}", json={}, headers=headers, timeout=60)
                assert refused.status_code == 403, (headers, path)
    finally:
        server.stop()


def test_every_route_is_behind_the_login(tmp_path: Path, serve: Callable[..., Served]) -> None:
    secret = tmp_path / "password"
    secret.write_text("open sesame\n")
    server = serve("visdom", "--port", "0", "--env-dir", str(tmp_path / "envs"), "--username", "ali",
                    "--password-file", str(secret))  # fmt: skip
    try:
        routes = (
            "events update close socket_wrap vis_socket_wrap env/main compare/a+b save win_exists win_data delete_env "
            "win_hash env_state fork_env user/style.css error/x"
        )
        for path in (f"/{route}" for route in routes.split()):
            answer = requests.post(f"{server.url}{path}", json={"data": [], "win": None, "eid": "main"}, timeout=60)
            assert answer.status_code == 401, path
        for path in ("/socket", "/vis_socket"):
            upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
                       "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA=="}  # fmt: skip
            assert requests.get(f"{server.url}{path}", headers=upgrade, timeout=60).status_code == 401, path
        assert "Visdom Login" in requests.get(f"{server.url}/env/main", timeout=60).text
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
