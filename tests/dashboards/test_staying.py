"""After a run on a terminal the command returns, and its dashboards go on as long as somebody looks at them."""

from __future__ import annotations

import json
import os
import re
import signal
import threading
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from monitor.cli import main
from monitor.dashboards.ownership.leases import Lease
from monitor.dashboards.ownership.parent_watch import Pages, idle_minutes
from monitor.errors import SpecError
from monitor.testing import wait_until
from tests.support.dashboards import answers, mlp
from tests.support.sweeps import SCRIPT
from tests.support.terminal import Terminal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.browser import Page
    from tests.support.processes import Start

FREE_PORTS = pytest.mark.xdist_group("free ports")


def serve(*arguments: str) -> str:
    result = CliRunner().invoke(main, ["serve", *arguments])
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.fixture
def stop_all(own_leases: Path) -> Iterator[Path]:
    """End what a test leaves up."""
    yield own_leases
    serve("--stop")


def run_on_a_terminal(start: Start, arguments: list[str], cwd: Path | None = None) -> str:
    """Run a training on a terminal until its command returns; return what it said."""
    terminal = Terminal()
    shown: dict[str, Any] = {"stdin": terminal.end, "stdout": terminal.end, "stderr": terminal.end}
    process = start(*arguments, **shown, start_new_session=True, env=dict(os.environ), cwd=cwd)
    assert process.wait(100) == 0
    return terminal.close()


def visdom_url(said: str) -> str:
    url = re.search(r"Visdom: (http://127\.0\.0\.1:\d+)/env/a", said)
    assert url, said
    return url[1]


@pytest.mark.usefixtures("assets", "own_default_ports", "stop_all")
@FREE_PORTS
def test_the_command_returns_and_its_dashboards_go_on(tmp_path: Path, small_mnist: Path, start: Start) -> None:
    said = run_on_a_terminal(start, mlp(small_mnist, tmp_path, "a", "--epochs", "1"))
    url = visdom_url(said)
    end = "stay up until no page has been open for 10 minutes; end them now with: monitor serve --stop"
    assert f"Visdom and TensorBoard {end}" in said
    assert "Later, look at it with: monitor serve tensorboard --logdir" in said
    assert answers(url)
    status = serve("--status")
    unused = f" over {tmp_path}; no run uses it; ends when no page has been open for 10 minutes"
    assert f"Visdom: {url}{unused}" in status
    assert status.count(unused) == 2
    another = start(*mlp(small_mnist, tmp_path, "b", "--epochs", "1", "--sink", "visdom"))
    out, err = another.communicate(timeout=100)
    assert f"Visdom: {url}/env/b" in out, "the next run uses the same server"
    assert answers(url), err
    assert serve("--stop").count("; ended\n") == 2
    assert not answers(url)
    assert serve("--stop") == "No dashboard is up that a run has started.\n"


@pytest.mark.slow
@pytest.mark.usefixtures("assets", "own_default_ports", "stop_all")
@FREE_PORTS
def test_those_of_a_sweep_go_on_too(tmp_path: Path, start: Start) -> None:
    (tmp_path / "trial.py").write_text(SCRIPT)
    sweep = ["sweep", "trial.py", "--set", "x=0.1,0.2", "--trials", "2", "--metric", "loss"]
    sweep += ["--name", "a", "--sink", "visdom", "--logdir", str(tmp_path / "runs")]
    said = run_on_a_terminal(start, ["-m", "monitor", *sweep], cwd=tmp_path)
    url = re.search(r"Sweep: (http://127\.0\.0\.1:\d+)/env/a", said)
    assert url, said
    assert "Visdom stays up until no page has been open for 10 minutes" in said
    assert answers(url[1])
    assert serve("--stop") == f"Visdom: {url[1]}; ended\n"


@pytest.mark.slow
@pytest.mark.usefixtures("assets", "own_default_ports")
@FREE_PORTS
def test_a_dashboard_that_hangs_is_ended(tmp_path: Path, small_mnist: Path, start: Start, stop_all: Path) -> None:
    said = run_on_a_terminal(start, mlp(small_mnist, tmp_path, "a", "--epochs", "1", "--sink", "visdom"))
    (file,) = stop_all.rglob("*.lease")
    os.kill(json.loads(file.read_text())["process"]["pid"], signal.SIGSTOP)
    assert serve("--stop") == f"Visdom: {visdom_url(said)}; ended\n"
    assert not answers(visdom_url(said))


@pytest.mark.slow
@pytest.mark.usefixtures("assets", "own_default_ports", "stop_all")
@FREE_PORTS
def test_a_page_keeps_its_dashboard(
    tmp_path: Path, small_mnist: Path, start: Start, page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MONITOR_DASHBOARD_MINUTES", "0.25")
    said = run_on_a_terminal(start, mlp(small_mnist, tmp_path, "a", "--epochs", "1", "--sink", "visdom"))
    url = visdom_url(said)
    page.goto(f"{url}/env/a")
    page.wait_for_selector("text=loss", timeout=30_000)
    page.wait_for_timeout(20_000)  # longer than it stays without a page
    assert answers(url)
    page.goto("about:blank")
    wait_until(lambda: not answers(url), 60, "the end of a dashboard that nobody looks at")


@pytest.mark.usefixtures("own_leases")
def test_status_and_stop_go_without_a_dashboard() -> None:
    assert "No dashboard is up" in serve("--stop")
    for arguments in (["--status", "visdom"], ["--stop", "--status"]):
        refused = CliRunner().invoke(main, ["serve", *arguments])
        assert refused.exit_code == 2
        assert refused.stderr.count("\n") == 1


@pytest.mark.usefixtures("own_leases")
def test_a_look_whether_a_server_is_alone_turns_nobody_away() -> None:
    """A server that stays looks again and again; a run that comes at that moment waits for it."""
    server = Lease.create()
    assert server is not None
    server.publish("Visdom", "http://127.0.0.1:1")
    assert not server.stays
    server.stay()
    assert server.claim()
    threading.Timer(0.05, server.release).start()
    run = Lease.join("Visdom", "http://127.0.0.1:1")
    assert run is not None
    assert run.stays
    assert not server.claim()
    run.close()
    assert server.claim()
    server.remove()
    server.close()


def test_how_long_a_dashboard_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MONITOR_DASHBOARD_MINUTES", raising=False)
    assert idle_minutes() == 10
    for text in ("ten", "-1", "nan", "inf"):
        monkeypatch.setenv("MONITOR_DASHBOARD_MINUTES", text)
        with pytest.raises(SpecError, match="accepted: a number of minutes"):
            idle_minutes()
    pages = Pages()
    pages.are_open = lambda: True
    assert pages.idle_time() < 1
