"""Where the dashboards are looked for by default."""

from __future__ import annotations

import os
import socket

import pytest
from click.testing import CliRunner

from monitor import Logger, SpecError
from monitor.cli import main
from monitor.machine.network import listener_user, tensorboard_port, visdom_port
from monitor.sinks import registry
from monitor.sinks.visdom.sink import VisdomSink


def test_default_ports(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MONITOR_VISDOM_PORT", raising=False)
    monkeypatch.delenv("MONITOR_TENSORBOARD_PORT", raising=False)
    assert (visdom_port(), tensorboard_port()) == (8097, 6006)
    assert VisdomSink().url == "http://127.0.0.1:8097"
    monkeypatch.setenv("MONITOR_VISDOM_PORT", "9001")
    monkeypatch.setenv("MONITOR_TENSORBOARD_PORT", "9002")
    assert (visdom_port(), tensorboard_port()) == (9001, 9002)
    sink, named = registry.make("visdom"), registry.make("visdom://127.0.0.1:9003/env")
    assert isinstance(sink, VisdomSink)
    assert isinstance(named, VisdomSink)
    assert (sink.url, named.url) == ("http://127.0.0.1:9001", "http://127.0.0.1:9003")


@pytest.mark.parametrize("text", ["0", "65536", "-1", "eighty", "80.5", "８０"])
def test_what_is_not_a_port_is_one_line(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MONITOR_VISDOM_PORT", text)
    with pytest.raises(SpecError, match=r"MONITOR_VISDOM_PORT is .*; accepted: a port, 1 to 65535"):
        Logger("never", ["visdom"])
    result = CliRunner().invoke(main, ["train", "logistic", "--sink", "visdom"])
    assert result.exit_code == 2
    assert result.stderr.count("\n") == 1
    assert "MONITOR_VISDOM_PORT" in result.stderr


def test_whose_program_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert listener_user("127.0.0.1", taken.getsockname()[1]) == os.getuid()
    assert listener_user("127.0.0.1", 1) is None
