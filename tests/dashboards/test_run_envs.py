"""`monitor serve visdom --logdir`: the windows of all runs together, saved or made from event files."""

from __future__ import annotations

import json
import os
import shutil
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
import requests

from monitor import Logger, Run, SummaryWriter
from monitor.dashboards.session import save_pages
from monitor.dashboards.visdom.env_store import EnvStore
from monitor.dashboards.visdom.rebuilding import Rebuilding
from monitor.dashboards.visdom.run_envs import RunEnvs
from monitor.dashboards.visdom.run_places import find_places
from monitor.integrations.writer.flavors import TensorBoardXSummaryWriter
from monitor.runs.listing.found_runs import FoundRuns
from monitor.runs.listing.series_folders import folders_of_series
from monitor.sinks import registry
from monitor.testing import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support.browser import Page
    from tests.support.servers import Served, VisdomServer

pytestmark = [pytest.mark.usefixtures("assets"), pytest.mark.filterwarnings("ignore::DeprecationWarning")]


def log_run(path: Path, *sinks: Any, value: float = 1.0) -> None:
    with Logger(Run(path, {"lr": 0.1}), ["tensorboard", *sinks]) as log:
        for step in range(5):
            log.scalar("train/loss", value + step, step)


def save(path: Path, name: str, *, at: float) -> None:
    """Give a file of windows and the event files beside it a time of their own."""
    for file in path.rglob("*"):
        os.utime(file, (at, at))
    fields = json.loads((path / "run.json").read_text())
    (path / "run.json").write_text(json.dumps({**fields, "start": f"{name}T00:00:00Z"}))


def ask(url: str, action: str, **fields: Any) -> Any:
    answer = requests.post(f"{url}/{action}", json=fields, timeout=60)
    assert answer.ok, answer.text
    return answer.json() if answer.text else None


def windows(url: str, env: str) -> dict[str, Any]:
    found: dict[str, Any] = ask(url, "win_data", win=None, eid=env)
    return found


def losses(url: str, env: str) -> list[float]:
    """Return the curve of the run that `log_run` made, empty as long as there is none."""
    for name, window in windows(url, env).items():
        if "curves" in name:
            return list(window["content"]["data"][0]["y"])
    return []


@pytest.mark.slow
def test_saved_windows_and_those_made_from_event_files(
    tmp_path: Path, visdom_server: VisdomServer, serve: Callable[..., Served]
) -> None:
    logdir, sink = tmp_path / "runs", registry.make(visdom_server.spec())
    log_run(logdir / "saved", sink)
    save_pages([sink], logdir / "saved")
    log_run(logdir / "damaged page", registry.make(visdom_server.spec()))
    (logdir / "damaged page" / "visdom").mkdir()
    (logdir / "damaged page" / "visdom" / "damaged-page.json").write_text('{"jsons": {"w": 1}}')
    log_run(logdir / "group" / "events", value=20.0)
    log_run(logdir / "foreign", value=30.0)
    (logdir / "foreign" / "run.json").unlink()
    log_run(logdir / "broken")
    (logdir / "broken" / "run.json").write_text("{")
    for file in (logdir / "broken").glob("*tfevents*"):
        file.write_bytes(b"\xff" * 100)
    for name, day in (("saved", "2020-01-01"), ("damaged page", "2020-01-02"), ("group/events", "2030-01-01")):
        save(logdir / name, day, at=time.time() - 1000)
    started = time.time() - 1000
    for file in logdir.glob("*/*tfevents*"):
        os.utime(file, (started, started))

    server = serve("visdom", "--port", "0", "--logdir", str(logdir))
    assert server.line == f"Visdom: {server.url}/env/group.events", "the address of the newest run"
    envs = {"main", "saved", "damaged-page", "group.events", "foreign", "broken"}
    assert set(ask(server.url, "env_state")) == envs
    assert not (logdir / ".visdom").exists(), "nothing is written to look at runs"
    assert losses(server.url, "saved") == [1, 2, 3, 4, 5]
    for env, value in (("group.events", 20.0), ("foreign", 30.0), ("damaged-page", 1.0)):
        assert "ACTIVE_ENV = '" + env in requests.get(f"{server.url}/env/{env}", timeout=60).text
        ask(server.url, f"env/{env}", sid="none")  # as a page does that is opened
        wait_until(lambda env=env: len(losses(server.url, env)) == 5, 60, f"the windows of {env}")  # type: ignore[misc]
        assert losses(server.url, env)[0] == value
    ask(server.url, "env/broken", sid="none")
    wait_until(lambda: "no event files with something" in str(windows(server.url, "broken")), 60, "the notice")

    log_run(logdir / "later")
    wait_until(lambda: "later" in ask(server.url, "env_state"), 60, "the new run")
    shutil.rmtree(logdir)
    wait_until(lambda: set(ask(server.url, "env_state")) == {"main"}, 60, "the removal of all runs")
    assert requests.get(f"{server.url}/env/saved", timeout=60).ok
    window = {"eid": "fresh", "win": "w", "data": [{"type": "text", "content": "x"}], "opts": {}}
    assert requests.post(f"{server.url}/events", json=window, timeout=60).ok
    ask(server.url, "save", data=["fresh"])
    assert (logdir / ".visdom" / "fresh.json").is_file(), "its folder is made again"
    assert server.stop().count("damaged-page.json cannot be read: it holds something else than windows") == 1


@pytest.mark.slow
def test_a_run_without_a_sink_for_it_is_followed(tmp_path: Path, serve: Callable[..., Served], page: Page) -> None:
    with Logger(tmp_path / "runs" / "live", ["tensorboard"]) as log:
        log.scalar("train/loss", 1.0, 0)
        log.flush()
        server = serve("visdom", "--port", "0", "--logdir", str(tmp_path / "runs"))
        page.goto(server.line.partition(": ")[2])
        assert page.evaluate("ACTIVE_ENV") == "live"
        page.wait("() => document.body.textContent.includes('made from the run')")
        page.wait("() => document.querySelector('.js-plotly-plot')")
        page.wait("() => !document.body.textContent.includes('made from the run')")
        for step in range(1, 4):
            log.scalar("train/loss", 1.0, step)
        log.flush()
        page.wait("() => document.querySelector('.js-plotly-plot').data[0].x.length === 4")
    assert page.problems == []


@pytest.mark.slow
def test_pages_that_may_close_nothing_get_no_notice(tmp_path: Path, serve: Callable[..., Served]) -> None:
    log_run(tmp_path / "runs" / "run")
    server = serve("visdom", "--port", "0", "--readonly", "--logdir", str(tmp_path / "runs"))
    ask(server.url, "env/run", sid="none")
    assert "are being made" not in str(windows(server.url, "run"))
    wait_until(lambda: len(losses(server.url, "run")) == 5, 60, "the windows")


@pytest.mark.parametrize("writer_class", [SummaryWriter, TensorBoardXSummaryWriter])
def test_curves_of_add_scalars_are_rebuilt_too(
    tmp_path: Path, visdom_server: VisdomServer, writer_class: type[SummaryWriter]
) -> None:
    with writer_class(tmp_path / "run") as writer:
        writer.add_scalar("loss", 1.0, 0)
        writer.add_scalars("group/of", {"a": 3.0, "b": 4.0}, 0)
    with Logger(tmp_path / "run" / "another", ["tensorboard"]) as log:
        log.scalar("other", 5.0, 0)
    rebuilding = Rebuilding("rebuilt", tmp_path / "run", visdom_server.url)
    rebuilding.update()
    rebuilding.close()
    shown = json.dumps(windows(visdom_server.url, "rebuilt"))
    assert rebuilding.problem == ""
    assert [text in shown for text in ("loss", '"a"', '"b"', "other")] == [True, True, True, False]
    (tmp_path / "run" / "run.json").unlink()
    assert folders_of_series(tmp_path / "run") == {}, "each folder is a run of its own"


def test_a_run_gets_a_page_beside_another_of_its_name_that_is_sent(tmp_path: Path) -> None:
    """The other one's windows begin with the same name; those in an env that is no run's are the run's own."""
    with Logger(tmp_path / "a" / "mlp", []), Logger(tmp_path / "b" / "mlp", []):
        for named, pages in (("a.mlp", {"a.mlp", "b.mlp"}), ("lesson", {"lesson"})):
            envs = RunEnvs(tmp_path, EnvStore(tmp_path / "envs"))
            state: dict[str, Any] = {named: {"jsons": {"mlp loss": {}}}}
            envs._server = SimpleNamespace(state=state, tell_envs=list)  # noqa: SLF001
            envs._take(find_places(tmp_path, FoundRuns(tmp_path)), time.monotonic())  # noqa: SLF001
            assert set(state) == pages


def test_runs_of_one_name_have_pages_of_their_own(tmp_path: Path) -> None:
    for place, day in (("a", "2020-01-01"), ("b", "2021-01-01")):
        Run(tmp_path / place / "mlp").finish("finished")
        save(tmp_path / place / "mlp", day, at=time.time())
    places = find_places(tmp_path, FoundRuns(tmp_path))
    assert {name: place.path.parent.name for name, place in places.items()} == {"b.mlp": "b", "a.mlp": "a"}
    assert list(places) == ["b.mlp", "a.mlp"]
    assert find_places(tmp_path / "none", FoundRuns(tmp_path / "none")) == {}


def test_the_newest_env_of_a_folder(tmp_path: Path, serve: Callable[..., Served]) -> None:
    for name, age in (("new", 0), ("old", 100), ("main", -100)):
        file = tmp_path / f"{name}.json"
        file.write_text(json.dumps({"jsons": {}, "reload": {}}))
        os.utime(file, (time.time() - age,) * 2)
    server = serve("visdom", "--port", "0", "--env-dir", str(tmp_path))
    assert server.line == f"Visdom: {server.url}/env/new"
