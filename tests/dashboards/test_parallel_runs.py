"""Runs side by side share their dashboards, and each of them may end first, in any way."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import signal
import subprocess
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import requests

from monitor.testing import wait_until
from tests.support.dashboards import answers, mlp

if TYPE_CHECKING:
    from tests.support.processes import Process, Start


pytestmark = [pytest.mark.usefixtures("assets", "own_default_ports"), pytest.mark.xdist_group("free ports")]
# What `monitor train` does around a training; it logs until its stdin is closed.
LOGS_UNTIL_TOLD = """
import select, sys
from pathlib import Path
from runners.launch.options import RunOptions
from runners.launch.session import open_logger
options = RunOptions(sinks=("tensorboard", "visdom"), all_dashboards=True, open_browser=False, wait=False,
                     logdir=Path(sys.argv[1]), name=sys.argv[2])
with open_logger("mlp", {}, options) as log:
    step = 0
    while not select.select([sys.stdin], [], [], 0.02)[0]:
        log.scalars({"train/loss": 1 / (step + 1), "test/loss": 2 / (step + 1)}, step)
        step += 1
"""


class Training:
    """A run with dashboards, in a process of its own."""

    def __init__(self, start: Start, logdir: Path, name: str) -> None:
        self.path, self.name = logdir / name, name
        self.process: Process = start("-c", LOGS_UNTIL_TOLD, str(logdir), name, stdin=subprocess.PIPE)
        self.said = ""
        self.urls: list[str] = []

    def wait_for_dashboards(self) -> None:
        assert self.process.stdout is not None
        while len(self.urls) < 2:
            line = self.process.stdout.readline()
            assert line, self.process.communicate()
            self.urls += re.findall(r"^\w+: (http://127\.0\.0\.1:\d+)", line)

    def end(self) -> None:
        """Let the run finish, and check that nothing is undelivered."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        out, err = self.process.communicate(timeout=200)
        assert self.process.returncode == 0, out + err
        facts = json.loads((self.path / "run.json").read_text())
        assert facts["status"] == "finished"
        for counts in facts["logged"].values():
            assert counts["delivered"] + counts["superseded"] == counts["logged"], err
        assert "Traceback" not in err

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()

    def points(self) -> int:
        """Return how many points of a curve the server shows."""
        return len(self.curve(self.shown(), "train"))

    def shown(self) -> dict[str, Any]:
        try:
            answer = requests.post(f"{self.urls[0]}/win_data", json={"win": None, "eid": self.name}, timeout=60)
        except requests.RequestException:
            return {}
        found: dict[str, Any] = answer.json() if answer.ok else {}
        return found

    def saved(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.path / "visdom" / f"{self.name}.json").read_text())["jsons"]
        return found

    @staticmethod
    def curve(windows: dict[str, Any], split: str) -> list[float]:
        charts = [window["content"]["data"] for window in windows.values() if window["title"] == "loss"]
        found = [trace["x"] for chart in charts for trace in chart if trace["name"] == split]
        return list(found[0]) if found else []

    def has_curves(self) -> bool:
        """Tell whether the server shows a first step."""
        return bool(self.curve(self.shown(), "train"))

    def check_windows(self) -> None:
        """Check that the server shows what the run logged, to its last point."""
        shown, saved = self.shown(), self.saved()
        assert set(shown) == set(saved)
        for split in ("train", "test"):
            assert self.curve(shown, split) == self.curve(saved, split) != []


def servers(folder: Path) -> dict[str, int]:
    """Return the process numbers of the dashboards that run, by their names."""
    found = {}
    for path in folder.rglob("*.lease"):
        facts = json.loads(path.read_text())
        if Path(f"/proc/{facts['process']['pid']}").exists():
            found[facts["name"]] = facts["process"]["pid"]
    return found


def are_replaced(folder: Path, pids: dict[str, int]) -> bool:
    """Tell whether these dashboards are gone, and others run in their place."""
    return gone(pids) and set(servers(folder)) == set(pids)


def gone(pids: dict[str, int]) -> bool:
    return not any(Path(f"/proc/{pid}").exists() for pid in pids.values())


@pytest.mark.slow
def test_a_training_survives_the_end_of_the_one_that_started_the_dashboards(
    tmp_path: Path, small_mnist: Path, start: Start, own_leases: Path
) -> None:
    """Two real trainings; the first one ends first."""
    first = start(*mlp(small_mnist, tmp_path, "first", "--epochs", "100000"))
    assert first.stdout is not None
    url = first.stdout.readline().strip().removesuffix("/env/first").removeprefix("Visdom: ")
    second = start(*mlp(small_mnist, tmp_path, "second", "--epochs", "100000"))
    assert second.stdout is not None
    assert second.stdout.readline().strip() == f"Visdom: {url}/env/second"
    first.send_signal(signal.SIGINT)
    _, err = first.communicate(timeout=200)
    assert first.returncode == 130, err
    kept = servers(own_leases)
    assert set(kept) == {"Visdom", "TensorBoard"}
    assert answers(f"{url}/env/second")
    assert servers(own_leases) == kept
    second.send_signal(signal.SIGINT)
    _, err = second.communicate(timeout=200)
    assert second.returncode == 130
    counts = json.loads((tmp_path / "second" / "run.json").read_text())["logged"]["visdom"]
    assert counts["delivered"] + counts["superseded"] == counts["logged"], err
    assert not answers(url)
    wait_until(lambda: gone(kept), 60, "the end of the servers")


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_ten_runs_that_start_at_once_and_end_in_any_order(
    tmp_path: Path, start: Start, own_leases: Path, seed: int
) -> None:
    """Some of them are killed; the others deliver everything, to the same servers from start to end."""
    chance = random.Random(seed)
    runs = [Training(start, tmp_path, f"run{number}") for number in range(10)]
    for run in runs:
        run.wait_for_dashboards()
    assert len({tuple(run.urls) for run in runs}) == 1
    pids = servers(own_leases)
    chance.shuffle(runs)
    ended: list[Training] = []
    while runs:
        if len(runs) == 5:  # both servers are killed, with runs that have ended and runs that go on
            for pid in pids.values():
                os.kill(pid, signal.SIGKILL)
            wait_until(partial(are_replaced, own_leases, pids), 100, "new servers")
            wait_until(lambda: all(answers(url) for url in runs[0].urls), 100, "the same addresses")
            pids = servers(own_leases)
            for run in ended:
                run.check_windows()
        run = runs.pop()
        if chance.random() < 0.4:
            run.kill()
        else:
            wait_until(run.has_curves, 60, "the first steps in Visdom")  # ten trainings start on few cores
            run.end()
            ended.append(run)
            if runs:
                run.check_windows()
        if runs:
            assert servers(own_leases) == pids
            assert answers(runs[0].urls[1])
    wait_until(lambda: gone(pids), 60, "the end of the servers")
    assert servers(own_leases) == {}


@pytest.mark.slow
@pytest.mark.parametrize("first_to_end", [0, 1])
def test_servers_that_are_killed_are_started_again(
    tmp_path: Path, start: Start, own_leases: Path, first_to_end: int
) -> None:
    runs = [Training(start, tmp_path, f"run{number}") for number in range(2)]
    for run in runs:
        run.wait_for_dashboards()
    for _ in range(2):
        wait_until(lambda: all(run.points() > 5 for run in runs), 60, "the windows")
        killed = servers(own_leases)
        for pid in killed.values():
            os.kill(pid, signal.SIGKILL)
        wait_until(partial(are_replaced, own_leases, killed), 60, "new servers")
        wait_until(lambda: all(answers(url) for url in runs[0].urls), 60, "the same addresses")
    wait_until(lambda: all(run.points() > 5 for run in runs), 60, "the windows")
    pids = servers(own_leases)
    runs[first_to_end].end()
    assert servers(own_leases) == pids
    runs[first_to_end].check_windows()
    runs[1 - first_to_end].end()
    wait_until(lambda: gone(pids), 60, "the end of the servers")


@pytest.mark.slow
def test_dashboards_belong_to_the_log_directory(tmp_path: Path, start: Start, own_leases: Path) -> None:
    """Runs of the same name in two log directories share no page; another path of the same one is the same one."""
    (tmp_path / "one").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "one")
    (tmp_path / "one" / "sub").mkdir()
    places = {"one": "run", "one/sub": "run", "link": "link", "one/sub/..": "dots"}
    runs = [Training(start, tmp_path / place, name) for place, name in places.items()]
    for run in runs:
        run.wait_for_dashboards()
    one, two, link, dots = runs
    assert link.urls == dots.urls == one.urls
    assert not set(two.urls) & set(one.urls)
    shutil.rmtree(tmp_path / "one" / "sub", ignore_errors=True)  # while its run and its servers are there
    wait_until(lambda: all(run.points() > 5 for run in (one, two, link, dots)), 100, "the windows")
    assert answers(f"{two.urls[0]}/env/run")
    two.kill()
    for run in (one, dots, link):
        run.end()
    wait_until(lambda: servers(own_leases) == {}, 60, "the end of the servers")


@pytest.mark.slow
def test_a_run_that_ends_just_after_its_server_was_killed(tmp_path: Path, start: Start, own_leases: Path) -> None:
    runs = [Training(start, tmp_path, f"run{number}") for number in range(2)]
    for run in runs:
        run.wait_for_dashboards()
    wait_until(lambda: all(run.points() > 5 for run in runs), 60, "the windows")
    os.kill(servers(own_leases)["Visdom"], signal.SIGKILL)
    runs[1].end()
    runs[1].check_windows()
    runs[0].end()


@pytest.mark.slow
def test_a_server_ends_with_the_last_run_that_is_killed(tmp_path: Path, start: Start, own_leases: Path) -> None:
    runs = [Training(start, tmp_path, f"run{number}") for number in range(2)]
    for run in runs:
        run.wait_for_dashboards()
    pids = servers(own_leases)
    for run in runs:
        assert not gone(pids)
        run.kill()
    wait_until(lambda: gone(pids), 60, "the end of the servers")
