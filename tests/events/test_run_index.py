"""An index shows what the event files show, and is not used where they are no longer those it was made of."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from monitor import Logger, ScalarBlock, compare, reopen
from monitor.cli import main
from monitor.comparison.compare import load_run
from monitor.comparison.event_data import RunCurves, read_curves
from monitor.events import index_update, live_index
from monitor.events.framing import frame
from monitor.events.index_update import current_index, update_index
from monitor.events.run_index import INDEX_FILE, TooManyCurves, load_index
from monitor.events.scalars.encoding import encode_scalars
from monitor.render.downsampling import DownsampledSeries
from monitor.runs.listing.foreign import ForeignRun
from tests.support import event_reader, foreign, hostile_events

if TYPE_CHECKING:
    from collections.abc import Callable

TAGS = ("train/loss", "train/accuracy", "test/loss", "system/cpu")
STEPS = 20_000  # of four tags: an event file of 3.6 MB


def events(start: int, stop: int, tags: tuple[str, ...] = TAGS, seed: int = 0) -> bytes:
    """Return framed events with NaN and infinity among the values."""
    steps = np.arange(start, stop)
    values = np.random.default_rng(seed).normal(size=len(steps) * len(tags))
    odd = values[:: max(1, len(values) // 7)]
    odd[:] = np.resize([np.nan, np.inf, -np.inf, 1e30, -1e30, 0.0, 1.0, 2.0], len(odd))
    block = ScalarBlock([tags], np.zeros(len(steps), np.int32), steps, 1.7e9 + steps / 50, values)
    return encode_scalars(block)


def make_run(folder: Path, data: bytes) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "events.out.tfevents.1"
    file.write_bytes(data)
    return file


def plain(curves: RunCurves) -> Any:
    series = {tag: (one.points(), one.count, repr(one.first_non_finite)) for tag, one in curves.series.items()}
    return repr((series, curves.clock.points(), curves.epochs.points()))


def from_files(run: Path, tags: tuple[str, ...] = TAGS, buckets: int = 256) -> Any:
    """Return the curves without an index."""
    index, aside = run / INDEX_FILE, run / "aside"
    if index.exists():
        index.rename(aside)
    try:
        return plain(read_curves(run, tags, max_buckets=buckets))
    finally:
        if aside.exists():
            aside.rename(index)


@pytest.mark.parametrize("buckets", [256, 100, 17])
def test_curves_are_those_of_the_event_files(tmp_path: Path, buckets: int) -> None:
    file = make_run(tmp_path, events(0, STEPS))
    size = update_index(tmp_path)
    assert 0 < size <= max(2**16, file.stat().st_size // 100)
    assert (tmp_path / INDEX_FILE).stat().st_size == size
    assert load_index(tmp_path) is not None
    tags: tuple[str, ...] = (*TAGS, "none")
    assert plain(read_curves(tmp_path, tags, max_buckets=buckets)) == from_files(tmp_path, tags, buckets)
    with file.open("ab") as out:
        out.write(events(STEPS, STEPS + 777, (*TAGS, "new"), seed=1))
    tags = (*TAGS, "new", "epoch")
    assert plain(read_curves(tmp_path, tags, max_buckets=buckets)) == from_files(tmp_path, tags, buckets)
    (tmp_path / "events.out.tfevents.2").write_bytes(events(STEPS + 777, STEPS + 1000, seed=2))
    assert plain(read_curves(tmp_path, tags, max_buckets=buckets)) == from_files(tmp_path, tags, buckets)


def test_an_index_is_updated_piece_by_piece(tmp_path: Path) -> None:
    file = make_run(tmp_path, events(0, STEPS))
    covered = []
    for _ in range(6):
        update_index(tmp_path, most=2**20)
        index = load_index(tmp_path)
        assert index is not None
        covered.append(index.offsets[file])
        assert plain(read_curves(tmp_path, TAGS)) == from_files(tmp_path)
    assert covered == sorted(covered)
    assert covered[0] < covered[-1] == file.stat().st_size


CHANGES: dict[str, Callable[[Path], None]] = {
    "cut off": lambda file: os.truncate(file, file.stat().st_size - 1000),
    "written anew with the same size": lambda file: _rewrite(file, events(0, STEPS, seed=9)),
    "longer, and another one": lambda file: _rewrite(file, events(0, STEPS + 500, seed=9)),
    "one event changed in the middle": lambda file: _rewrite(
        file, file.read_bytes()[: 90 * (STEPS // 4)] + events(0, STEPS, seed=9)[90 * (STEPS // 4) :]
    ),
    "removed": lambda file: file.unlink(),
    "a file before it": lambda file: _rewrite(file.with_name("a.tfevents.0"), events(0, 10, seed=3)),
    "renamed": lambda file: _rename(file),
    "touched": lambda file: os.utime(file, (1, 1)),
}


def _rename(file: Path) -> None:
    file.rename(file.with_name("events.out.tfevents.7"))


def _rewrite(file: Path, data: bytes) -> None:
    file.write_bytes(data)
    os.utime(file, ns=(1, file.stat().st_mtime_ns + 10**9))


@pytest.mark.parametrize("change", CHANGES)
def test_an_index_of_other_files_is_not_used(tmp_path: Path, change: str) -> None:
    file = make_run(tmp_path, events(0, STEPS))
    update_index(tmp_path)
    before = load_index(tmp_path)
    assert before is not None
    CHANGES[change](file)
    assert load_index(tmp_path) is None
    assert plain(read_curves(tmp_path, TAGS)) == from_files(tmp_path)
    if change != "removed":
        assert update_index(tmp_path)
        assert load_index(tmp_path) is not None
        assert plain(read_curves(tmp_path, TAGS)) == from_files(tmp_path)


@pytest.mark.slow
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(st.data())
def test_a_damaged_index_is_as_none(data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.utime(make_run(folder, events(0, 12_000)), (1.7e9, 1.7e9))
        update_index(folder)
        good = (folder / INDEX_FILE).read_bytes()
        bad = bytearray(good)
        for _ in range(data.draw(st.integers(1, 3))):
            at = data.draw(st.integers(0, len(bad) - 1))
            kind = data.draw(st.sampled_from(["flip", "cut", "insert"]))
            if kind == "flip":
                bad[at] ^= 1 << data.draw(st.integers(0, 7))
            elif kind == "cut":
                del bad[at : at + data.draw(st.integers(1, 2000))]
            else:
                bad[at:at] = data.draw(st.binary(min_size=1, max_size=20))
        (folder / INDEX_FILE).write_bytes(bad)
        assert plain(read_curves(folder, TAGS)) == from_files(folder)


@pytest.mark.parametrize("content", [b"", b"monitor index 1\n", b"\0" * 4000, b"monitor index 1\n" + b"\xff" * 4000])
def test_what_is_no_index(tmp_path: Path, content: bytes) -> None:
    make_run(tmp_path, events(0, 100))
    (tmp_path / INDEX_FILE).write_bytes(content)
    assert current_index(tmp_path) is None
    (tmp_path / INDEX_FILE).unlink()
    os.mkfifo(tmp_path / INDEX_FILE)
    assert current_index(tmp_path) is None


def test_a_resumed_run(tmp_path: Path) -> None:
    """What a restart supersedes is in no curve, whether the restart is in the index or came after it."""
    make_run(tmp_path, events(0, STEPS))
    update_index(tmp_path)
    restart = frame(foreign.restart(15_000).SerializeToString())
    (tmp_path / "events.out.tfevents.2").write_bytes(restart + events(15_000, 16_000, seed=4))
    assert load_index(tmp_path) is not None
    assert current_index(tmp_path) is None
    assert plain(read_curves(tmp_path, TAGS)) == from_files(tmp_path)
    assert read_curves(tmp_path, TAGS).series["train/loss"].count == 16_000
    update_index(tmp_path)
    index = current_index(tmp_path)
    assert index is not None
    assert index.is_resumed
    (tmp_path / "events.out.tfevents.3").write_bytes(events(16_000, 16_500, seed=5))
    assert current_index(tmp_path) is not None
    assert plain(read_curves(tmp_path, TAGS)) == from_files(tmp_path)


def test_scalars_whose_first_value_alone_says_so(tmp_path: Path) -> None:
    """TensorFlow's old writers name the plugin of a tensor once."""
    values = [foreign.event(n, foreign.scalar("loss", n, named=n == 0)) for n in range(30_000)]
    file = foreign.write(tmp_path / "events.out.tfevents.1", *values)
    size = file.stat().st_size
    update_index(tmp_path)
    with file.open("ab") as out:
        out.writelines(frame(foreign.event(n, foreign.scalar("loss", n, named=False)).SerializeToString())
                       for n in range(30_000, 30_100))  # fmt: skip
    assert size > 2**20
    assert read_curves(tmp_path, ["loss"]).series["loss"].count == 30_100
    assert plain(read_curves(tmp_path, ("loss",))) == from_files(tmp_path, ("loss",))


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
