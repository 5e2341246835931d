"""A run directory in a store: whole events in each object, each byte once, whatever fails in between."""

from __future__ import annotations

import os
import random
from typing import TYPE_CHECKING, Any

import pytest

from monitor.events.framing import FrameReader, frame
from monitor.remote.claims import to_resume
from monitor.remote.store import Store, StoreError
from monitor.remote.upload import RunUpload

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

VERSION = frame(b"\x09\x00\x00\x00\x00\x00\x00\xf0\x3f\x1a\x0dbrain.Event:2")


class Run:
    """A run directory with one event file, and its place in a store."""

    def __init__(self, spool: Path, place: Path) -> None:
        self.folder = spool / "file" / "_" / place.relative_to("/")
        self.place, self.url = place, f"file://{place}"
        self.folder.mkdir(parents=True)
        self.events = self.folder / "events.out.tfevents.0000000001.host.1.0"
        self.events.write_bytes(VERSION)
        (self.folder / "run.json").write_text('{"status": "running"}')
        self.logged = 0

    def log(self, count: int, size: int = 100) -> None:
        """Append events."""
        with self.events.open("ab") as file:
            for number in range(self.logged, self.logged + count):
                file.write(frame(b"%08d" % number + bytes(size)))
        self.logged += count

    def stored(self) -> list[int]:
        """Return the numbers of the events in the store, in the order in which they are read."""
        found = []
        for path in sorted(self.place.glob("*tfevents*")):
            reader = FrameReader(path)
            frames = list(reader.frames())
            assert b"brain.Event:2" in frames[0]
            assert not any(b"brain.Event" in data for data in frames[1:])
            found += [int(data[:8]) for data in frames[1:]]
        return found

    def names(self) -> set[str]:
        """Return the names of all objects."""
        return {str(path.relative_to(self.place)) for path in self.place.rglob("*") if path.is_file()}


class FailingStore(Store):
    """A store in which some requests fail, before or after they are done."""

    fails: Callable[[], tuple[bool, bool]] = staticmethod(lambda: (False, False))

    def _do(self, action: Callable[..., Any], *arguments: Any) -> Any:
        before, after = self.fails()
        if before:
            raise StoreError("it failed before")
        result = action(*arguments)
        if after:
            raise StoreError("it failed after")
        return result

    def put(self, *arguments: Any) -> Any:
        return self._do(super().put, *arguments)

    def put_file(self, *arguments: Any) -> Any:
        return self._do(super().put_file, *arguments)

    def create(self, *arguments: Any) -> Any:
        return self._do(super().create, *arguments)

    def get(self, *arguments: Any) -> Any:
        return self._do(super().get, *arguments)

    def remove(self, *arguments: Any) -> Any:
        return self._do(super().remove, *arguments)


@pytest.fixture
def run(spool: Path, tmp_path: Path) -> Run:
    return Run(spool, tmp_path / "store" / "a")


def test_segments_hold_whole_events_and_no_byte_goes_up_twice(run: Run) -> None:
    upload = RunUpload(run.folder, Store(run.url))
    run.log(1000)
    run.log(400, 100_000)
    run.log(1, 20 * 2**20)  # one event is larger than a segment
    run.log(10)
    with run.events.open("ab") as file:
        file.write(frame(b"%08d" % run.logged)[:-3])  # being written
    upload.step(is_final=False)
    first = {path: path.read_bytes() for path in run.place.glob("*tfevents*")}
    assert run.stored() == list(range(1411))
    assert len(first) == 4
    assert max(map(len, first.values())) < 37 * 2**20
    run.events.write_bytes(run.events.read_bytes()[: -len(frame(b"12345678")) + 3])
    run.log(5)
    upload.step(is_final=True)
    assert run.stored() == list(range(1416))
    assert first == {path: path.read_bytes() for path in first}  # nothing was written again
    assert sum(path.stat().st_size for path in run.place.glob("*tfevents*")) < run.events.stat().st_size + 1000
    assert upload.left() == 0


def test_a_torn_or_damaged_end_goes_up_as_it_is(run: Run) -> None:
    run.log(10)
    whole = run.events.read_bytes()
    run.events.write_bytes(whole + frame(b"%08d" % 10)[:-3])
    RunUpload(run.folder, Store(run.url)).step(is_final=True)
    assert run.stored() == list(range(10))
    # The run goes on in the file, as after `monitor upload` beside a training.
    run.events.write_bytes(whole)
    run.log(10)
    RunUpload(run.folder, Store(run.url)).step(is_final=True)
    assert run.stored() == list(range(20))
    run.events.write_bytes(run.events.read_bytes() + b"\xff" * 500)
    RunUpload(run.folder, Store(run.url)).step(is_final=True)
    assert any(path.read_bytes().endswith(b"\xff" * 500) for path in run.place.glob("*tfevents*"))
    assert RunUpload(run.folder, Store(run.url)).left() == 0


def test_a_file_that_was_cut_back_replaces_its_end_in_the_store(run: Run) -> None:
    upload = RunUpload(run.folder, Store(run.url))
    run.log(100)
    upload.step(is_final=True)
    run.log(100)
    upload.step(is_final=True)
    os.truncate(run.events, run.events.stat().st_size - len(frame(bytes(108))) * 50)
    run.logged = 150
    upload.step(is_final=False)
    assert run.stored() == list(range(150))
    os.truncate(run.events, len(VERSION) + len(frame(bytes(108))) * 20)
    run.logged = 20
    run.log(300, 99)  # it is longer than before, when the upload looks
    upload.step(is_final=True)
    assert run.stored() == list(range(320))


def test_other_files_follow_and_old_checkpoints_go(run: Run) -> None:
    upload = RunUpload(run.folder, Store(run.url))
    hidden = ("checkpoints/.b.pt.part", "nested/run.json", "curves.index")
    for name in ("checkpoints/a.pt", "diff.patch", "x/y.json", *hidden):
        (run.folder / name).parent.mkdir(exist_ok=True)
        (run.folder / name).write_text(name)
    (run.folder / "link").symlink_to(run.folder.parent)
    upload.step(is_final=True)
    files = {".claim", "run.json", run.events.name.replace("0000000001", "*"), "diff.patch", "x/y.json"}
    names = {name if "tfevents" not in name else run.events.name.replace("0000000001", "*") for name in run.names()}
    assert names == files | {"checkpoints/a.pt"}
    (run.folder / "checkpoints/a.pt").unlink()
    (run.folder / "checkpoints/c.pt").write_bytes(bytes(2**18))
    (run.folder / "diff.patch").write_text("changed")
    upload.step(is_final=True)
    assert "checkpoints/a.pt" not in run.names()
    assert (run.place / "checkpoints/c.pt").stat().st_size == 2**18
    assert (run.place / "diff.patch").read_text() == "changed"
    assert upload.left() == 0


@pytest.mark.parametrize("seed", range(8))
def test_whatever_fails_nothing_is_lost_and_nothing_is_there_twice(run: Run, seed: int) -> None:
    """Requests fail before and after they are done, processes are killed, and the file is cut back, at random."""
    chance = random.Random(seed)
    store = FailingStore(run.url)
    store.fails = lambda: (chance.random() < 0.3, chance.random() < 0.3)
    upload = RunUpload(run.folder, store)
    for _ in range(60):
        what = chance.random()
        if what < 0.5:
            run.log(chance.randrange(1, 50))
        elif what < 0.6:
            cut = chance.randrange(run.logged + 1)
            os.truncate(run.events, len(VERSION) + len(frame(bytes(108))) * cut)
            run.logged = cut
        elif what < 0.8:
            upload = RunUpload(run.folder, store)  # as another process finds it
        (run.folder / "run.json").write_text(f'{{"logged": {run.logged}}}')
        try:
            upload.step(is_final=chance.random() < 0.5)
        except StoreError:
            upload.disconnected()
    store.fails = lambda: (False, False)
    RunUpload(run.folder, store).step(is_final=True)
    assert run.stored() == list(range(run.logged))
    assert (run.place / "run.json").read_text() == f'{{"logged": {run.logged}}}'


def test_a_store_that_lost_everything_gets_it_again(run: Run) -> None:
    upload = RunUpload(run.folder, Store(run.url))
    run.log(100)
    upload.step(is_final=True)
    for name in run.names():
        (run.place / name).unlink()
    run.log(100)
    (run.folder / "checkpoint.pt").write_text("what was logged before goes first")
    os.utime(run.folder / "checkpoint.pt", (1, 1))
    upload.step(is_final=False)  # nobody has noticed it
    assert run.stored() == list(range(100, 200))
    upload.step(is_final=True)
    assert run.stored() == list(range(200))


def test_a_place_of_another_run_is_left_alone(run: Run, tmp_path: Path) -> None:
    run.log(10)
    RunUpload(run.folder, Store(run.url)).step(is_final=True)
    other = Run(tmp_path / "other machine", run.place)
    other.log(3)
    before = run.names()
    with pytest.raises(StoreError, match="belongs to another run"):
        RunUpload(other.folder, Store(run.url)).step(is_final=True)
    assert run.names() == before
    assert run.stored() == list(range(10))


def test_a_run_goes_on_on_another_machine(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    upload = RunUpload(run.folder, Store(run.url))
    run.log(100)
    (run.folder / "checkpoints").mkdir()
    (run.folder / "checkpoints/a.pt").write_bytes(b"weights")
    upload.step(is_final=True)
    monkeypatch.setenv("MONITOR_SPOOL", str(tmp_path / "another spool"))
    folder = to_resume(run.url)
    assert folder.is_relative_to(tmp_path / "another spool")
    assert (folder / "checkpoints/a.pt").read_bytes() == b"weights"
    assert to_resume(run.url) == folder
    later = folder / "events.out.tfevents.9999999990.other.1.0"
    later.write_bytes(VERSION + b"".join(frame(b"%08d" % n + bytes(100)) for n in range(100, 150)))
    second = RunUpload(folder, Store(run.url))
    second.step(is_final=True)
    assert run.stored() == list(range(150))
    # The first machine is back, and has something that was never uploaded.
    run.log(1)
    upload.disconnected()
    with pytest.raises(StoreError, match="continued on another machine"):
        upload.step(is_final=True)
    monkeypatch.setenv("MONITOR_SPOOL", str(run.folder.parents[len(run.place.parts)]))
    with pytest.raises(ValueError, match="has records that it lacks"):
        to_resume(run.url)
    run.folder.rename(run.folder.with_name("kept"))
    assert len(list(to_resume(run.url).glob("*tfevents*"))) == len(list(run.place.glob("*tfevents*")))
