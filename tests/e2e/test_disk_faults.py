"""What a run survives on its disk: each fault is done to a real file system."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import threading
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from monitor import Logger, Run
from monitor.runs.run_file import read_run_file
from monitor.sinks.tensorboard import TensorBoardSink
from monitor.testing import wait_until
from tests.support import event_reader

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.fault_records import RecordFault


@pytest.fixture
def file_size_limit() -> Iterator[Callable[[int | None], None]]:
    """Let files grow no further than a size: the kernel refuses the rest, as it does on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

    def limit(size: int | None) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (before[0] if size is None else size, before[1]))

    yield limit
    limit(None)
    signal.signal(signal.SIGXFSZ, handler)


@pytest.fixture
def tmpfs(tmp_path: Path) -> Iterator[Path]:
    """Mount a file system of 256 kB."""
    folder = tmp_path / "small"
    folder.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)], capture_output=True, text=True
    )
    if done.returncode:
        pytest.skip(f"a file system can be mounted by root alone: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [r.getMessage() for r in caplog.records if r.levelname == "WARNING" and "tensorboard" in r.getMessage()]


def goes_through_a_fault(
    log: Logger, begin: Callable[[], None], end: Callable[[], None], caplog: pytest.LogCaptureFixture
) -> int:
    """Log before, during and after a fault; nothing may be missing, torn or doubled, and it is told once.

    Returns the number of values that were found.
    """
    for step in range(1000):
        log.scalar("a", float(step), step)
    assert log.flush()
    begin()
    for step in range(1000, 30_000):
        log.scalar("a", float(step), step)
    wait_until(lambda: log.stats().sinks["tensorboard"].retries >= 2)
    assert log.stats().sinks["tensorboard"].pending > 0
    assert len(told(caplog)) == 1, told(caplog)
    whole = [step for step, _ in event_reader.series(log.run.path, "a")]
    assert whole == list(range(len(whole))), "torn or doubled while the disk is full"
    end()
    for step in range(30_000, 31_000):
        log.scalar("a", float(step), step)
    assert log.flush(20)
    assert log.close()
    found = event_reader.series(log.run.path, "a")
    assert found == [(step, float(step)) for step in range(31_000)]
    assert len(told(caplog)) == 1
    return len(found)


def test_a_file_that_may_not_grow(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    file_size_limit: Callable[[int | None], None],
    record_fault: RecordFault,
) -> None:
    log = Logger(tmp_path / "run", ["tensorboard"])
    found = goes_through_a_fault(log, lambda: file_size_limit(200_001), lambda: file_size_limit(None), caplog)
    record_fault("file size limit", logged=31_000, found=found)


def test_a_full_disk(tmpfs: Path, caplog: pytest.LogCaptureFixture, record_fault: RecordFault) -> None:
    def grow() -> None:
        subprocess.run(["mount", "-o", "remount,size=64m", str(tmpfs)], check=True)

    found = goes_through_a_fault(Logger(tmpfs / "run", ["tensorboard"]), partial(fill, tmpfs), grow, caplog)
    record_fault("disk full", logged=31_000, found=found)


def fill(folder: Path) -> None:
    """Take the last byte of a file system."""
    with (folder / f"ballast{len(list(folder.iterdir()))}").open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(4096))


def test_a_disk_that_stays_full_leaves_room_for_how_the_run_ended(tmpfs: Path) -> None:
    log = Logger(tmpfs / "run", ["tensorboard"], record="none", close_timeout=0.5)
    log.scalar("a", 0.0, 0)
    assert log.flush()
    fill(tmpfs)
    for step in range(1, 30_000):
        log.scalar("a", float(step), step)
    assert not log.flush(0.5)
    fill(tmpfs)  # what a failed write may have left
    assert not log.close()
    with pytest.raises(OSError, match="No space"):
        (tmpfs / "probe").write_bytes(b"1")
    fields = read_run_file(log.run.path)
    stats = log.stats().sinks["tensorboard"]
    assert (fields["status"], fields["incomplete"]) == ("finished", {"tensorboard": stats.pending})
    assert fields["logged"]["tensorboard"]["delivered"] == 2
    assert list(log.run.path.glob(".run.json*")) == []


def test_a_disk_that_becomes_read_only(
    tmpfs: Path, caplog: pytest.LogCaptureFixture, record_fault: RecordFault
) -> None:
    log = Logger(tmpfs / "run", ["tensorboard"])
    subprocess.run(["mount", "-o", "remount,size=64m", str(tmpfs)], check=True)

    def freeze() -> None:
        (file,) = log.run.path.glob("events.*")
        with file.open("rb") as reading:  # a file that is open for writing would keep the disk writable
            os.dup2(reading.fileno(), descriptor_of(file))
        subprocess.run(["mount", "-o", "remount,ro", str(tmpfs)], check=True)

    found = goes_through_a_fault(log, freeze, lambda: _mount_rw(tmpfs), caplog)
    record_fault("disk read-only", logged=31_000, found=found)


def descriptor_of(file: Path) -> int:
    """Return the descriptor under which this process has a file open for writing."""
    for link in Path("/proc/self/fdinfo").iterdir():
        target = Path("/proc/self/fd") / link.name
        if target.exists() and target.readlink() == file and int(link.read_text().split()[3], 8) & os.O_ACCMODE:
            return int(link.name)
    raise AssertionError(f"{file} is not open")


def _mount_rw(folder: Path) -> None:
    subprocess.run(["mount", "-o", "remount,rw", str(folder)], check=True)


def test_a_directory_that_is_removed_comes_back_whole(tmp_path: Path, record_fault: RecordFault) -> None:
    import shutil

    with Logger(tmp_path / "run", ["tensorboard"]) as log:
        for step in range(100):
            log.scalar("a", float(step), step)
        assert log.flush()
        shutil.rmtree(tmp_path / "run")
        log.scalar("a", 100.0, 100)
        assert log.flush()
        found = event_reader.series(tmp_path / "run", "a")
        assert found == [(step, float(step)) for step in range(101)]
    assert json.loads((tmp_path / "run" / "run.json").read_text())["status"] == "finished"
    record_fault("directory removed", logged=101, found=len(found))


def test_no_file_descriptors_left(tmp_path: Path, caplog: pytest.LogCaptureFixture, record_fault: RecordFault) -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    taken: list[int] = []
    exhausted = threading.Event()

    class Waiting(TensorBoardSink):
        def open(self, run: Run) -> None:
            assert exhausted.wait(60)
            super().open(run)

    log = Logger(tmp_path / "run", [Waiting()])
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (100, before[1]))
        try:
            while True:
                taken.append(os.dup(0))
        except OSError:
            exhausted.set()
        for step in range(100):
            log.scalar("a", float(step), step)
        wait_until(lambda: log.stats().sinks["tensorboard"].retries >= 2)
        assert len(told(caplog)) == 1
    finally:
        for number in taken:
            os.close(number)
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    assert log.close()
    found = event_reader.series(log.run.path, "a")
    assert found == [(step, float(step)) for step in range(100)]
    record_fault("no file descriptors", logged=100, found=len(found))
