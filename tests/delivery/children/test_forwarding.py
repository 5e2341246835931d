"""What children log through their parent arrives once and in order, however the children start and end."""

from __future__ import annotations

import logging
import os
import pickle
import signal
from typing import TYPE_CHECKING

import pytest

from monitor import Logger, MemorySink
from monitor import records as r
from monitor.testing import wait_until
from tests.support import event_reader
from tests.support.forked import in_child

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.processes import Start


pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system"),
    pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning"),
]


def kill_self() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def log_every_kind(log: Logger) -> None:
    log.scalar("one", 0.1, 0)
    log.scalars({"two": float("nan"), "three": 3.0}, 1)
    log.images("images", [[[0.0, 0.5], [1.0, 0.25]]], 2)
    log.predictions("predictions", [[[0.0]], [[1.0]]], [0, 1], [1, 1], 3, ["no", "yes"])
    log.text("text", "über <b>", 4)
    log.histogram("histogram", [1.0, float("inf"), -3.5], 5)
    log.confusion_matrix("matrix", [[5, 1], [2, 7]], 6, ["no", "yes"])
    log.curve("curve", [1, 2], [3, 4], 7, "hours", "grade", level=0.5, points=([1.5], [3.5]))
    log.curve("plain", [1, 2], [3, 4], 8)
    log.progress(1, 2, 3, 4)


def test_every_kind_of_record_is_the_same_as_if_the_parent_had_logged_it(tmp_path: Path) -> None:
    forwarded, direct = MemorySink(), MemorySink()
    with Logger(tmp_path / "direct", [direct]) as log:
        log_every_kind(log)
    with Logger(tmp_path / "forwarded", [forwarded], children="forward") as log:
        assert in_child(lambda: log_every_kind(log), kill_self) == -signal.SIGKILL
    assert len(forwarded.records) == len(direct.records) == 13
    for found, wanted in zip(forwarded.records, direct.records):
        assert type(found) is type(wanted)
        assert repr(found._replace(time=0.0)) == repr(wanted._replace(time=0.0))  # NaN is not equal to itself


METHODS = """
import multiprocessing, os, signal, sys
from monitor import Logger

def work(log, number):
    log = log[0]
    for step in range(500):
        log.scalar(f"child {number}", float(step), step)
    os.kill(os.getpid(), signal.SIGKILL)

if __name__ == "__main__":
    context = multiprocessing.get_context(sys.argv[2])
    with Logger(sys.argv[1], ["tensorboard"], children="forward") as log:
        log.scalar("a", 1.0, 0)
        children = [context.Process(target=work, args=([log], number)) for number in range(2)]
        for child in children:
            child.start()
        for child in children:
            child.join()
            assert child.exitcode == -signal.SIGKILL, child.exitcode
        log.scalar("a", 2.0, 1)
    assert log.stats().calls == 2
"""


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_nothing_is_lost_when_a_child_is_killed_right_after_its_call(tmp_path: Path, start: Start, method: str) -> None:
    script = tmp_path / "methods.py"
    script.write_text(METHODS)
    process = start("-W", "ignore", str(script), str(tmp_path / "run"), method)
    _, err = process.communicate(timeout=200)
    assert process.returncode == 0, err
    assert err == ""
    for number in range(2):
        points = event_reader.series(tmp_path / "run", f"child {number}")
        assert points == [(step, float(step)) for step in range(500)]
    assert event_reader.series(tmp_path / "run", "a") == [(0, 1.0), (1, 2.0)]


LOADER = """
import sys
import torch
from monitor import Logger

class Numbers(torch.utils.data.Dataset):
    def __init__(self, log): self.log = log
    def __len__(self): return 40
    def __getitem__(self, n):
        self.log.scalar("from a worker", float(n), n)
        return float(n)

if __name__ == "__main__":
    with Logger(sys.argv[1], ["tensorboard"], children="forward") as log:
        loader = torch.utils.data.DataLoader(
            Numbers(log), batch_size=4, num_workers=2, multiprocessing_context=sys.argv[2],
            persistent_workers=sys.argv[2] == "spawn",  # a new interpreter takes seconds to import torch
        )
        for epoch in range(2):
            for step, batch in enumerate(loader):
                log.scalar("a", float(batch.sum()), step)
"""


@pytest.mark.parametrize("method", ["fork", pytest.param("spawn", marks=pytest.mark.slow)])
def test_the_workers_of_a_data_loader(tmp_path: Path, start: Start, method: str) -> None:
    script = tmp_path / "loader.py"
    script.write_text(LOADER)
    process = start("-W", "ignore", str(script), str(tmp_path / "run"), method)
    _, err = process.communicate(timeout=200)
    assert process.returncode == 0, err
    assert "child process" not in err
    found = event_reader.series(tmp_path / "run", "from a worker")
    assert sorted(found) == sorted([(n, float(n)) for n in range(40)] * 2)


def test_eight_children_log_at_the_same_time(tmp_path: Path, start: Start) -> None:
    code = """
import os, sys
import numpy
from monitor import Logger
with Logger(sys.argv[1], ["tensorboard"], children="forward") as log:
    pids = []
    for child in range(8):
        pids.append(os.fork())
        if not pids[-1]:
            for step in range(2000):
                log.scalar(f"child {child}", float(step), step)
                if step % 500 == 0:
                    log.images(f"pictures {child}", numpy.full((4, 3, 64, 64), step % 256, "uint8"), step)
            assert log.stats().sinks["parent"][:2] == (2004, 2004)
            os._exit(0)
    for pid in pids:
        assert os.waitpid(pid, 0)[1] == 0
"""
    process = start("-W", "ignore", "-c", code, str(tmp_path / "run"))
    _, err = process.communicate(timeout=200)
    assert process.returncode == 0, err
    events = event_reader.read(tmp_path / "run")
    for child in range(8):
        points = [(event.step, event.value) for event in events.Scalars(f"child {child}")]
        assert points == [(step, float(step)) for step in range(2000)]
        assert [event.step for event in events.Images(f"pictures {child}")] == [0, 500, 1000, 1500]


@pytest.mark.slow
def test_a_grandchild_and_a_child_that_closes_and_goes_on(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    sink = MemorySink()
    with Logger(tmp_path / "run", [sink], children="forward") as log:

        def child() -> None:
            with log:
                log.scalar("a", 0.0, 0)
            log.scalar("a", 1.0, 1)  # over another connection, and still in order
            assert in_child(grandchild, kill_self) == -signal.SIGKILL
            log.scalar("a", 3.0, 3)
            assert log.close()
            assert (log.stats().calls, log.stats().sinks["parent"].delivered) == (3, 3)

        def grandchild() -> None:
            log.scalar("a", 2.0, 2)
            copy = pickle.loads(pickle.dumps(log))
            copy.scalar("copied twice", 1.0, 0)
            pickle.loads(pickle.dumps(copy)).scalar("copied twice", 2.0, 1)

        for _ in range(20):
            sink.records.clear()
            assert in_child(child) == 0
            wait_until(lambda: len(sink.of(r.Scalar)) == 6, 60, "the last record")
            assert [step for step, _ in sink.series("a") if step != 2] == [0, 1, 3]
        assert [step for step, _ in sink.series("copied twice")] == [0, 1]
        assert log.stats().calls == 0
    assert [record.message for record in caplog.records if record.levelno >= logging.WARNING] == []


def test_a_signal_handler_that_logs_in_a_child(tmp_path: Path) -> None:
    sink = MemorySink()

    def child() -> None:
        from_handler = iter(range(10**9))
        signal.signal(signal.SIGALRM, lambda *_: log.scalar("handler", 1.0, next(from_handler)))
        signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
        for step in range(20_000):
            log.scalar("loop", float(step), step)
        signal.setitimer(signal.ITIMER_REAL, 0)
        log.scalar("handled", float(next(from_handler)), 0)

    with Logger(tmp_path / "run", [sink], children="forward") as log:
        assert in_child(child, kill_self) == -signal.SIGKILL
    assert sink.series("loop") == [(step, float(step)) for step in range(20_000)]
    ((_, count),) = sink.series("handled")
    assert count > 0
    handled = sorted(step for step, _ in sink.series("handler"))  # a handler may interrupt another one
    assert handled == list(range(int(count)))
