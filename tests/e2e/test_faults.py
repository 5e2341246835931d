"""What a run survives: each fault is done to a real process, file or socket."""

from __future__ import annotations

import json
import os
import random
import resource
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import pytest

from monitor import Logger, SinkError
from monitor.sinks.memory import MemorySink
from monitor.testing import wait_until
from tests.support import event_reader

if TYPE_CHECKING:
    from pathlib import Path

    from monitor.records import Record

Start = Callable[..., "subprocess.Popen[str]"]
KILLS = 20


# SIGKILL

LOGS_A_THOUSAND_A_SECOND = """
import sys, time
from monitor import Logger
log = Logger(sys.argv[1], ["tensorboard"])
start, step = time.monotonic(), 0
while True:
    log.scalar("a", float(step), step)
    step += 1
    if step % 10 == 0:
        print(step, time.time(), flush=True)
        time.sleep(max(0, start + step / 1000 - time.monotonic()))
"""


def test_a_killed_run_loses_at_most_its_last_second(tmp_path: Path, start: Start) -> None:
    """Twenty runs, five at a time, each killed at a random moment of its life."""
    chance = random.Random(7)
    moments = [chance.uniform(0.2, 2.5) for _ in range(KILLS)]
    for first in range(0, KILLS, 5):
        group = []
        for number in range(first, min(first + 5, KILLS)):
            process = start("-c", LOGS_A_THOUSAND_A_SECOND, str(tmp_path / f"run{number}"))
            group.append((number, process, _Tail(process)))
        for number, process, tail in group:
            wait_until(lambda tail=tail, n=number: tail.age() > moments[n], 30, "the moment of the kill")
            process.kill()
            killed = time.time()
            process.wait()
            tail.thread.join()
            found = event_reader.series(tmp_path / f"run{number}", "a")
            must = max((step for step, when in tail.lines if when <= killed - 1.0), default=0)
            assert [step for step, _ in found] == list(range(len(found)))
            assert all(value == step for step, value in found)
            assert len(found) >= must, f"killed after {moments[number]:.2f} s"


class _Tail:
    """What a process prints, as it comes."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.lines: list[tuple[int, float]] = []
        self._process = process
        self.thread = threading.Thread(target=self._read)
        self.thread.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.endswith("\n"):
                step, when = line.split()
                self.lines.append((int(step), float(when)))

    def age(self) -> float:
        return time.time() - self.lines[0][1] if self.lines else 0.0


# Sinks that misbehave


class Bad(MemorySink):
    """A sink with a fault in it."""

    name = "bad"
    interval = 0.05

    def __init__(self, fault: str) -> None:
        super().__init__()
        self.fault = fault
        self.calls = 0
        self.gate = threading.Event()

    def write(self, records: Sequence[Record]) -> None:
        self.calls += 1
        if self.fault == "hangs":
            self.gate.wait()
        elif self.fault == "sleeps":
            self.gate.wait(1.0)
        elif self.fault == "raises" or (self.fault == "raises at every third call" and self.calls % 3 == 0):
            raise ValueError(f"call {self.calls}")
        super().write(records)

    def close(self) -> None:
        if self.fault == "raises at close":
            raise ValueError("not closed")
        super().close()


@pytest.fixture
def bad(request: pytest.FixtureRequest) -> Iterator[Bad]:
    sink = Bad(request.param)
    yield sink
    sink.gate.set()


FAULTS = ["hangs", "sleeps", "raises", "raises at every third call", "raises at close"]


@pytest.mark.parametrize(("bad", "strict"), [*((fault, False) for fault in FAULTS), ("raises", True)], indirect=["bad"])
def test_a_bad_sink_is_alone_with_its_trouble(tmp_path: Path, bad: Bad, strict: bool) -> None:
    good = MemorySink()
    log = Logger(tmp_path / "run", ["tensorboard", bad, good], strict=strict)
    took = []
    for step in range(3000):
        began = time.perf_counter()
        log.scalar("a", float(step), step)
        took.append(time.perf_counter() - began)
        if step % 300 == 0:
            good_enough = step
            wait_until(lambda n=good_enough: len(good.series("a")) >= n, 10)  # several batches, not one
    assert sorted(took)[int(len(took) * 0.99)] < 1e-3
    began = time.monotonic()
    complete = bad.fault in ("sleeps", "raises at close")
    if strict and not complete:
        with pytest.raises(SinkError, match="bad: "):
            log.close(timeout=5)
    else:
        assert log.close(timeout=5) == complete
    assert time.monotonic() - began < 6
    stats = log.stats().sinks
    assert good.series("a") == [(step, float(step)) for step in range(3000)]
    assert event_reader.series(log.run.path, "a") == [(step, float(step)) for step in range(3000)]
    s = stats["bad"]
    assert s.logged == s.delivered + s.pending + s.dropped + s.failed == 3001
    assert (s.delivered == 3001) == complete
    if bad.fault == "raises at every third call":
        assert 0 < s.failed < 3001
        assert s.delivered == len(bad.records)


# The disk


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
) -> None:
    """Log before, during and after a fault; nothing may be missing, torn or doubled, and it is told once."""
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
    assert event_reader.series(log.run.path, "a") == [(step, float(step)) for step in range(31_000)]
    assert len(told(caplog)) == 1


def test_a_file_that_may_not_grow(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, file_size_limit: Callable[[int | None], None]
) -> None:
    log = Logger(tmp_path / "run", ["tensorboard"])
    goes_through_a_fault(log, lambda: file_size_limit(200_001), lambda: file_size_limit(None), caplog)


def test_a_full_disk(tmpfs: Path, caplog: pytest.LogCaptureFixture) -> None:
    ballast = tmpfs / "ballast"

    def fill() -> None:
        with ballast.open("wb", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(1000))
            except OSError:
                return

    def grow() -> None:
        ballast.unlink()
        subprocess.run(["mount", "-o", "remount,size=64m", str(tmpfs)], check=True)

    goes_through_a_fault(Logger(tmpfs / "run", ["tensorboard"]), fill, grow, caplog)


def test_a_disk_that_becomes_read_only(tmpfs: Path, caplog: pytest.LogCaptureFixture) -> None:
    log = Logger(tmpfs / "run", ["tensorboard"])
    subprocess.run(["mount", "-o", "remount,size=64m", str(tmpfs)], check=True)

    def freeze() -> None:
        log._pipeline.workers[0].sink._file.close()  # type: ignore[attr-defined]  # open, it keeps the disk writable
        subprocess.run(["mount", "-o", "remount,ro", str(tmpfs)], check=True)

    goes_through_a_fault(log, freeze, lambda: _mount_rw(tmpfs), caplog)


def _mount_rw(folder: Path) -> None:
    subprocess.run(["mount", "-o", "remount,rw", str(folder)], check=True)


def test_a_directory_that_is_removed_comes_back_whole(tmp_path: Path) -> None:
    import shutil

    with Logger(tmp_path / "run", ["tensorboard"]) as log:
        for step in range(100):
            log.scalar("a", float(step), step)
        assert log.flush()
        shutil.rmtree(tmp_path / "run")
        log.scalar("a", 100.0, 100)
        assert log.flush()
        assert event_reader.series(tmp_path / "run", "a") == [(step, float(step)) for step in range(101)]
    assert json.loads((tmp_path / "run" / "run.json").read_text())["status"] == "finished"


def test_no_file_descriptors_left(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    taken: list[int] = []
    log = Logger(tmp_path / "run", ["tensorboard"])
    sink = log._pipeline.workers[0].sink
    assert log.flush()
    sink._file.close()  # type: ignore[attr-defined]  # so that it has to open one
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (100, before[1]))
        try:
            while True:
                taken.append(os.dup(0))
        except OSError:
            pass
        for step in range(100):
            log.scalar("a", float(step), step)
        wait_until(lambda: log.stats().sinks["tensorboard"].retries >= 2)
        assert len(told(caplog)) == 1
    finally:
        for number in taken:
            os.close(number)
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    assert log.close()
    assert event_reader.series(log.run.path, "a") == [(step, float(step)) for step in range(100)]
