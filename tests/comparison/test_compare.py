"""`monitor compare`: runs side by side in the terminal, in Visdom, and as a page; with a real browser."""

from __future__ import annotations

import re
import signal
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner, Result

from monitor import DataError, Logger, Run
from monitor.cli import main
from monitor.comparison.compare import find_runs
from monitor.testing import wait_until
from tests.support import foreign

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.browser import Page
    from tests.support.processes import Start
    from tests.support.servers import VisdomServer
from tests.support.compared_runs import make

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def compare(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["compare", *map(str, arguments)], env={"COLUMNS": "100"})


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    make(folder, "mlp-a", {"lr": 0.1, "epochs": 3, "optimizer": "sgd"}, 0.0)
    make(folder, "mlp-b", {"lr": 0.2, "epochs": 3, "hidden": [8, 8]}, 0.25, "failed")
    points = [foreign.event(n, foreign.scalar("test/loss", 0.5, named=n == 0)) for n in range(3)]
    foreign.write(folder / "foreign" / "tfevents", *points)
    return folder


@pytest.fixture
def viewport() -> dict[str, int]:
    return {"width": 1500, "height": 1000}


def test_in_the_terminal(runs: Path) -> None:
    result = compare("mlp-*", runs / "foreign", "--logdir", runs)
    assert result.exit_code == 0, result.output
    lines = [line.split() for line in result.stdout.splitlines()]
    assert ["run", "lr", "epochs", "optimizer", "hidden"] in lines
    assert ["mlp-a", "0.1", "3", "sgd"] in lines
    assert ["mlp-b", "0.2", "3", "[8,", "8]"] in lines
    assert ["test/accuracy", "mlp-a", "0.9*", "30", "1*", "20", "finished"] in lines
    assert ["mlp-b", "0.65", "30", "0.75", "20", "failed"] in lines
    assert ["foreign", "0.5", "2", "0.5", "0"] in lines
    assert "•• mlp-a" in result.stdout
    assert "\x1b" not in result.stdout
    assert "settings that differ" in result.stdout.splitlines()
    assert "metrics, the best with a *" in result.stdout.splitlines()


@pytest.mark.parametrize("columns", [40, 60, 80, 120])
def test_nothing_is_broken_at_any_width(tmp_path: Path, columns: int) -> None:
    names = [f"experiment-with-lr-0.0{n}-and-the-same-long-end-of-the-name" for n in range(3)]
    for number, name in enumerate(names):
        config = {"lr": number / 3, **{f"setting{n}": f"{number} of a longer text" for n in range(40)}}
        with Logger(tmp_path / name, ["tensorboard"], config, record="none") as log:
            log.scalars({"test/accuracy": number / 3, "test/loss": 1e-5 / (number + 1)}, 100_000)
    command = ["compare", "*", "--logdir", str(tmp_path)]
    lines = CliRunner().invoke(main, command, env={"COLUMNS": str(columns)}).stdout.splitlines()
    assert all(len(line) <= columns for line in lines)
    rows = [line.split() for line in lines if line.startswith(("ex", "test/accuracy  ex", "test/loss  ex"))]
    rows = [row[1:] if row[0].startswith("test/") else row for row in rows]
    assert len(rows) == 9, "one line a run in each table"
    assert len({row[0] for row in rows[:3]}) == len({row[0] for row in rows[3:]}) == 3, "names still differ"
    assert [row[1] for row in rows[:3]] == ["0.0", "0.3333333333333333", "0.6666666666666666"]
    assert [row[1] for row in rows[3:]] == ["0", "0.33333", "0.66667*", "1e-05", "5e-06", "3.3333e-06*"]
    assert " more settings differ; --html shows all." in " ".join(" ".join(lines).split())


def test_a_name_stands_for_runs_of_the_log_directory_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("runs/mlp", "runs.trash/old", "other/mlp", "elsewhere/run"):
        with Logger(tmp_path / name, ["tensorboard"], {"name": name}, record="none") as log:
            log.scalar("test/loss", 1.0, 1)
    (tmp_path / "mlp").mkdir()  # such as a package of this name
    monkeypatch.chdir(tmp_path)
    found = {
        given: list(find_runs([given], tmp_path / "runs"))
        for given in ("*", "mlp", "elsewhere", "else*/*", "runs/*", "./other", ".", str(tmp_path / "other"))
    }
    assert found["*"] == found["mlp"] == found["runs/*"] == ["mlp"], "nothing from the trash or from elsewhere"
    assert found["elsewhere"] == found["else*/*"] == ["run"]
    assert found["./other"] == found[str(tmp_path / "other")] == ["mlp"]
    assert find_runs(["./other"], tmp_path / "runs")["mlp"] == tmp_path / "other" / "mlp"
    assert len(found["."]) == 4
    with pytest.raises(DataError, match="matches no run"):
        find_runs(["else*"], tmp_path / "runs")
    assert list(find_runs(["else*"], tmp_path / "none")) == ["run"]


def test_titles_do_not_break_inside_words_above_a_narrow_table(tmp_path: Path) -> None:
    for name, lr in (("a", 1), ("b", 2)):
        with Logger(Run(tmp_path / name, {"lr": lr}), ["memory"]):
            pass
    assert "settings that differ" in compare("a", "b", "--logdir", tmp_path).stdout.splitlines()


def test_a_chosen_metric_of_equal_runs(tmp_path: Path) -> None:
    for name in ("x", "y"):
        with Logger(tmp_path / name, ["tensorboard"], {"lr": 1}) as log:
            for step in range(5):
                log.scalar("odd", float(step), step)
                log.scalar("nothing", float("nan"), step)
    result = compare(tmp_path, "--metric", "odd")
    assert "The settings are the same in all runs." in result.stdout
    assert "*" not in result.stdout.partition("at step\n")[2].partition("odd")[0]
    assert "xx y" in result.stdout
    assert "nothing: no finite value to plot" in compare(tmp_path, "--metric", "nothing").stdout


def test_bad_input_is_one_line(runs: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "page.html").write_text("no log")
    cases: list[tuple[list[object], str]] = [
        ([], "Missing argument 'RUN...'"),
        (["none", "--logdir", runs], "'none' matches no run; in "),
        (["none-*", "--logdir", runs], "'none-*' matches no run"),
        ([tmp_path / "empty"], "matches no run"),
        ([tmp_path / "page.html"], "page.html' matches no run"),
        (["mlp-a", "--logdir", runs, "--metric", "lr"], "no run has 'lr'; known: test/accuracy, test/loss, train/loss"),
        (["mlp-a", "--logdir", runs, "--follow"], "--follow needs --sink"),
        (["mlp-a", "--logdir", runs, "--step", "3"], "--step needs --html"),
        (["mlp-a", "--logdir", runs, "--sink", "console"], "cannot show a comparison; accepted: visdom"),
        (["mlp-a", "--logdir", runs, "--html", tmp_path / "no" / "x.html"], "cannot be written"),
    ]
    for arguments, says in cases:
        result = compare(*arguments)
        assert result.exit_code == 2, (arguments, result.output)
        assert says in result.stderr
        assert result.stderr.count("\n") == 1


WITHOUT = """
import sys
for name in ("orjson", "urllib3", "tornado", "visdom"):
    sys.modules[name] = None
from monitor.cli import main
main()
"""


def test_without_the_visdom_extra(runs: Path, tmp_path: Path, start: Start) -> None:
    page = ("--html", str(tmp_path / "x.html"))
    plain = start("-c", WITHOUT, "compare", "mlp-a", "mlp-b", "--logdir", str(runs), *page, fresh=True)
    out, err = plain.communicate(timeout=200)
    assert plain.returncode == 0, err
    assert "Page: " in out
    shown = start("-c", WITHOUT, "compare", "mlp-a", "--logdir", str(runs), "--sink", "visdom", fresh=True)
    _, err = shown.communicate(timeout=200)
    assert shown.returncode == 2
    assert "pip install 'training-monitor[visdom]'" in err


def test_a_page_that_opens_offline(runs: Path, tmp_path: Path, page: Page) -> None:
    evil = "<script>document.title='pwned'</script>$x$"
    make(tmp_path, "evil", {"note": evil, "lr": 3}, 0.5)
    file = tmp_path / "page.html"
    result = compare("mlp-a", "mlp-b", tmp_path / "evil", "--logdir", runs, "--html", file, "--step", 25)
    assert result.exit_code == 0, result.output
    page.context.set_offline(True)
    page.goto(file.as_uri())
    assert page.title() == "3 runs"
    page.poll("() => document.querySelectorAll('.plots .js-plotly-plot').length === 3")
    assert page.hosts == set()
    assert page.problems == []
    row = page.locator("tbody tr[data-run=run0]").inner_text()
    assert re.search(r"mlp-a\s+finished\s.*1 at 20\s+0.9 at 30", row, re.DOTALL)
    assert page.locator("td.best").count() == 6
    assert evil in page.locator("table").first.inner_text()
    assert page.locator("figcaption").all_inner_texts() == ["mlp-a step 20", "mlp-b step 20", "evil step 20"]
    assert page.evaluate("[...document.images].every(image => image.naturalWidth > 0)")
    runs_drawn = "() => [...new Set(document.querySelector('[data-chart]').data.map(trace => trace.meta.run))].join()"
    assert page.evaluate(runs_drawn) == "0,1,2"
    page.locator("input[value=run1]").uncheck()
    page.poll(f"() => ({runs_drawn})() === '0,2'")
    assert page.locator("figcaption:visible").count() == 2
    assert page.locator("tbody tr:visible").count() == 2


@pytest.mark.slow
def test_in_visdom_while_runs_go_on(
    tmp_path: Path, visdom_server: VisdomServer, start: Start, monkeypatch: pytest.MonkeyPatch, page: Page
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    make(tmp_path / "runs", "one", {"lr": 1}, 0.0)
    going = Logger(Run(tmp_path / "runs" / "two", {"lr": 2}), ["tensorboard"])
    going.scalar("train/loss", 5.0, 0)
    going.scalar("test/loss", 5.0, 0)
    assert going.flush()
    following = start(
        "-m", "monitor", "compare", "*", "--logdir", str(tmp_path / "runs"), "--sink", visdom_server.spec("both"),
        "--follow",
    )  # fmt: skip

    def trace(name: str) -> list[Any]:
        windows = visdom_server.windows("both")
        found = (w["content"]["data"] for title, w in windows.items() if title.startswith("train/loss"))
        data: list[dict[str, Any]] = next(found, [])
        return next((list(zip(line["x"], line["y"])) for line in data if line["name"] == name), [])

    try:
        wait_until(lambda: trace("two") == [(0, 5.0)], 60, "the comparison")
        assert len(trace("one")) == 30
        for step in range(1, 4):
            going.scalar("train/loss", 5.0 - step, step)
        assert going.flush()
        wait_until(lambda: trace("two")[-1:] == [(3, 2.0)], 60, "the run's next points")
        make(tmp_path / "runs", "three", {"lr": 3}, 0.1)
        wait_until(lambda: len(trace("three")) == 30, 60, "a run that came later")
        page.goto(f"{visdom_server.url}/env/both")
        page.wait("() => document.querySelectorAll('.js-plotly-plot').length === 4")  # and the settings
    finally:
        going.close()
        following.send_signal(signal.SIGINT)
    _, err = following.communicate(timeout=200)
    assert following.returncode == 0, err
    assert (tmp_path / "runs" / ".visdom" / "both.json").exists()
