"""Goals that a program defines: what is the best value then, in lists, comparisons, alerts, and resumed runs."""

from __future__ import annotations

import json
import multiprocessing
import pickle
import re
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner
from tensorboard.plugins.custom_scalar.layout_pb2 import Layout

from monitor import DataError, Logger, compare, reopen
from monitor.cli import main
from monitor.comparison.compare import best_runs, load_run, main_metrics
from monitor.metrics import Definition, Goals, goal, is_held_out, sort_key, split_of
from monitor.runs.listing import load
from monitor.runs.run_file import read_run_file
from tests.support import event_reader

if TYPE_CHECKING:
    from pathlib import Path

VALUES = [0.3, 0.9, 0.5]


def log_values(folder: Path, *, shift: float = 0.0, **goals: str) -> Path:
    with Logger(folder, ["tensorboard"]) as log:
        for step, value in enumerate(VALUES):
            log.scalar("val/balance", value + shift, step)
            log.scalar("drift", value + shift, step)
        for metric, goal in goals.items():
            log.define(metric.replace("__", "/"), goal=goal)
    return folder


def test_a_goal_counts_for_what_was_logged_before(tmp_path: Path) -> None:
    path = log_values(tmp_path / "run", val__balance="max", drift="min")
    fields = read_run_file(path)
    assert fields["goals"] == {"val/balance": "max", "drift": "min"}
    assert fields["metrics"]["val/balance"] == {"last": 0.5, "step": 2, "best": 0.9, "best_step": 1, "goal": "max"}
    assert fields["metrics"]["drift"] == {"last": 0.5, "step": 2, "best": 0.3, "best_step": 0, "goal": "min"}
    assert load(path).look_up("best:drift") == 0.3
    assert "best" not in read_run_file(log_values(tmp_path / "plain"))["metrics"]["drift"], "its name does not tell"


def test_patterns_and_what_wins() -> None:
    goals = Goals({"val/*": "min"})
    goals.define(Definition("val/f?", "max"))
    goals.define(Definition("val/[x]", "max"))
    assert [goals.of(tag) for tag in ("val/a/b", "val/f1", "val/[x]", "val/x", "test/loss", "drift")] == [
        "min", "max", "max", "max", "min", None,
    ]  # fmt: skip
    goals.define(Definition("val/*", "max"))
    assert goals.of("val/loss") == "max", "the latest one wins, and a definition comes before the name"
    goals.define(Definition("val/loss", "min"))
    goals.define(Definition("*", "max"))
    assert goals.of("val/loss") == "min", "a tag comes before patterns"


def test_comparisons_know_it(tmp_path: Path) -> None:
    paths = [log_values(tmp_path / "a", drift="max"), log_values(tmp_path / "b", shift=1.0)]
    runs = [load_run(path.name, path) for path in paths]
    assert main_metrics(runs) == ["drift"]
    assert best_runs(runs, "drift", "last") == ["b"], "one run that says it is enough"
    assert best_runs(runs, "val/balance", "last") == []
    fields = {**read_run_file(paths[0]), "metrics": {}}
    (paths[0] / "run.json").write_text(json.dumps(fields))
    assert load_run("a", paths[0]).metrics["drift"]["best"] == pytest.approx(0.9), "from its event files too"


def test_best_values_in_hparams(tmp_path: Path) -> None:
    with Logger(tmp_path / "run", ["tensorboard"]) as log:
        log.define("drift", goal="min")
        for step, value in enumerate(VALUES):
            log.scalar("drift", value, step)
    found = event_reader.read(tmp_path / "run").Scalars("best/drift")
    assert [(event.step, event.value) for event in found] == [(0, pytest.approx(0.3))]


@pytest.mark.parametrize(("goal", "fires"), [(None, True), ("max", True), ("min", False)])
def test_the_best_of_an_alert(tmp_path: Path, goal: str | None, fires: bool) -> None:
    """Without a goal, `<` compares with the highest value before: 0.2 is below half of 0.5, but not half of 0.3."""
    with Logger(tmp_path / "run", [], alerts=["drift < 0.5 * best"]) as log:
        if goal is not None:
            log.define("dri*", goal=goal)
        for step, value in enumerate([0.5, 0.45, 0.3, 0.2]):
            log.scalar("drift", value, step)
    assert ("alerts" in read_run_file(tmp_path / "run")) == fires


def test_a_resumed_run_knows_it(tmp_path: Path) -> None:
    with Logger(tmp_path / "run", ["tensorboard"]) as log:
        log.define("drift", goal="min")
        log.scalar("drift", 0.1, 0)
        log.checkpoint("c", 1)
    with Logger(reopen(tmp_path / "run", "c", 1), ["tensorboard"]) as log:
        log.scalar("drift", 0.2, 1)
    entry = read_run_file(tmp_path / "run")["metrics"]["drift"]
    assert (entry["last"], entry["best_step"], entry["goal"]) == (0.2, 0, "min")


@pytest.mark.parametrize(
    ("metric", "goal", "error", "says"),
    [
        ("a", "best", ValueError, "goal must be 'min' or 'max', not 'best'"),
        ("a", None, ValueError, "goal must be 'min' or 'max', not None"),
        ("", "min", ValueError, "a tag must not be empty"),
        (3, "min", TypeError, "a tag must be text"),
    ],
)
def test_mistakes(tmp_path: Path, metric: Any, goal: Any, error: type[Exception], says: str) -> None:
    with Logger(tmp_path / "run", []) as log, pytest.raises(error, match=says):
        log.define(metric, goal=goal)
    assert "goals" not in read_run_file(tmp_path / "run")


def test_children_define_too(tmp_path: Path) -> None:
    with Logger(tmp_path / "run", [], children="forward") as log:
        child = multiprocessing.get_context("fork").Process(target=log.define, args=("drift",), kwargs={"goal": "max"})
        child.start()
        child.join()
        assert child.exitcode == 0
        log.scalar("drift", 0.5, 0)
    assert read_run_file(tmp_path / "run")["metrics"]["drift"]["goal"] == "max"
    with Logger(tmp_path / "other", []) as log:
        null = pickle.loads(pickle.dumps(log))
    with pytest.raises(ValueError, match="goal must be"):
        null.define("drift", goal="up")
    null.define("drift", goal="max")


def test_goals_of_a_damaged_file_are_refused(tmp_path: Path) -> None:
    path = log_values(tmp_path / "run")
    (path / "run.json").write_text(json.dumps({**read_run_file(path), "goals": {"a": "up"}}))
    with pytest.raises(DataError, match="'goals' is"):
        read_run_file(path)


def test_groups_know_it(tmp_path: Path) -> None:
    for s in (1, 2):
        with Logger(tmp_path / f"run{s}", ["tensorboard"], {"s": s}) as log:
            log.define("val/loss", goal="max")
            log.define("val/zork", goal="min")
            for step, value in enumerate([5, 1, 9]):
                log.scalars({"val/loss": value * s, "val/zork": value * s}, step)
    comparison = compare([tmp_path / "run1", tmp_path / "run2"], group_by=["s"])
    assert [run.metrics["val/zork"]["goal"] for run in comparison.rows] == ["min", "min"]
    assert best_runs(comparison.rows, "val/loss", "best") == ["s=2"]
    assert best_runs(comparison.rows, "val/zork", "best") == ["s=1"]
    shown = CliRunner().invoke(main, ["compare", str(tmp_path), "--group-by", "s"], env={"COLUMNS": "100"}).stdout
    assert "18*" in shown
    assert "9*" in shown.partition("val/zork")[2]
    assert "9*" not in shown.partition("val/loss")[2].partition("val/zork")[0]


SPLITS_LAST = {
    # tag: its goal, whether it is of held-out data, and its split and metric
    "Loss/train": ("min", False, ("train", "Loss")),
    "Accuracy/test": ("max", True, ("test", "Accuracy")),
    "head/loss/val": ("min", True, ("val", "head/loss")),
    "test/accuracy": ("max", True, ("test", "accuracy")),
    "val/valid": (None, True, ("val", "valid")),
    "test": (None, False, ("", "test")),
    "loss/generator": (None, False, ("loss", "generator")),
}


@pytest.mark.parametrize("tag", SPLITS_LAST)
def test_the_split_may_come_last(tag: str) -> None:
    assert (goal(tag), is_held_out(tag), split_of(tag)) == SPLITS_LAST[tag]


def test_split_last_in_run_json_and_tensorboard(tmp_path: Path) -> None:
    tags = ["Loss/train", "Loss/test", "Accuracy/train", "Accuracy/test"]
    assert sorted(tags, key=sort_key) == ["Accuracy/test", "Loss/test", "Accuracy/train", "Loss/train"]
    with Logger(tmp_path / "run", ["tensorboard"]) as log:
        for step, value in enumerate(VALUES):
            log.scalars(dict.fromkeys(tags, value), step)
    metrics = read_run_file(tmp_path / "run")["metrics"]
    assert {tag: (entry["goal"], entry["best_step"]) for tag, entry in metrics.items()} == {
        "Loss/train": ("min", 0), "Loss/test": ("min", 0), "Accuracy/train": ("max", 1), "Accuracy/test": ("max", 1),
    }  # fmt: skip
    events = event_reader.read(tmp_path / "run")
    assert [event.step for event in events.Scalars("Accuracy/test/best")] == [0, 1]
    layout = Layout.FromString(events.Tensors("custom_scalars__config__")[-1].tensor_proto.string_val[0])
    charts = {chart.title: list(chart.multiline.tag) for chart in layout.category[0].chart}
    known = set(events.Tags()["scalars"])
    assert {title: {tag for tag in known for pattern in patterns if re.match(pattern, tag)}
            for title, patterns in charts.items()} == {
        "Loss": {"Loss/train", "Loss/test"}, "Accuracy": {"Accuracy/train", "Accuracy/test"},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("tag", "direction"),
    [
        ("test/error", "min"), ("top1_error", "min"), ("val/max_error", "min"), ("train/neg_log_loss", "max"),
        ("val/neg_mean_squared_error", "max"), ("neg_brier_score", "max"), ("negatives", None), ("neg", None),
    ],
)  # fmt: skip
def test_the_goal_that_a_name_tells(tag: str, direction: str | None) -> None:
    assert goal(tag) == direction
