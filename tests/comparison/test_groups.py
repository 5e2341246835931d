"""Seeds as bands: the numbers, against NumPy's own of stated values, and what shows them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from monitor import DataError, Logger, compare
from monitor.cli import main
from monitor.comparison.compare import ComparedRun
from monitor.comparison.groups import aggregate, group_runs
from monitor.events.reading.reader import read_scalars

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from tests.support.servers import VisdomServer

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

VALUES = {0: [1.0, 0.5, 0.25, 0.125], 1: [2.0, 1.0, 0.5, 0.0], 2: [0.0, 0.75, 0.3, 0.1]}  # by seed, at steps 0 to 30
STEPS = [0, 10, 20, 30]


@pytest.fixture(scope="module")
def seeds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("seeds")
    for lr, factor in ((0.1, 1), (0.2, 2)):
        for seed, values in VALUES.items():
            config = {"lr": lr, "seed": seed, "optimizer": "sgd"}
            with Logger(folder / f"lr{lr}-{seed}", ["tensorboard"], config) as log:
                for step, value in zip(STEPS, values):
                    log.scalar("test/loss", value * factor, step)
    return folder


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["compare", *map(str, arguments)], env={"COLUMNS": "100"})


def points(steps: list[int], values: list[float]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    return np.array(steps, np.int64), np.array(values, np.float64)


ALL = [points(STEPS, values) for values in VALUES.values()]


@pytest.mark.parametrize(
    ("spread", "center", "lower", "upper"),
    [
        # The sample standard deviations of (1, 2, 0), (0.5, 1, 0.75), (0.25, 0.5, 0.3), and (0.125, 0, 0.1).
        ("std", [1, 0.75, 0.35, 0.075], [0, 0.5, 0.2177124, 0.00885621], [2, 1, 0.4822876, 0.14114379]),
        ("sem", [1, 0.75, 0.35, 0.075],
         [0.4226497, 0.6056624, 0.2736237, 0.0368119], [1.5773503, 0.8943376, 0.4263763, 0.1131881]),
        ("minmax", [1, 0.75, 0.35, 0.075], [0, 0.5, 0.25, 0], [2, 1, 0.5, 0.125]),
        ("quantiles", [1, 0.75, 0.3, 0.1], [0.5, 0.625, 0.275, 0.05], [1.5, 0.875, 0.4, 0.1125]),
    ],
)  # fmt: skip
def test_stated_numbers(spread: str, center: list[float], lower: list[float], upper: list[float]) -> None:
    found = aggregate(ALL, spread)
    assert found.steps.tolist() == STEPS
    assert found.counts.tolist() == [3, 3, 3, 3]
    np.testing.assert_allclose(found.center, center, atol=1e-6)
    np.testing.assert_allclose(found.lower, lower, atol=1e-6)
    np.testing.assert_allclose(found.upper, upper, atol=1e-6)


def test_a_run_that_ended_early_neither_ends_the_band_nor_bends_it() -> None:
    short = points([0], [100.0])
    found = aggregate([*ALL, short])
    assert found.steps.tolist() == STEPS
    assert found.counts.tolist() == [4, 3, 3, 3]
    assert found.center[1] == pytest.approx(0.75)
    alone = aggregate([ALL[0], points([0, 10], [1.0, 1.0])])
    assert alone.steps.tolist() == [0, 10]  # one run alone is no group


def test_values_that_are_not_finite_do_not_count() -> None:
    found = aggregate([ALL[0], ALL[1], points(STEPS, [3.0, np.nan, np.inf, 3.0])])
    assert found.counts.tolist() == [3, 2, 2, 3]
    assert found.center.tolist() == pytest.approx([2, 0.75, 0.375, 3.125 / 3])


def test_runs_measured_at_other_steps_are_interpolated() -> None:
    found = aggregate([points([0, 20, 40], [0.0, 2.0, 4.0]), points([10, 30, 50], [3.0, 5.0, 7.0])])
    assert found.steps.tolist() == [10, 20, 30, 40]
    np.testing.assert_allclose(found.center, [2, 3, 4, 5])


def test_one_run_has_no_spread() -> None:
    found = aggregate([ALL[0]])
    assert found.center.tolist() == VALUES[0]
    assert np.isnan(found.lower).all()
    assert len(aggregate([]).steps) == 0
    with pytest.raises(ValueError, match="spread is std, sem, minmax, quantiles; not 'variance'"):
        aggregate(ALL, "variance")


def test_groups(tmp_path: Path) -> None:
    configs: list[dict[str, Any]] = [{"lr": 1, "seed": 0}, {"lr": 1, "seed": 1}, {"lr": 2, "seed": 0}, {"seed": 3}]
    runs = [ComparedRun(f"run{n}", tmp_path, "", config, {}) for n, config in enumerate(configs)]
    groups = group_runs(runs, ["config"], ["seed"])
    assert [(group.name, [run.name for run in group.runs]) for group in groups] == [
        ("lr=1", ["run0", "run1"]), ("lr=2", ["run2"]), ("lr=none", ["run3"]),
    ]  # fmt: skip
    assert [group.config for group in groups] == [{"lr": 1}, {"lr": 2}, {}], "what is ignored differs nowhere"
    assert [group.name for group in group_runs(runs, ["seed"])] == ["seed=0", "seed=1", "seed=3"]
    assert [group.name for group in group_runs(runs[:2], ["lr"])] == ["all runs"]
    with pytest.raises(DataError, match="no run has the setting 'sead'; did you mean 'seed'\\?"):
        group_runs(runs, ["config"], ["sead"])


def test_terminal_page_and_events_agree(seeds: Path, tmp_path: Path) -> None:
    page, events = tmp_path / "page.html", tmp_path / "events"
    result = run(seeds, "--group-by", "config", "--ignore", "seed", "--html", page, "--events", events)
    assert result.exit_code == 0, result.output
    cells = [line.split() for line in result.stdout.splitlines()]
    assert ["test/loss", "lr=0.1", "0.075", "±", "0.066*", "0.041667", "±", "0.072*", "3", "runs"] in cells
    assert "mean and standard deviation" in result.stdout
    written = read_scalars(events / "lr=0.2", ["test/loss", "test/loss/lower", "test/loss/upper"])
    center = [2 * np.mean(column) for column in zip(*VALUES.values())]
    width = [2 * np.std(column, ddof=1) for column in zip(*VALUES.values())]
    assert [value for _, value in written["test/loss"]] == pytest.approx(center, abs=1e-6)
    assert [value for _, value in written["test/loss/upper"]] == pytest.approx(np.add(center, width), abs=1e-6)
    figure = compare(seeds, group_by="config", ignore="seed").figures()["test/loss"]
    lines = [trace for trace in figure["data"] if trace["meta"] == {"run": 1}]
    assert lines[0]["y"] == pytest.approx(center, abs=1e-6)
    uppers = [trace for trace in figure["data"] if trace.get("fill")]
    assert uppers[1]["y"] == pytest.approx(np.add(center, width), abs=1e-6)


def test_bad_options_are_one_line(seeds: Path) -> None:
    for arguments, says in (
        (["--ignore", "seed"], "--ignore needs --group-by config, or a setting."),
        (["--events", "x"], "--events needs --group-by"),
        (["--group-by", "sead"], "no run has the setting 'sead'; did you mean 'seed'?"),
    ):
        result = run(seeds, *arguments)
        assert result.exit_code == 2
        assert says in result.stderr


def test_a_long_legend_on_visdom_s_page_leaves_the_chart_its_height(
    seeds: Path, tmp_path: Path, visdom_server: VisdomServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    for name in ("one", "two", "three"):
        with Logger(
            tmp_path / f"runs/{name}", ["tensorboard"], {"a-setting-of-some-length": name}, record="none"
        ) as log:
            log.scalar("test/loss", 1.0, 0)
    for env, runs, ignored in (("short", seeds, ["--ignore", "seed"]), ("long", tmp_path / "runs", [])):
        done = run(runs, "--group-by", "config", *ignored, "--sink", visdom_server.spec(env))
        assert done.exit_code == 0, done.output
    heights = {env: visdom_server.windows(env)["test/loss"]["height"] for env in ("short", "long")}
    assert heights["short"] == 300
    assert heights["long"] == 300 + 28, "three lines of a legend"
