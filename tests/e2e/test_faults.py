"""What a run survives: SIGKILL, and sinks that misbehave."""

from __future__ import annotations

import random
import threading
import time
from functools import partial
from typing import TYPE_CHECKING

import pytest

from monitor import Logger, SinkError
from monitor.sinks.memory import MemorySink
from monitor.testing import wait_until
from tests.support import event_reader

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from monitor.records import Record
    from tests.support.fault_records import RecordFault
    from tests.support.processes import Process, Start


KILLS = 20

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


@pytest.mark.slow
@pytest.mark.xdist_group("timing")
def test_a_killed_run_loses_at_most_its_last_second(tmp_path: Path, start: Start, record_fault: RecordFault) -> None:
    """Twenty runs, five at a time, each killed at a random moment of its life."""
    chance = random.Random(7)
    moments = [chance.uniform(0.2, 2.5) for _ in range(KILLS)]
    for first in range(0, KILLS, 5):
        group = []
        for number in range(first, min(first + 5, KILLS)):
            process = start("-c", LOGS_A_THOUSAND_A_SECOND, str(tmp_path / f"run{number}"))
            group.append((number, _Tail(process)))
        for number, tail in group:
            tail.wait_for_age(moments[number])
            found, must = tail.kill(tmp_path / f"run{number}")
            assert found >= must, f"killed after {moments[number]:.2f} s"
            record_fault("SIGKILL", logged=must, found=min(must, found))


# What a worker draws for seconds: one large picture, many photos, large photos, a large matrix.
PICTURES = {
    "photos": "log.images('p', np.random.randint(0, 256, (256, 3, 224, 224), np.uint8), step)",
    "large photos": "log.images('p', np.random.randint(0, 256, (64, 3, 512, 512), np.uint8), step)",
    "large matrix": "log.confusion_matrix('c', np.random.randint(0, 100, (1000, 1000)), step)",
}


@pytest.mark.slow
@pytest.mark.xdist_group("timing")
@pytest.mark.parametrize("picture", PICTURES)
def test_pictures_hold_up_no_scalars(tmp_path: Path, start: Start, record_fault: RecordFault, picture: str) -> None:
    """Three runs, each killed while it draws pictures that take seconds."""
    script = LOGS_A_THOUSAND_A_SECOND.replace("import sys", "import numpy as np, sys").replace(
        "    step += 1\n", f"    step += 1\n    if step % 200 == 1: {PICTURES[picture]}\n"
    )
    for number, moment in enumerate((1.5, 2.0, 2.5)):
        process = start("-c", script, str(tmp_path / f"run{number}"))
        tail = _Tail(process)
        tail.wait_for_age(moment)
        found, must = tail.kill(tmp_path / f"run{number}")
        assert found >= must > 0, f"{found} of {must}, killed after {moment} s"
        record_fault("SIGKILL", logged=must, found=min(must, found))


class _Tail:
    """What a process prints, as it comes."""

    def __init__(self, process: Process) -> None:
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

    def wait_for_age(self, seconds: float) -> None:
        """Wait until the first line is as old as that."""
        wait_until(lambda: self.lines and time.time() - self.lines[0][1] > seconds, 60, "the moment of the kill")

    def kill(self, run: Path) -> tuple[int, int]:
        """Kill the process; return how many points are in the file, in order, and how many must be."""
        self._process.kill()
        killed = time.time()
        self._process.wait()
        self.thread.join()
        found = event_reader.series(run, "a")
        assert found == [(step, float(step)) for step in range(len(found))]
        return len(found), max((step for step, when in self.lines if when <= killed - 1.0), default=0)


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


def has_points(sink: MemorySink, count: int) -> bool:
    return len(sink.series("a")) >= count


WAITING = ("hangs", "sleeps")
FAULTS = [*WAITING, "raises", "raises at every third call", "raises at close"]


@pytest.mark.xdist_group("timing")
@pytest.mark.parametrize(
    ("bad", "strict"),
    [
        *(pytest.param(fault, False, marks=[pytest.mark.slow] if fault in WAITING else []) for fault in FAULTS),
        ("raises", True),
    ],
    indirect=["bad"],
)
def test_a_bad_sink_is_alone_with_its_trouble(
    tmp_path: Path, bad: Bad, strict: bool, record_fault: RecordFault
) -> None:
    good = MemorySink()
    log = Logger(tmp_path / "run", ["tensorboard", bad, good], strict=strict)
    took = []
    for step in range(3000):
        began = time.perf_counter()
        log.scalar("a", float(step), step)
        took.append(time.perf_counter() - began)
        if step % 300 == 0:
            wait_until(partial(has_points, good, step), 60)  # several batches, not one
    assert sorted(took)[int(len(took) * 0.99)] < 1e-3
    began = time.monotonic()
    complete = bad.fault in ("sleeps", "raises at close")
    if strict and not complete:
        with pytest.raises(SinkError, match="bad: "):
            log.close(timeout=5)
    else:
        closed = log.close(timeout=5)
        if bad.fault == "raises at every third call":  # what it refuses comes again in halves
            complete = log.stats().sinks["bad"].failed == 0
        assert closed == complete
    assert time.monotonic() - began < 6
    stats = log.stats().sinks
    assert good.series("a") == [(step, float(step)) for step in range(3000)]
    found = event_reader.series(log.run.path, "a")
    assert found == [(step, float(step)) for step in range(3000)]
    record_fault("another sink fails", logged=3000, found=len(found))
    s = stats["bad"]
    assert s.logged == s.delivered + s.pending + s.dropped + s.failed == 3001
    assert (s.delivered == 3001) == complete
    if bad.fault == "raises at every third call":
        assert bad.calls > 3
        assert s.failed < 100
        assert s.delivered == len(bad.records)
