"""A logger of one's own says in one line where to look."""

from __future__ import annotations

import os
import pty
from typing import TYPE_CHECKING

import requests
from click.testing import CliRunner

from monitor import Logger, Run
from monitor.cli import main
from monitor.dashboards.announcement import where_to_look
from monitor.dashboards.ownership.lease_files import BY_RUN
from monitor.dashboards.ownership.leases import Lease
from monitor.integrations.common import open_logger
from monitor.sinks import registry
from tests.support.servers import free_port

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support.processes import Start
    from tests.support.servers import Served, VisdomServer

SCRIPT = """
import sys
from monitor import Logger, Run
with Logger(sys.argv[1], ["tensorboard"]) as log:
    log.scalar("loss", 1.0, 0)
with Logger(Run(sys.argv[1]), ["tensorboard"]):
    pass  # a run that somebody else has announced
"""


def test_addresses_of_what_is_up_and_commands_for_what_is_not(tmp_path: Path, visdom_server: VisdomServer) -> None:
    run = Run(tmp_path / "a", is_written=False)
    command = f"TensorBoard: monitor serve tensorboard --logdir {tmp_path}"
    sinks = [registry.make(spec) for spec in ("tensorboard", visdom_server.spec(), "console")]
    expected = f"Run: {tmp_path / 'a'} · {command} · Visdom: {visdom_server.url}/env/a"
    assert where_to_look(run, sinks) == expected
    down = registry.make(f"visdom://127.0.0.1:{free_port()}")
    assert where_to_look(run, [down]) == f"Run: {tmp_path / 'a'} · Visdom: monitor serve visdom"

    server = Lease.create()  # a TensorBoard that another run has started
    assert server is not None
    server.publish("TensorBoard", "http://127.0.0.1:6006", logdir=str(tmp_path.resolve()))
    assert where_to_look(run, sinks[:1]) == f"Run: {tmp_path / 'a'} · TensorBoard: http://127.0.0.1:6006"
    assert server.claim()
    server.remove()
    server.close()


def test_it_is_said_on_a_terminal_once_and_nowhere_else(tmp_path: Path, start: Start) -> None:
    master, slave = pty.openpty()
    assert start("-c", SCRIPT, str(tmp_path / "a"), stderr=slave).wait(60) == 0
    os.close(slave)
    said = os.read(master, 65536).decode()
    os.close(master)
    assert said == f"Run: {tmp_path / 'a'} · TensorBoard: monitor serve tensorboard --logdir {tmp_path}\r\n"
    elsewhere = start("-c", SCRIPT, str(tmp_path / "b"))
    assert elsewhere.communicate(timeout=60)[1] == ""


def test_a_logger_joins_the_server_of_its_log_directory(tmp_path: Path, serve: Callable[..., Served]) -> None:
    """Wherever that is; a server that another run has started stays up as long as the logger is open."""
    server = serve("visdom", "--port", "0", "--logdir", str(tmp_path))
    with Logger(tmp_path / "a", ["visdom"]) as log:
        log.scalar("loss", 1.0, 0)
        assert log.flush(60)
        assert "a" in requests.post(f"{server.url}/env_state", json={}, timeout=60).json()
    told = CliRunner().invoke(main, ["serve", "--status"]).output
    assert f"Visdom: {server.url} over {tmp_path}; started with monitor serve, and left alone" in told
    assert "No dashboard is up" in CliRunner().invoke(main, ["serve", "--stop"]).output
    server.stop()
    lease = Lease.create()
    assert lease is not None
    lease.publish("Visdom", f"http://127.0.0.1:{free_port()}", by=BY_RUN, logdir=str(tmp_path.resolve()))
    with Logger(tmp_path / "b", ["visdom"], close_timeout=0.1):
        assert not lease.claim()
    assert lease.claim()
    lease.remove()
    lease.close()


def test_runs_of_one_name_in_different_folders_have_pages_of_their_own(
    tmp_path: Path, serve: Callable[..., Served]
) -> None:
    """Also of an adapter, of a `Run`, and with the server's address given, and after a run was renamed."""
    server = serve("visdom", "--port", "0", "--logdir", str(tmp_path))
    address = f"visdom://{server.url.partition('://')[2]}"

    def windows(env: str) -> str:
        return requests.post(f"{server.url}/win_data", json={"eid": env, "win": None}, timeout=60).text

    loggers = [
        Logger(tmp_path / "a" / "x", ["visdom"]),
        Logger(Run(tmp_path / "b" / "x"), ["visdom"]),
        Logger(tmp_path / "c" / "x", [address]),
        open_logger(None, name="x", logdir=tmp_path / "d", sinks=["visdom"]),
    ]
    for folder, log in zip("abcd", loggers):
        log.scalar(f"only_{folder}", 1.0, 0)
    for log in loggers:
        assert log.close(60)
    for folder in "abcd":
        assert [other for other in "abcd" if f"only_{other}" in windows(f"{folder}.x")] == [folder]
    done = CliRunner().invoke(main, ["mv", str(tmp_path / "a" / "x"), "y", "--logdir", str(tmp_path)])
    assert done.exit_code == 0, done.output
    assert "only_a" in windows("a.y")
    assert "only_a" not in windows("a.x")
