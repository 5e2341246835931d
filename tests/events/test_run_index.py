"""An index shows what the event files show, and is not used where they are no longer those it was made of."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from monitor.comparison.event_data import read_curves
from monitor.events.framing import frame
from monitor.events.index.index_update import current_index, update_index
from monitor.events.index.run_index import INDEX_FILE, load_index
from tests.support import foreign

if TYPE_CHECKING:
    from collections.abc import Callable
from tests.support.indexed_runs import STEPS, TAGS, events, from_files, make_run, plain


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
