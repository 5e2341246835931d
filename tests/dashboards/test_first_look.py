"""The printed address shows the run at once: its env is there before the address is printed or opened."""

from __future__ import annotations

import os
import re
import sys
import webbrowser
from typing import TYPE_CHECKING, Any

import pytest
import requests
from click.testing import CliRunner

from monitor import Logger
from monitor.cli import main
from tests.support.dashboards import mlp
from tests.support.terminal import Terminal

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.browser import Page
    from tests.support.processes import Start
    from tests.support.servers import VisdomServer

pytestmark = [pytest.mark.usefixtures("assets"), pytest.mark.filterwarnings("ignore::DeprecationWarning")]

SCRIPT = """
import sys
from torch.utils.tensorboard import SummaryWriter
with SummaryWriter(sys.argv[1]) as writer:
    writer.add_scalar("loss", 1.0, 0)
"""


@pytest.mark.slow
@pytest.mark.usefixtures("own_default_ports")
@pytest.mark.xdist_group("free ports")
def test_the_printed_address_shows_the_run(tmp_path: Path, small_mnist: Path, start: Start, page: Page) -> None:
    """On a terminal, with servers that the run has just started."""
    terminal = Terminal()
    shown: dict[str, Any] = {"stdin": terminal.end, "stdout": terminal.end, "stderr": terminal.end}
    process = start(*mlp(small_mnist, tmp_path, "a", "--epochs", "100000"), **shown, start_new_session=True,
                    env=dict(os.environ))  # fmt: skip
    address = terminal.wait_for(r"Visdom: (http://127\.0\.0\.1:\d+/env/a)\s")
    page.goto(address)
    assert page.evaluate("ACTIVE_ENV") == "a"
    assert "a" in page.evaluate("ENV_LIST")
    page.wait("() => [...document.querySelectorAll('.window .bar')].some(b => b.textContent.includes('config'))")
    page.wait("() => document.querySelector('.js-plotly-plot')")
    assert page.inner_text(".navbar-form").split()[0] == "a" or "a" in page.inner_text(".navbar-form")
    process.kill()
    process.wait()
    terminal.close()
    assert page.problems == []


@pytest.mark.parametrize("command", ["train", "lessons", "replay", "compare"])
def test_the_env_is_there_when_the_browser_opens(
    command: str, tmp_path: Path, visdom_server: VisdomServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    logdir, sink = str(tmp_path / "runs"), visdom_server.spec()
    with Logger(tmp_path / "runs" / "old", ["tensorboard"]) as log:
        log.scalar("test/loss", 1.0, 0)
    arguments = {
        "train": ["train", "logistic", "--epochs", "1", "--name", "new", "--logdir", logdir],
        "lessons": ["lessons", "entropy", "--logdir", logdir],
        "replay": ["replay", str(tmp_path / "runs" / "old")],
        "compare": ["compare", "old", "--logdir", logdir],
    }[command]
    opened: dict[str, list[str]] = {}
    monkeypatch.setattr(webbrowser, "open", lambda url: opened.setdefault(url, visdom_server.envs()))
    done = CliRunner().invoke(main, [*arguments, "--sink", sink, "--open"])
    assert done.exit_code == 0, done.output
    ((url, envs),) = opened.items()
    assert url.rpartition("/env/")[2] in envs


def test_a_script_s_page_is_there_when_its_address_is_printed(
    tmp_path: Path, visdom_server: VisdomServer, start: Start
) -> None:
    (tmp_path / "script.py").write_text(SCRIPT)
    command = ["-m", "monitor", "run", "--sink", visdom_server.spec(), str(tmp_path / "script.py"), str(tmp_path / "r")]
    process = start(*command)
    assert process.stderr is not None
    found = None
    while not found:
        line = process.stderr.readline()
        assert line, process.communicate()
        found = re.search(r"/env/(\S+)", line)
    assert found[1] in visdom_server.envs()
    process.communicate(timeout=100)


def test_a_logger_s_own_line_shows_a_page_that_is_there(
    tmp_path: Path, visdom_server: VisdomServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = Terminal()
    with os.fdopen(os.dup(terminal.end), "w", buffering=1) as stderr:
        monkeypatch.setattr(sys, "stderr", stderr)
        with Logger(tmp_path / "größer", [visdom_server.spec()], config={"lr": 0.1}) as log:
            address = terminal.wait_for(r"Visdom: (http\S+)")
            assert "größer" in visdom_server.envs()
            log.scalar("loss", 1.0, 0)
        monkeypatch.undo()
    terminal.close()
    assert "ACTIVE_ENV = 'größer'" in requests.get(address, timeout=60).text
