"""`monitor replay --follow` as people meet it: no folder yet, runs that come later, logs that start over, Ctrl-C."""

from __future__ import annotations

import signal
import subprocess
from typing import IO, TYPE_CHECKING, Any

import pytest

from monitor.testing import wait_until
from tests.support import foreign

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support.processes import Process, Start
    from tests.support.servers import VisdomServer

# A script as people have it; it waits for a line before each flush.
SCRIPT = """
import sys
from torch.utils.tensorboard import SummaryWriter
writer = SummaryWriter(sys.argv[1])
for epoch in range(2):
    for step in range(epoch * 50, epoch * 50 + 50):
        writer.add_scalar("train/loss", 1 / (step + 1), step)
    sys.stdin.readline()
    writer.flush()
    print("flushed", flush=True)
sys.stdin.readline()
"""


class Following:
    """`monitor replay FOLDER --sink visdom --follow`, as a process."""

    def __init__(self, process: Process, server: VisdomServer) -> None:
        self.process, self.server = process, server
        assert process.stdout is not None
        self.lines: IO[str] = process.stdout

    def points(self, env: str, title: str = "loss", name: str = "train") -> list[tuple[int, float]]:
        """Return the points that the page shows now."""
        return self.server.trace(env, title, name) if title in self.server.windows(env) else []

    def wait_for_steps(self, env: str, steps: list[int]) -> None:
        """Wait until the page shows exactly these steps."""
        wait_until(lambda: [step for step, _ in self.points(env)] == steps, 60, f"{len(steps)} steps of {env}")

    def wait_for_first_steps(self, env: str, steps: list[int]) -> None:
        """Wait until the page shows these steps, and maybe more."""
        wait_until(lambda: [step for step, _ in self.points(env)][: len(steps)] == steps, 60, f"the steps of {env}")

    def end(self) -> list[str]:
        """End it with Ctrl-C; return the lines that it still printed."""
        self.process.send_signal(signal.SIGINT)
        out, err = self.process.communicate(timeout=200)
        assert (self.process.returncode, err) == (0, "")
        return out.splitlines()


@pytest.fixture
def follow(
    tmp_path: Path, visdom_server: VisdomServer, start: Start, monkeypatch: pytest.MonkeyPatch
) -> Callable[[Path], Following]:
    """Follow a folder, in a process of its own."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))

    def begin(folder: Path) -> Following:
        command = ("-m", "monitor", "replay", str(folder), "--sink", visdom_server.spec(), "--follow")
        return Following(start(*command), visdom_server)

    return begin


def losses(first: int, last: int) -> list[Any]:
    return [foreign.event(step, foreign.simple("train/loss", step / 100)) for step in range(first, last)]


def test_a_script_with_torchs_writer_that_starts_later(
    tmp_path: Path, follow: Callable[[Path], Following], start: Start
) -> None:
    logs = tmp_path / "runs"
    following = follow(logs)
    url = following.server.url
    assert following.lines.readline() == f"Visdom: {url}\n"
    assert following.lines.readline() == f"Waiting for logs in {logs}; Ctrl-C ends\n"
    script = start("-c", SCRIPT, str(logs / "deep" / "one"), stdin=subprocess.PIPE)
    assert script.stdin is not None
    assert script.stdout is not None
    assert following.lines.readline() == f"deep/one: {url}/env/deep_one\n"
    for epoch in (1, 2):
        script.stdin.write("\n")
        script.stdin.flush()
        assert script.stdout.readline() == "flushed\n"
        following.wait_for_first_steps("deep_one", list(range(50 * epoch)))  # the writer's thread writes more
    script.communicate("\n", timeout=200)
    assert following.end() == ["deep/one: 100 scalars"]


@pytest.mark.slow
def test_a_writer_that_keeps_its_records_back(tmp_path: Path, follow: Callable[[Path], Following]) -> None:
    (tmp_path / "runs" / "one").mkdir(parents=True)
    (tmp_path / "runs" / "one" / "tfevents").touch()
    following = follow(tmp_path / "runs")
    assert following.lines.readline() == f"Visdom: {following.server.url}/env/one\n"
    assert following.lines.readline() == f"one: {following.server.url}/env/one\n"
    assert following.lines.readline().startswith("The logs found are still empty.")
    assert following.end() == ["one: nothing"]


def test_a_run_that_goes_on_in_a_second_file_and_other_runs(
    tmp_path: Path, follow: Callable[[Path], Following]
) -> None:
    one, two = tmp_path / "runs" / "one", tmp_path / "runs" / "two"
    foreign.write(one / "tfevents.1", *losses(0, 10))
    following = follow(tmp_path / "runs")
    following.wait_for_steps("one", list(range(10)))
    foreign.write(one / "tfevents.2", *losses(10, 20))
    foreign.write(two / "tfevents.1", *losses(0, 5))
    following.wait_for_steps("one", list(range(20)))
    following.wait_for_steps("two", list(range(5)))
    assert following.end()[-2:] == ["one: 20 scalars", "two: 5 scalars"]


def _delete(file: Path) -> None:
    file.unlink()
    foreign.write(file.with_name("tfevents.2"), *losses(0, 3))


def _replace(file: Path) -> None:
    foreign.write(file.with_name("new"), *losses(0, 3))
    file.with_name("new").rename(file)


@pytest.mark.parametrize(
    "change",
    [lambda file: foreign.write(file, *losses(0, 3)), _delete, _replace],
    ids=["truncated", "deleted", "replaced"],
)
def test_a_log_that_starts_over(
    tmp_path: Path, follow: Callable[[Path], Following], change: Callable[[Path], None]
) -> None:
    file = foreign.write(tmp_path / "runs" / "one" / "tfevents.1", *losses(0, 10))
    following = follow(tmp_path / "runs")
    following.wait_for_steps("one", list(range(10)))
    change(file)
    following.wait_for_steps("one", [0, 1, 2])
    foreign.write(file.with_name("tfevents.3"), *losses(3, 5))
    following.wait_for_steps("one", list(range(5)))
    following.end()


def test_where_to_look_after_the_end(tmp_path: Path, start: Start, files: Path) -> None:
    """The server that the replay started ends with it; the page can be shown again."""
    import os

    from tests.support.servers import free_port

    foreign.write(tmp_path / "runs" / "one" / "tfevents.1", *losses(0, 10))
    environment = {**os.environ, "XDG_DATA_HOME": str(tmp_path / "data"), "MONITOR_ASSETS_DIR": str(files)}
    spec = f"visdom://127.0.0.1:{free_port()}"
    command = ("-m", "monitor", "replay", str(tmp_path / "runs"), "--sink", spec, "--follow")
    process = start(*command, env=environment)
    assert process.stdout is not None
    assert process.stdout.readline().endswith("/env/one\n")
    assert process.stdout.readline().startswith("one: http")
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=200)
    assert process.returncode == 0, err
    saved = tmp_path / "data" / "training-monitor" / "visdom"
    assert out.splitlines()[-1] == f"Look at it with: monitor serve visdom --env-dir {saved}"
    assert (saved / "one.json").exists()


@pytest.mark.slow
def test_a_page_that_could_not_be_saved_is_not_promised(tmp_path: Path, start: Start, files: Path) -> None:
    import os

    from tests.support.servers import free_port

    foreign.write(tmp_path / "runs" / "one" / "tfevents.1", *losses(0, 10))
    (tmp_path / "data" / "training-monitor" / "visdom" / "one.json").mkdir(parents=True)  # in place of the file
    environment = {**os.environ, "XDG_DATA_HOME": str(tmp_path / "data"), "MONITOR_ASSETS_DIR": str(files)}
    spec = f"visdom://127.0.0.1:{free_port()}"
    process = start("-m", "monitor", "replay", str(tmp_path / "runs"), "--sink", spec, env=environment)
    out, err = process.communicate(timeout=200)
    assert process.returncode == 0, err
    assert "the page is not saved" in err
    assert "ook at it with" not in out + err
