"""The curves of `add_scalars`, which are in folders of their own, are curves of their run."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from monitor import read
from monitor.comparison.event_data import find_tags, read_curves, read_points
from monitor.comparison.views.dashboard_view import ComparisonView
from monitor.events.index.index_update import current_index, update_index
from monitor.integrations.writer.flavors import TensorBoardXSummaryWriter, TorchSummaryWriter
from monitor.sinks import registry
from monitor.sinks.base import DashboardSink

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.servers import VisdomServer

KINDS = pytest.mark.parametrize("kind", [TorchSummaryWriter, TensorBoardXSummaryWriter])
TAGS = ["loss", "acc/all/train", "acc/all/a test"]


def log(path: Path, kind: Any, steps: range, offset: float = 0.0, *, has_index: bool = False) -> Path:
    with kind(str(path)) as writer:
        if has_index:
            writer.add_text("notes", "x" * 2**21)  # a small run gets none
        for step in steps:
            writer.add_scalar("loss", -step - offset, step)
            writer.add_scalars("acc/all", {"train": step + offset, "a test": step / 2 + offset}, step)
    return path


@KINDS
@pytest.mark.parametrize("has_index", [False, True])
def test_a_stored_run_has_them(tmp_path: Path, kind: Any, has_index: bool) -> None:
    path = log(tmp_path / "run", kind, range(30), has_index=has_index)
    log(path / "another", kind, range(3), 0.25)
    update_index(path)
    assert (current_index(path) is not None) == has_index
    (run,) = read(path)
    assert sorted(run.tags()) == sorted(TAGS)
    test = run.scalars("acc/all/a test")
    assert test.steps.tolist() == list(range(30))
    assert test.values.tolist() == [step / 2 for step in range(30)]
    assert run.scalars("acc/all/train", 10, 12).values.tolist() == [10, 11, 12]
    assert {tag: len(points.steps) for tag, points in run.all_scalars().items()} == dict.fromkeys(TAGS, 30)
    pieces: Counter[str] = Counter()
    for piece in run.pieces():
        pieces.update({tag: len(points.steps) for tag, points in piece.items()})
    assert pieces == dict.fromkeys(TAGS, 30)
    assert {tag for piece in run.pieces(["acc/all/train"]) for tag in piece} == {"acc/all/train"}


@KINDS
@pytest.mark.parametrize("has_index", [False, True])
def test_a_comparison_reads_them(tmp_path: Path, kind: Any, has_index: bool) -> None:
    path = log(tmp_path / "run", kind, range(30), has_index=has_index)
    update_index(path)
    assert find_tags(path, "acc/") == {"acc/all/train", "acc/all/a test"}
    curves = read_curves(path, TAGS)
    assert {tag: len(series.columns().values) for tag, series in curves.series.items()} == dict.fromkeys(TAGS, 30)
    assert read_points(path, ["acc/all/train"])["acc/all/train"][1].tolist() == list(range(30))


@pytest.mark.parametrize("kind", [TorchSummaryWriter, pytest.param(TensorBoardXSummaryWriter, marks=pytest.mark.slow)])
@pytest.mark.usefixtures("assets")
def test_a_page_that_follows_two_runs_shows_them(tmp_path: Path, visdom_server: VisdomServer, kind: Any) -> None:
    runs = {name: log(tmp_path / name, kind, range(10), offset) for name, offset in (("a", 0.0), ("b", 0.5))}
    sink = registry.make(visdom_server.spec("compared"))
    assert isinstance(sink, DashboardSink)
    view = ComparisonView(sink, TAGS)

    def shown() -> dict[str, list[tuple[str, int]]]:
        windows = visdom_server.windows("compared")
        return {
            title: [(line["name"], len(line["x"])) for line in window["content"]["data"] if len(line["x"]) > 1]
            for title, window in windows.items()
        }

    view.update(runs)
    for tag in TAGS:
        assert {("a", 10), ("b", 10)} <= set(shown()[tag]), tag
    log(runs["a"], kind, range(10, 15))
    view.update(runs)
    for tag in TAGS:
        assert {("a", 15), ("b", 10)} <= set(shown()[tag]), tag
    sink.close()
