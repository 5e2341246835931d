"""Who makes an index, and who reads it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from click.testing import CliRunner

from monitor import Logger, compare, reopen
from monitor.cli import main
from monitor.comparison.compare import load_run
from monitor.comparison.event_data import read_curves
from monitor.events.framing import frame
from monitor.events.index import index_update, live_index
from monitor.events.index.index_update import current_index, update_index
from monitor.events.index.run_index import INDEX_FILE, TooManyCurves, load_index
from monitor.render.reduction.downsampling import DownsampledSeries
from monitor.runs.listing.foreign import ForeignRun
from tests.support import event_reader, foreign, hostile_events
from tests.support.indexed_runs import STEPS, TAGS, events, from_files, make_run, plain

if TYPE_CHECKING:
    from pathlib import Path


def test_the_summary_of_a_foreign_run(tmp_path: Path) -> None:
    file = make_run(tmp_path, frame(foreign.event(0, hostile_events.settings(lr=0.5)).SerializeToString()))
    with file.open("ab") as out:
        out.write(events(0, STEPS, (*TAGS, "test/loss/best")))
    listed = ForeignRun(tmp_path).info("run")
    without = load_run("run", tmp_path)
    assert without.metrics["train/loss"]["step"] == STEPS - 1
    assert "test/loss/best" not in without.metrics
    update_index(tmp_path)
    assert current_index(tmp_path) is not None
    assert repr(load_run("run", tmp_path)) == repr(without)
    run = ForeignRun(tmp_path)
    found = run.info("run")
    assert repr(found.fields) == repr(listed.fields)
    with file.open("ab") as out:
        out.write(events(STEPS, STEPS + 5, (*TAGS, "test/loss/best")))
    found = run.info("run")
    assert found.progress == {"step": STEPS + 4}
    assert "test/loss/best" not in found.metrics


def test_many_curves_get_a_coarse_index_or_none(tmp_path: Path) -> None:
    tags = tuple(f"layer{n}/weight" for n in range(60))
    file = make_run(tmp_path / "coarse", events(0, 2000, tags))
    update_index(tmp_path / "coarse")
    index = load_index(tmp_path / "coarse")
    assert index is not None
    assert index.max_buckets < 256
    assert (tmp_path / "coarse" / INDEX_FILE).stat().st_size <= max(2**16, file.stat().st_size // 100)
    for buckets in (256, index.max_buckets, 16):
        found = plain(read_curves(tmp_path / "coarse", tags, max_buckets=buckets))
        assert found == from_files(tmp_path / "coarse", tags, buckets)
    make_run(tmp_path / "none", events(0, 200, tuple(f"layer{n}/weight" for n in range(900))))
    with pytest.raises(TooManyCurves, match="900 curves"):
        update_index(tmp_path / "none")


def test_a_run_of_a_logger_gets_one_at_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index_update, "MIN_EVENT_BYTES", 50_000)  # a run of some seconds
    run = tmp_path / "run"
    with Logger(run, ["tensorboard"], {"lr": 0.1}) as log:
        for step in range(3000):
            log.scalars({"train/loss": 1 / (step + 1), "test/accuracy": step / 3000}, step)
            if step == 1999:
                log.checkpoint("here", 2000)
    index = current_index(run)
    assert index is not None
    assert not index.is_resumed
    assert index.series("train/loss").count == 3000
    with Logger(reopen(run, "here", 2000), ["tensorboard"]) as log:
        for step in range(2000, 2500):
            log.scalar("train/loss", 2.0, step)
    index = current_index(run)
    assert index is not None
    assert (index.is_resumed, index.series("train/loss").count) == (True, 2500)
    assert plain(read_curves(run, ("train/loss", "test/accuracy"))) == from_files(run, ("train/loss", "test/accuracy"))
    assert len(event_reader.series(run, "train/loss")) == 2500


def test_a_run_that_goes_on_has_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is there before the run ends, and what came since is read from the event file; a failure is no harm."""
    monkeypatch.setattr(index_update, "MIN_EVENT_BYTES", 50_000)
    monkeypatch.setattr(live_index, "INTERVAL_S", 0.0)
    run = tmp_path / "run"
    with Logger(run, ["tensorboard"]) as log:
        for step in range(3000):
            log.scalars({"train/loss": 1 / (step + 1), "other": step}, step)
        assert log.flush(60)
        index = current_index(run)
        assert index is not None
        assert index.series("train/loss").count == 3000
        (run / INDEX_FILE).unlink()
        (run / INDEX_FILE).mkdir()  # which no file can replace
        log.scalar("train/loss", 0.5, 3000)
        assert log.flush(60)
        assert log.stats().sinks["tensorboard"].failed == 0
        assert read_curves(run, ["train/loss"]).series["train/loss"].count == 3001
    assert log.run.status == "finished"


def test_the_figures_of_a_page_are_the_same(tmp_path: Path) -> None:
    """Two runs, one of which is still written to, of which the index covers the first part."""
    names = ("a", "b")
    for seed, name in enumerate(names):
        make_run(tmp_path / name, events(0, STEPS, seed=seed))

    def page() -> str:
        comparison = compare(*names, logdir=tmp_path)
        return repr(
            (comparison.figures(with_system=True), comparison.runs, [c.clock.points() for _, c in comparison.clocks()])
        )

    without = page()
    for name in names:
        update_index(tmp_path / name)
    assert page() == without
    with next((tmp_path / "b").glob("*tfevents*")).open("ab") as out:
        out.write(events(STEPS, STEPS + 300, seed=7))
    assert current_index(tmp_path / "b") is not None
    grown = page()
    for name in names:
        (tmp_path / name / INDEX_FILE).unlink()
    assert page() == grown != without


def test_the_command(tmp_path: Path) -> None:
    make_run(tmp_path / "large", events(0, STEPS))
    make_run(tmp_path / "small", events(0, 10))
    make_run(tmp_path / "many", events(0, 200, tuple(f"layer{n}/weight" for n in range(900))))
    result = CliRunner().invoke(main, ["index", "--logdir", str(tmp_path)])
    assert result.exit_code == 0, result.output
    lines = result.output.splitlines()
    assert lines[0].startswith("large: ")
    assert "MB of event files" in lines[0]
    assert lines[1].startswith("many: no index, because it would be too large: 900 curves in")
    assert lines[2] == "1 run of less than 1 MB of event files: no index is needed"
    assert [path.parent.name for path in tmp_path.rglob(INDEX_FILE)] == ["large"]
    for arguments, message in ((["none"], "matches no run"), (["--logdir", str(tmp_path / "x")], "is not a folder")):
        failed = CliRunner().invoke(main, ["index", *arguments])
        assert failed.exit_code == 2
        assert message in failed.stderr


def test_a_series_continues_where_it_was_restored() -> None:
    whole, first = DownsampledSeries(64), DownsampledSeries(64)
    values = np.random.default_rng(0).normal(size=5000)
    values[::501] = np.nan
    whole.extend(np.arange(5000), values)
    for at in (0, 1, 63, 64, 65, 777, 3000):
        first = DownsampledSeries(64)
        first.extend(np.arange(at), values[:at])
        restored = first.copy(64)
        restored.extend(np.arange(at, 5000), values[at:])
        assert restored.points() == whole.points()
        small, copied = DownsampledSeries(17), first.copy(17)
        small.extend(np.arange(at), values[:at])
        assert copied.points() == small.points()
        copied.extend(np.arange(at, 5000), values[at:])
        small.extend(np.arange(at, 5000), values[at:])
        assert copied.points() == small.points()
