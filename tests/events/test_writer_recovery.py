"""What the writer reports as written is in the directory at the end, whatever happened to it in between.

Each fault is done to real files. Every point must be there once, and in order.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from monitor.events import event_file
from monitor.events.files import event_files
from monitor.events.framing import FrameReader
from monitor.events.writer import EventFileWriter
from monitor.testing import wait_until
from tests.support.blocked_paths import block

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from monitor.machine.files import FileRange


class Points:
    """A writer of numbered events, which says what was written and reads everything back."""

    def __init__(self, directory: Path, suffix: str = "") -> None:
        self.directory = directory
        self.writer = EventFileWriter(directory, suffix)
        self.places: dict[int, tuple[FileRange, bytes]] = {}
        self.count = 0

    def add(self, count: int) -> None:
        from monitor.events.framing import frame

        for number in range(self.count, self.count + count):
            framed = frame(b"point %d " % number + b"." * (number * 7 % 301))

            def on_written(place: FileRange, number: int = number, framed: bytes = framed) -> None:
                self.places[number] = place, framed

            self.writer.add_framed(framed, on_written)
        self.count += count

    def write(self, count: int) -> None:
        """Add events and flush them."""
        self.add(count)
        self.writer.flush()

    def found(self) -> list[int]:
        """Return the numbers of the events in the directory, in the order in which TensorBoard reads them."""
        data = [event for path in event_files(self.directory) for event in FrameReader(path).frames()]
        return [int(event.split()[1]) for event in data if event.startswith(b"point ")]

    def check(self) -> None:
        """Check that each event is there once, in order, at the place that was reported."""
        assert self.found() == list(range(self.count))
        assert sorted(self.places) == list(range(self.count))
        for reported, framed in self.places.values():
            place = self.writer.place_now(reported)
            with place.path.open("rb") as file:
                file.seek(place.offset)
                assert file.read(place.length) == framed


@pytest.fixture
def points(tmp_path: Path) -> Iterator[Points]:
    made = Points(tmp_path / "logs" / "run")
    made.write(50)
    yield made
    made.writer.close()
    made.check()


@pytest.mark.parametrize("new_one", ["removed", "renamed"])
def test_a_directory_that_is_moved_aside_and_back(points: Points, new_one: str) -> None:
    run, aside = points.directory, points.directory.with_name("aside")
    run.rename(aside)
    points.write(100)  # into a new directory
    if new_one == "removed":
        shutil.rmtree(run)
    else:
        run.rename(run.with_name("new"))
    aside.rename(run)
    points.write(50)
    points.check()


def test_a_directory_that_comes_back_after_the_last_point(points: Points) -> None:
    """Nothing is logged anymore: the check while idle, or the one at the close, must find it."""
    run, aside = points.directory, points.directory.with_name("aside")
    run.rename(aside)
    points.write(100)
    shutil.rmtree(run)
    aside.rename(run)
    points.writer.close()
    points.check()


def test_an_idle_writer_notices_a_directory_that_is_gone(points: Points) -> None:
    shutil.rmtree(points.directory)

    def is_whole() -> bool:
        points.writer.flush()
        return points.found() == list(range(50))

    wait_until(is_whole, 60, "the file")
    points.check()


def test_a_directory_that_is_away_between_two_flushes(points: Points) -> None:
    """Nothing happens to a file that is where it was."""
    run, aside = points.directory, points.directory.with_name("aside")
    before = [path.stat() for path in event_files(run)]
    run.rename(aside)
    aside.rename(run)
    points.write(50)
    points.check()
    assert [path.stat().st_ino for path in event_files(run)] == [file.st_ino for file in before]


def test_a_copy_that_is_put_back(points: Points) -> None:
    """A copy from a backup is older, or complete; either way it is another file."""
    copy = points.directory.with_name("copy")
    shutil.copytree(points.directory, copy)
    points.write(50)
    for _ in range(2):
        shutil.rmtree(points.directory)
        copy.rename(points.directory)
        points.write(50)
        points.check()
        shutil.copytree(points.directory, copy)


def test_a_share_that_is_unmounted_and_mounted_again(share: Callable[[bool], None], tmp_path: Path) -> None:
    points = Points(tmp_path / "logs" / "run")
    points.write(50)
    for _ in range(2):
        share(False)
        points.write(100)  # into the folder below the mount
        share(True)
        points.write(50)
        points.check()
    points.writer.close()
    points.check()


@pytest.mark.parametrize("in_the_way", ["a file", "a link to nowhere"])
def test_a_directory_that_cannot_be_made_again_for_a_while(points: Points, in_the_way: str) -> None:
    shutil.rmtree(points.directory)
    block(points.directory, in_the_way)
    points.add(100)
    for _ in range(3):
        with pytest.raises(OSError, match="run"):
            points.writer.flush()
    assert len(points.places) == 50
    points.directory.unlink()
    points.writer.flush()
    points.check()


@pytest.mark.parametrize("suffix", ["", ".rank1"])
@pytest.mark.parametrize(
    "theirs", ["a file", "our beginning and theirs", "ours and theirs", "appended", "nothing", "a directory"]
)
def test_another_writer_s_file_has_our_name(tmp_path: Path, theirs: str, suffix: str) -> None:
    from monitor.events.framing import frame

    points = Points(tmp_path / "run", suffix)
    points.write(50)
    (path,) = event_files(points.directory)
    content = path.read_bytes()
    cut = points.places[20][0].offset
    foreign = {
        "a file": frame(b"theirs"),
        "our beginning and theirs": content[:cut] + frame(b"point"[::-1] * 100),
        "ours and theirs": content + frame(b"theirs") * 3,
        "appended": content + frame(b"theirs"),
        "nothing": b"",
    }.get(theirs)
    if theirs != "appended":  # that one is written into our own file
        path.unlink()
    if foreign is None:
        path.mkdir()
    else:
        path.write_bytes(foreign)
    points.write(50)
    points.check()
    assert foreign is None or path.read_bytes()[: len(foreign)] == foreign
    assert all(file.name.endswith(suffix) for file in event_files(points.directory))
    if foreign:
        assert path.read_bytes() == foreign, "another writer's file was written"
    points.write(50)
    points.check()
    path.unlink() if foreign is not None else path.rmdir()
    points.writer.close()
    if theirs != "our beginning and theirs":
        points.check()
    else:
        assert points.found() == list(range(points.count))


def test_all_files_come_back(points: Points) -> None:
    """After a fault there may be several files; each of them is looked after."""
    (first,) = event_files(points.directory)
    first.unlink()
    first.mkdir()
    points.write(50)
    (second,) = event_files(points.directory)
    content = second.read_bytes()
    second.unlink()
    second.write_bytes(content[: points.writer.place_now(points.places[70][0]).offset] + b"another program's")
    points.write(50)
    shutil.rmtree(points.directory)
    points.write(50)
    points.check()


def test_a_file_system_whose_descriptors_are_dead(points: Points) -> None:
    """As after the forced end of a network share: what was open cannot be read, but its files are there again."""
    (path,) = event_files(points.directory)
    replace_descriptor(path)
    path.rename(path.with_name("old"))
    shutil.copy(path.with_name("old"), path)
    path.with_name("old").unlink()
    points.write(50)
    points.check()


def test_content_that_is_gone_is_told_and_does_not_stop_the_rest(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    points = Points(tmp_path / "run")
    points.write(50)
    (path,) = event_files(points.directory)
    replace_descriptor(path)
    path.unlink()
    points.write(50)
    assert points.found() == list(range(50, 100))
    assert "bytes are gone with their file system" in caplog.text
    points.writer.close()


def replace_descriptor(path: Path) -> None:
    """Make the descriptor that this process has of a file one that cannot be read."""
    for link in list(Path("/proc/self/fd").iterdir()):
        if link.exists() and link.readlink() == path:
            dead = os.open(os.devnull, os.O_WRONLY)
            os.dup2(dead, int(link.name))
            os.close(dead)


def test_large_files_are_compared_in_pieces(points: Points, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_file, "PIECE_BYTES", 64)
    test_a_directory_that_is_moved_aside_and_back(points, "removed")


def test_pending_pieces_share_a_write(points: Points) -> None:
    """The kernel counts the calls of this thread."""
    points.add(200)
    before = write_calls()
    points.writer.flush()
    assert write_calls() - before <= 2
    points.check()


def write_calls() -> int:
    lines = Path("/proc/thread-self/io").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("syscw")).split()[1])
