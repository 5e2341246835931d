"""What children log through their parent arrives once and in order, however the children start and end."""

from __future__ import annotations

import inspect
import json
import logging
import os
import pickle
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from monitor import Logger, MemorySink
from monitor import records as r
from monitor.capture.null_logger import NullLogger
from monitor.delivery.children.forwarding import ForwardingLogger
from monitor.testing import wait_until
from tests.support import event_reader

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.processes import Start

GONE = "logging from this child process is ignored: the process that made the Logger has closed it, or has ended"
pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system"),
    pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning"),
]


def sockets_in_use() -> set[str]:
    """Return the names of the sockets on which loggers of this process listen to children."""
    lines = Path("/proc/net/unix").read_text().splitlines() if Path("/proc/net/unix").exists() else []
    return {line.split()[-1] for line in lines if f"training-monitor-{os.getpid()}-" in line}


def descriptors() -> set[str]:
    return {path.name for path in Path("/proc/self/fd").iterdir()}


@pytest.fixture(autouse=True)
def leaves_no_socket_and_no_descriptor_behind() -> object:
    sockets, before = sockets_in_use(), descriptors()
    yield
    wait_until(lambda: sockets_in_use() <= sockets, 60, "the end of a socket")
    assert descriptors() <= before


def in_child(action: Callable[[], None], end: Callable[[], None] = lambda: os._exit(0)) -> int:
    """Fork a child that does something and ends; return how, as `subprocess` does."""
    pid = os.fork()
    if pid == 0:
        try:
            action()
        except BaseException:
            logging.getLogger("tests").exception("in the child")
            os._exit(77)
        end()
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


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


@pytest.mark.parametrize("method", ["fork", "spawn"])
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


def test_a_child_that_outlives_the_close(tmp_path: Path) -> None:
    sink, said = MemorySink(), tmp_path / "said"
    log = Logger(tmp_path / "run", [sink], children="forward")
    pid = os.fork()
    if pid == 0:
        logging.getLogger("monitor").addHandler(logging.FileHandler(said))
        step = 0
        while log.flush():  # it is sending whenever the parent closes
            log.text("big", "x" * 100_000, step)
            step += 1
        delivered = log.stats().sinks["parent"].delivered
        log.scalar("late", 1.0, 0)
        (tmp_path / "delivered").write_text(json.dumps([delivered, log.stats().sinks["parent"].dropped]))
        os._exit(0)
    wait_until(lambda: len(sink.records) > 20, 60, "the first records")
    assert log.close()
    assert os.waitpid(pid, 0)[1] == 0
    delivered, dropped = json.loads((tmp_path / "delivered").read_text())
    assert [text.step for text in sink.of(r.Text)] == list(range(delivered))
    assert dropped == 2
    assert said.read_text() == f"{GONE}\n"

    def forked_later() -> None:
        with pytest.raises(RuntimeError, match="this logger is closed"):
            log.scalar("a", 1.0, 0)

    assert in_child(forked_later) == 0


def test_a_parent_that_is_killed(tmp_path: Path, start: Start) -> None:
    code = """
import os, signal, sys
from monitor import Logger
log = Logger(sys.argv[1], ["memory"], children="forward")
log.scalar("a", 1.0, 0)
parent = os.getpid()
if os.fork():
    signal.pause()
log.scalar("a", 2.0, 1)
os.kill(parent, signal.SIGKILL)
step = 0
while log.flush():
    log.scalar("b", 1.0, step)
    step += 1
log.images("c", [[[1.0]]], 0)
log.close()
print("done", flush=True)
os._exit(0)
"""
    process = start("-W", "ignore", "-c", code, str(tmp_path / "run"))
    out, err = process.communicate(timeout=200)
    assert out == "done\n"
    assert err.strip() == GONE


def test_a_younger_sibling_holds_no_connection_open(tmp_path: Path, start: Start) -> None:
    """A child that the parent forks later inherits its sockets, and outlives it."""
    code = """
import os, signal, sys, time
from pathlib import Path
from monitor import Logger, MemorySink
from monitor.testing import wait_until
folder, sink = Path(sys.argv[1]), MemorySink()
log = Logger(folder / "run", [sink], children="forward")
parent = os.getpid()
if os.fork():
    wait_until(lambda: sink.series("old"), 60)  # so the parent has accepted the connection
    if os.fork():
        os.kill(parent, signal.SIGKILL)
    name, other = "young", "old"
else:
    log.scalar("old", 1.0, 0)
    name, other = "old", "young"
wait_until(lambda: os.getppid() != parent, 60)
while log.flush():
    log.text(name, "x" * 10_000, 0)
(folder / name).touch()
wait_until((folder / other).exists, 60)
os._exit(0)
"""
    process = start("-W", "ignore", "-c", code, str(tmp_path))
    _, err = process.communicate(timeout=200)
    assert err.splitlines() == [GONE, GONE]


@pytest.mark.parametrize("forwarding", [True, False])
def test_every_public_name_of_a_logger_is_there(tmp_path: Path, forwarding: bool) -> None:
    with Logger(tmp_path / "run", [MemorySink()], {"lr": 0.1}, children="forward" if forwarding else "off") as log:
        copy = pickle.loads(pickle.dumps(log))
    assert type(copy) is (ForwardingLogger if forwarding else NullLogger)
    assert copy.run.config == {"lr": 0.1}
    attributes = [name for name in vars(log) if not name.startswith("_")]
    assert "run" in attributes
    assert [name for name in attributes if type(getattr(copy, name)) is not type(getattr(log, name))] == []
    for name, theirs in inspect.getmembers(Logger):
        if name.startswith("_"):
            continue
        ours = getattr(type(copy), name)
        assert type(ours) is type(theirs), name
        if isinstance(theirs, property):
            theirs, ours = theirs.fget, ours.fget
        assert inspect.signature(ours) == inspect.signature(theirs), name
    with copy as entered:
        assert entered is copy
    with pytest.raises(ValueError, match="a run cannot end as 'unheard of'"):
        copy.close(status="unheard of")


def test_what_a_forked_child_answers(tmp_path: Path) -> None:
    sink = MemorySink()
    with Logger(tmp_path / "run", [sink, "tensorboard"], children="forward") as log:
        log.scalar("a", 1.0, 0)

        def child() -> None:
            log.scalars({"a": 1.0, "b": 2.0}, 1)
            assert log.checkpoint("c.pt", 2) is False
            assert log.flush() is True
            assert log.should_stop is False
            stats = log.stats()
            assert stats.calls == 1
            assert list(stats.sinks) == ["parent"]
            assert stats.sinks["parent"][:5] == (3, 3, 0, 0, 0)
            assert log.run.is_written is False
            with pytest.raises(TypeError, match="step must be an int"):
                log.scalar("a", 1.0, "one")  # type: ignore[arg-type]

        assert in_child(child) == 0
    assert [type(record) for record in sink.records] == [r.Config, r.Scalar, r.Scalar, r.Scalar, r.Checkpoint]
    assert log.stats().calls == 1


def test_ranks_that_do_not_log_stay_silent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    with Logger(tmp_path / "run", [MemorySink()], children="forward") as log:
        assert in_child(lambda: log.scalar("a", 1.0, 0)) == 0
        assert in_child(lambda: pickle.loads(pickle.dumps(log)).scalar("a", 1.0, 0)) == 0
    assert capfd.readouterr().err == ""


def test_another_word_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="children must be 'off' or 'forward', not 'on'"):
        Logger(tmp_path / "run", [MemorySink()], children="on")
    assert not (tmp_path / "run").exists()
