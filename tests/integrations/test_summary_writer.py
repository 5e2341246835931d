"""The life of a `SummaryWriter`: its directory, its runs, its files."""

from __future__ import annotations

import gc
import json
import pickle
from typing import TYPE_CHECKING, Any

import pytest

from monitor import (
    RunStatus,
    SummaryWriter,
)
from monitor.runs.listing import load, scan
from monitor.testing import wait_until
from tests.support import event_reader
from tests.support.leftovers import worker_threads

if TYPE_CHECKING:
    from pathlib import Path


def points(path: Path, tag: str = "loss") -> list[tuple[int, float]]:
    return event_reader.series(path, tag)


def test_the_run_is_listed_with_its_status(tmp_path: Path) -> None:
    with SummaryWriter(tmp_path / "a") as writer:
        writer.add_scalar("loss", 2.0, 1)
        writer.flush()
        assert load(tmp_path / "a").status is RunStatus.RUNNING
        assert points(tmp_path / "a") == [(1, 2.0)]
    [run] = scan(tmp_path)
    assert run.status is RunStatus.FINISHED
    assert run.metrics["loss"]["last"] == 2.0


def test_an_exception_is_the_status(tmp_path: Path) -> None:
    def train() -> None:
        with SummaryWriter(tmp_path) as writer:
            writer.add_scalar("loss", 2.0, 1)
            raise ValueError("diverged")

    with pytest.raises(ValueError, match="diverged"):
        train()
    assert (load(tmp_path).status, load(tmp_path).error) == (RunStatus.FAILED, "ValueError: diverged")


def test_a_writer_that_nobody_holds_closes_itself(tmp_path: Path) -> None:
    writer = SummaryWriter(tmp_path)
    writer.add_scalar("loss", 1.0, 1)
    assert worker_threads()
    del writer
    gc.collect()
    wait_until(lambda: not worker_threads(), 60, "the end of its threads")
    assert load(tmp_path).status is RunStatus.FINISHED
    assert points(tmp_path) == [(1, 1.0)]


@pytest.mark.parametrize("closes", [True, False])
def test_a_thousand_writers_in_a_row(tmp_path: Path, closes: bool) -> None:
    from pathlib import Path

    for number in range(1000):
        writer = SummaryWriter(tmp_path / str(number % 50))
        if number % 20 == 0:
            writer.add_scalar("loss", 1.0, number)
        if closes:
            writer.close()
    del writer
    wait_until(lambda: not worker_threads(), 60, "the end of their threads")
    assert len(list(Path("/proc/self/fd").iterdir())) < 100
    assert sum(len(points(run.path)) for run in scan(tmp_path)) == 50


def test_a_writer_that_does_not_write(tmp_path: Path) -> None:
    with SummaryWriter(tmp_path / "a", write_to_disk=False) as writer:
        writer.add_scalar("loss", 1.0, 1)
        writer.add_scalars("group", {"a": 1.0}, 1)
        writer.add_text("text", "nothing", 1)
        writer.flush()
        with pytest.raises(AssertionError):
            writer.add_scalar("loss", [1.0, 2.0], 1)
    assert list(tmp_path.iterdir()) == []
    assert not worker_threads()


def test_different_hyperparameters_are_different_runs(tmp_path: Path) -> None:
    with SummaryWriter(tmp_path) as writer:
        for lr in (0.1, 0.1, 0.2):
            writer.add_hparams({"lr": lr}, {"accuracy": lr})
    below = [path for path in tmp_path.iterdir() if path.is_dir()]
    assert len(below) == 1
    assert [value for _, value in points(tmp_path, "accuracy")] == pytest.approx([0.1, 0.1])
    assert [value for _, value in points(below[0], "accuracy")] == pytest.approx([0.2])


def test_exported_scalars(tmp_path: Path) -> None:
    with SummaryWriter(tmp_path / "a") as writer:
        writer.add_scalars("group", {"a": 1.0}, 1, walltime=2.0)
        writer.add_scalars("group", {"a": 2.0}, walltime=3.0)
        writer.export_scalars_to_json(tmp_path / "all.json")
        assert writer.scalar_dict == {}
    assert json.loads((tmp_path / "all.json").read_text()) == {
        f"{tmp_path}/a/group_a": [[2.0, 1, 1.0], [3.0, None, 2.0]]
    }


def test_it_can_be_pickled(tmp_path: Path) -> None:
    writer = SummaryWriter(tmp_path)
    writer.add_scalar("loss", 1.0, 1)
    copy = pickle.loads(pickle.dumps(writer))
    writer.close()
    copy.add_scalar("loss", 2.0, 2)
    copy.close()
    assert points(tmp_path) == [(1, 1.0), (2, 2.0)]


@pytest.mark.parametrize(
    ("error", "call"),
    [
        (AssertionError, lambda w: w.add_scalar("loss", [1.0, 2.0])),
        (NotImplementedError, lambda w: w.add_scalar("loss", {"a": 1})),
        (ValueError, lambda w: w.add_scalar("loss", 1.0, 2**63)),
        (AssertionError, lambda w: w.add_image("image", [[1.0]])),
        (TypeError, lambda w: w.add_image("image", __import__("numpy").zeros((5, 9, 9)))),
        (ValueError, lambda w: w.add_histogram("histogram", __import__("numpy").zeros(0))),
        (AttributeError, lambda w: w.add_text("text", 3)),
        (AssertionError, lambda w: w.add_embedding(__import__("numpy").zeros((3, 2)), ["a"])),
        (ValueError, lambda w: w.add_pr_curve("pr", __import__("numpy").zeros(9), __import__("numpy").zeros(8))),
        (TypeError, lambda w: w.add_hparams([], {})),
        (ValueError, lambda w: w.add_histogram_raw("raw", 0, 1, 2, 3, 4, [1], [])),
        (TypeError, lambda w: w.add_histogram_raw("raw", 0, 1, "2", 3, 4, [1], [1])),
        (TypeError, lambda w: w.add_histogram_raw("raw", 0, 1, 2, 3, 4, ["1"], [1])),
        (ValueError, lambda w: w.add_histogram_raw("raw", 0, 1, 2, 3, 4, [1], [1], 2**63)),
        (ValueError, lambda w: w.add_pr_curve_raw("pr", [1, 2, 3], [1], [1], [1], [1, 2], [1, 2])),
        (TypeError, lambda w: w.add_pr_curve_raw("pr", *([["1"]] * 6))),
        (TypeError, lambda w: w.add_pr_curve_raw("pr", *([[1]] * 6), num_thresholds="2")),
        (TypeError, lambda w: w.add_histogram_raw("raw", 0, 1, 2, 3j, 4, [1], [1])),
        (TypeError, lambda w: w.add_pr_curve_raw("pr", *([[1]] * 5), [None])),
        (IndexError, lambda w: w.add_pr_curve_raw("pr", 1, 2, 3, 4, 5, 6)),
        (TypeError, lambda w: w.add_pr_curve_raw(3, *([[1]] * 6))),
        (AttributeError, lambda w: w.add_custom_scalars(["a"])),
        (AttributeError, lambda w: w.add_custom_scalars({"a": ["Multiline", ["b"]]})),
        (AssertionError, lambda w: w.add_custom_scalars({"a": {"b": ["Margin", ["x", "y"]]}})),
        (IndexError, lambda w: w.add_custom_scalars({"a": {"b": ["Multiline"]}})),
        (TypeError, lambda w: w.add_custom_scalars({"a": {"b": ["Multiline", [1]]}})),
        (TypeError, lambda w: w.add_custom_scalars({"a": {"b": ["Multiline", 1]}})),
        (TypeError, lambda w: w.add_custom_scalars({"a": {1: ["Multiline", ["x"]]}})),
        (TypeError, lambda w: w.add_custom_scalars({1: {}})),
        (UnicodeEncodeError, lambda w: w.add_custom_scalars({"\udc80": {}})),
        (UnicodeEncodeError, lambda w: w.add_hparams({"a": "\udc80"}, {})),
        (UnicodeEncodeError, lambda w: w.add_text("text", "\udc80")),
    ],
)
def test_mistakes_raise_at_the_call(tmp_path: Path, error: type[Exception], call: Any) -> None:
    with SummaryWriter(tmp_path) as writer, pytest.raises(error):
        call(writer)
