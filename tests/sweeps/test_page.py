"""The page of a sweep: on a real server and in a real browser, as it goes on, and with hundreds of trials."""

from __future__ import annotations

import io
import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from rich.console import Console

from monitor.commands.listing.sweep_groups import watched_runs
from monitor.runs.listing import RunInfo, scan
from monitor.runs.trials.sweep_runs import group_sweeps
from monitor.sweeps.page.sweep_page import SweepPage
from monitor.testing import wait_until
from tests.support.servers import free_port
from tests.support.swept_runs import METRIC, write_sweep, write_trial
from tests.support.train_command import invoke

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.browser import Page
    from tests.support.servers import VisdomServer

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
EVIL = "<img src=x onerror=document.title='pwned'>"


def traces(server: VisdomServer, window: str, env: str = "search") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = server.windows(env)[window]["content"]["data"]
    return found


def test_a_sweep_that_goes_on(tmp_path: Path, visdom_server: VisdomServer, page: Page) -> None:
    write_trial(tmp_path, 0, [0.1, 0.5, 0.8], {"lr": 0.1, "name": EVIL})
    write_trial(tmp_path, 1, [0.1, 0.4], {"lr": 0.01, "name": "b"}, "running")
    (tmp_path / "other").mkdir()
    sweep = SweepPage("search", tmp_path, [visdom_server.spec(), "tensorboard", "console"])
    assert sweep.urls() == [f"{visdom_server.url}/env/search"]
    assert sweep.update()
    assert not sweep.update(), "not twice in a moment"
    page.goto(sweep.urls()[0])
    assert [y for _, y in page.points("curves", 0)] == pytest.approx([0.1, 0.4], abs=1e-6)
    assert list(visdom_server.windows("search")) == ["best so far", "settings", "curves", "best"]
    command = ["/bin/python", "-m", "monitor", "train", "mlp", "--lr=0.01", "--name", "x", "--sink=y", "--hidden", "9"]
    write_trial(tmp_path, 1, [0.1, 0.4, 0.9], {"lr": 0.01, "name": "b"}, command=command)
    write_trial(tmp_path, 2, [0.2], {"lr": 1.0, "name": "c"}, "pruned")
    for file in (tmp_path / "search-0").glob("*tfevents*"):
        file.unlink()  # what has ended is read once
    assert sweep.update(is_forced=True)
    wait_until(lambda: len(page.points("best so far", 0)) == 2, 60, "the page to show two finished trials")
    assert page.points("best so far", 1) == [(2, 0.2)]
    assert page.points("best so far", 2) == [(0, 0.8), (1, 0.9), (2, 0.9)]
    curves = {trace["name"]: trace for trace in traces(visdom_server, "curves")}
    best = next(trace for name, trace in curves.items() if name.endswith("(best)"))
    assert best["y"] == pytest.approx([0.1, 0.4, 0.9], abs=1e-6)
    assert len(curves) == 3, "also the one whose file is gone"
    assert best["line"]["width"] > max(t["line"]["width"] for t in curves.values() if t is not best)
    text = visdom_server.windows("search")["best"]["content"]
    assert text.index("trial 1") < text.index("trial 0"), "each that was the best, the newest first"
    assert "\nmonitor train mlp --lr=0.01 --hidden 9" in text
    assert page.title() != "pwned"
    assert page.evaluate("() => document.querySelectorAll('.window img').length") == 0
    sweep.close()
    saved = json.loads((tmp_path / ".visdom" / "search.json").read_text())
    assert len(saved["jsons"]) == 4


def test_it_keeps_itself_current(tmp_path: Path, visdom_server: VisdomServer) -> None:
    with SweepPage("search", tmp_path, [visdom_server.spec()]):  # before there is a trial
        write_trial(tmp_path, 0, [0.1, 0.5], {"lr": 0.1})
        wait_until(lambda: "curves" in visdom_server.windows("search"), 60, "the first trial")
        write_trial(tmp_path, 1, [0.7], {"lr": 0.1})
    assert [trace["y"] for trace in traces(visdom_server, "best so far")] == [[0.5, 0.7], [0.5, 0.7]]


def test_a_server_that_is_away_is_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_sweep(tmp_path, 3)
    sweep = SweepPage("search", tmp_path, [f"visdom://127.0.0.1:{free_port()}"])
    for _ in range(3):
        assert sweep.update(is_forced=True)
    assert sweep.problem
    assert len(caplog.records) == 1
    sweep.close()
    nothing = SweepPage("nothing", tmp_path, ["tensorboard"])
    assert nothing.urls() == []
    assert not nothing.update()
    nothing.close()


def test_hundreds_of_trials_are_bounded(tmp_path: Path, visdom_server: VisdomServer) -> None:
    write_sweep(tmp_path, 600, running=3)
    sweep = SweepPage("search", tmp_path, [visdom_server.spec()])
    sweep.update()
    found = {info.name: info for info in scan(tmp_path)}
    (swept,), _ = group_sweeps(found.values())
    best = swept.best()
    assert best is not None
    for window in ("settings", "curves"):
        lines = [trace for trace in traces(visdom_server, window) if trace["meta"].get("part") is None]
        assert len(lines) == 150
        assert "150 of 600 trials" in visdom_server.windows("search")[window]["content"]["layout"]["title"]["text"]
        assert sum(trace["line"]["color"] == "#d62728" for trace in lines) == 1, "the best one, in red"
        numbers = {int(re.match(r"\d+", trace["name"]).group()) for trace in lines}  # type: ignore[union-attr]
        assert {597, 598, 599} < numbers, "those that run"
        assert lines[-1]["name"].startswith(f"{best.fields['sweep']['trial']}:"), "the best is drawn last"
        ranked = [run.fields["sweep"]["trial"] for run in swept.ranked()]
        assert set(ranked[:50]) < numbers
        assert ranked[-1] in numbers, "and the worst one"
    assert sum(len(json.dumps(window)) for window in visdom_server.windows("search").values()) < 500_000
    sweep.close()


def test_compare_shows_a_sweep_that_has_ended(tmp_path: Path, visdom_server: VisdomServer) -> None:
    write_sweep(tmp_path, 5, running=0)
    (tmp_path / "search.sweep").mkdir()
    shown = invoke("compare", "search.sweep", "--logdir", tmp_path, "--sink", visdom_server.spec())
    assert shown.exit_code == 0, shown.output
    assert "search-4" in shown.stdout
    assert set(visdom_server.windows("search")) == {"best so far", "settings", "curves", "best", "config"} - {"config"}


def watched(infos: list[RunInfo], height: int, width: int = 110) -> list[str]:
    out = io.StringIO()
    Console(file=out, width=width).print(watched_runs(infos, (), width, height, is_sorted=False))
    return out.getvalue().splitlines()


def test_watch_groups_the_trials_of_a_sweep(tmp_path: Path) -> None:
    write_sweep(tmp_path, 40)
    write_sweep(tmp_path, 4, running=0, name="old")
    plain = json.loads((tmp_path / "old-0" / "run.json").read_text())
    del plain["sweep"]
    (tmp_path / "mlp").mkdir()
    (tmp_path / "mlp" / "run.json").write_text(json.dumps(plain))
    infos = list(scan(tmp_path))
    lines = watched(infos, 24)
    assert len(lines) <= 24
    assert re.match(rf"search: 40 trials, 2 running, 27 finished, 11 pruned; best {METRIC} 0\.98\d+, trial 7", lines[0])
    assert [line.split()[:2] for line in lines[3:6]] == [
        ["search-38", "running"], ["search-39", "running"], ["search-7", "finished"],
    ]  # fmt: skip
    assert sum(line.startswith("old") for line in lines) == 1, "a sweep that has ended takes a line"
    assert lines[-1].startswith("mlp ")
    assert all(len(line) <= 110 for line in lines)
    for height in (3, 8, 12, 60):
        assert watched(infos, height, 60)[0].startswith("search: 40 trials")
    assert not any("trials" in line for line in watched([info for info in infos if info.name == "mlp"], 24))


def test_the_run_of_a_trial_and_its_value(tmp_path: Path) -> None:
    """Of several runs of one trial, the one with the metric counts; the value is the last one, or the best."""
    write_trial(tmp_path, 1, [0.5, 0.9, 0.7], {"lr": 1})
    write_trial(tmp_path, 0, [0.8], {"lr": 1}, "failed")
    write_trial(tmp_path, 3, [0.1], {}, "finished", sweep={
        "name": "search", "trial": 1, "metric": METRIC, "goal": "max", "values": {},
    }, metrics={})  # fmt: skip
    (sweep,), others = group_sweeps(sorted(scan(tmp_path), key=lambda info: info.name, reverse=True))
    assert others == []
    assert [run.name for run in sweep.trials] == ["search-0", "search-1"]
    best = sweep.best()
    assert best is not None
    assert (best.name, sweep.value(best)) == ("search-1", 0.7)
    best.fields["sweep"]["is_best"] = True
    assert sweep.value(best) == 0.9
    assert sweep.summary() == "search: 2 trials, 1 finished, 1 failed; best test/accuracy 0.9, trial 1"
