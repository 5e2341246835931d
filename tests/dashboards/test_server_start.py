"""How long the start of a server is waited for, and what is said where it fails."""

from __future__ import annotations

import logging
import socket
import sys
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from monitor.cli import main
from monitor.dashboards import server_process
from monitor.dashboards.server_process import DashboardServer
from monitor.dashboards.session import start_dashboards
from monitor.sinks import registry
from monitor.sinks.visdom.sink import VisdomSink
from tests.support import foreign
from tests.support.servers import free_port

if TYPE_CHECKING:
    from pathlib import Path

BUSY = """
import time
until = time.monotonic() + 3
while time.monotonic() < until:
    pass
print("Board: http://127.0.0.1:1", flush=True)
time.sleep(600)
"""
HANGS = "import time; time.sleep(600)"
TALKS = 'import time; print("INFO: Board: fetching files", flush=True); ' + HANGS


def started(code: str, said: list[str]) -> tuple[bool, float]:
    """Start a server; return whether it answers, and the seconds waited."""
    server = DashboardServer("Board", command=[sys.executable, "-S", "-c", code])
    before = time.monotonic()
    try:
        return server.wait(said.append), time.monotonic() - before
    finally:
        server.stop()


@pytest.mark.slow
def test_a_server_that_gets_on_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_process, "IDLE_TIMEOUT_S", 1.0)
    said: list[str] = []
    is_up, seconds = started(BUSY, said)
    assert is_up, said
    assert seconds > 2
    assert said == []


def test_a_server_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_process, "IDLE_TIMEOUT_S", 0.5)
    said: list[str] = []
    assert not started(HANGS, said)[0]
    (line,) = said
    assert line.startswith("Board could not be started: it did not answer within ")


def test_a_server_that_is_busy_forever_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_process, "START_TIMEOUT_S", 1.0)
    said: list[str] = []
    assert not started("while True: pass", said)[0]
    assert len(said) == 1


def test_a_server_that_says_what_it_is_doing_gets_more_time(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(server_process, "IDLE_TIMEOUT_S", 60.0)
    monkeypatch.setattr(server_process, "PREPARE_TIMEOUT_S", 0.5)
    said: list[str] = []
    with caplog.at_level(logging.INFO, "monitor"):
        is_up, seconds = started(TALKS, said)
    assert not is_up
    assert 0.5 <= seconds < 60
    assert "Board: fetching files" in caplog.messages


@pytest.mark.usefixtures("assets")
def test_a_server_that_cannot_start_is_told_in_one_line(tmp_path: Path) -> None:
    said: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as taken:
        command = VisdomSink().server_command(taken.getsockname()[1], tmp_path)
        assert not DashboardServer("Visdom", command=command).wait(said.append)
    (line,) = said
    assert line.startswith("Visdom could not be started: Error: visdom cannot be served on 127.0.0.1 port")


def no_server(monkeypatch: pytest.MonkeyPatch) -> str:
    """Let no server of Visdom start; return a sink that needs one."""
    command = [sys.executable, "-S", "-c", "raise SystemExit('no server today')"]
    monkeypatch.setattr(VisdomSink, "server_command", lambda *_: command)
    return f"visdom://127.0.0.1:{free_port()}"


def test_a_training_goes_on(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    sinks = [registry.make(no_server(monkeypatch))]
    with ExitStack() as cleanup:
        assert start_dashboards(sinks, lambda sink: sink.url, cleanup) == []
    assert sinks == []
    assert caplog.messages == ["Visdom could not be started: no server today; training goes on without it"]


@pytest.mark.parametrize(("more", "end"), [([], "no server today"), (["--sink", "console"], "; the other sinks go on")])
def test_a_replay_is_no_training(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    more: list[str],
    end: str,
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    spec = no_server(monkeypatch)
    foreign.write(tmp_path / "logs" / "one" / "tfevents.1", foreign.event(0, foreign.simple("train/loss", 1.0)))
    done = CliRunner().invoke(main, ["replay", str(tmp_path / "logs"), "--sink", spec, *more])
    (message,) = caplog.messages
    assert message.startswith("Visdom could not be started: no server today")
    assert message.endswith(end)
    assert done.exit_code == (0 if more else 1)
    assert more or "none of the sinks is available" in done.output
