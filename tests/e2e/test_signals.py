"""Every public method may be called from a signal handler, whatever it interrupts, and returns."""

from __future__ import annotations

import json
import signal
import threading
from typing import TYPE_CHECKING

import pytest

from monitor import Logger, MemorySink
from monitor.testing import wait_until
from tests.support import event_reader

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.processes import Start

# The main thread is in one method after the other while signals come.
BUSY = """
import signal, sys, time
from monitor import Logger
log = Logger(sys.argv[1], ["tensorboard", "memory"])
calls, closing = 0, False
def handler(number, frame):
    global calls
    calls += 1
    match calls % 4:
        case 0: log.stats()
        case 1 if not closing: log.scalar("handler", float(calls), calls)
        case 2: log.flush(0)
        case 3: str(log.stats())
signal.signal(signal.SIGALRM, handler)
signal.setitimer(signal.ITIMER_REAL, 0.013, 0.013)
step, end = 0, time.monotonic() + 1.5
while time.monotonic() < end:
    log.scalar("main", float(step), step)
    step += 1
    if step % 20 == 0:
        log.stats()
    if step % 200 == 0:
        log.flush()
    if step % 500 == 0:
        log.checkpoint("c", step)
closing = True
assert log.close()
signal.signal(signal.SIGALRM, signal.SIG_IGN)
stats = log.stats().sinks
print(calls, step, {name: count.missing for name, count in stats.items()})
"""

# SIGTERM closes the logger, as the guide shows, while the main thread logs, flushes, or closes.
CLOSING = """
import signal, sys
from monitor import Logger
log = Logger(sys.argv[1], ["tensorboard"])
def handler(number, frame):
    log.close(status="killed")
    print(log.stats().sinks["tensorboard"].missing, log.stats().sinks["tensorboard"].logged, flush=True)
    sys.exit(143)
signal.signal(signal.SIGTERM, handler)
print("ready", flush=True)
step = 0
while True:
    log.scalar("a", float(step), step)
    step += 1
    if step % int(sys.argv[2]) == 0:
        log.flush()
"""


@pytest.mark.slow
def test_a_signal_every_thirteen_milliseconds(tmp_path: Path, start: Start) -> None:
    process = start("-c", BUSY, str(tmp_path / "run"))
    out, err = process.communicate(timeout=200)
    assert process.returncode == 0, err
    assert "'tensorboard': 0" in out
    assert "'memory': 0" in out
    calls, steps = map(int, out.split()[:2])
    assert calls > 50
    assert event_reader.series(tmp_path / "run", "main") == [(step, float(step)) for step in range(steps)]


@pytest.mark.slow
def test_sigterm_closes_the_logger_at_any_moment(tmp_path: Path, start: Start) -> None:
    for number in range(8):
        run = tmp_path / f"run{number}"
        process = start("-c", CLOSING, str(run), str(10 ** (number % 4)))
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        wait_until(lambda run=run: list(run.glob("events*")), what="the first values on disk")  # type: ignore[misc]
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=200)
        assert process.returncode == 143, err
        missing, logged = map(int, out.split())
        assert missing == 0
        points = event_reader.series(run, "a")
        assert points == [(step, float(step)) for step in range(len(points))]
        assert len(points) == logged - 1  # and the settings
        assert json.loads((run / "run.json").read_text())["status"] == "killed"


@pytest.mark.slow
def test_a_thread_that_logs_while_another_closes_is_refused_or_delivered(tmp_path: Path) -> None:
    for round_number in range(20):
        sink = MemorySink()
        log = Logger(tmp_path / f"run{round_number}", [sink])
        accepted: list[list[float]] = [[], [], []]
        refused = threading.Barrier(4)

        def run(mine: list[float], log: Logger = log, refused: threading.Barrier = refused) -> None:
            value = 0.0
            try:
                while True:
                    log.scalar(f"{id(mine)}", value, 0)
                    mine.append(value)
                    value += 1
            except RuntimeError:
                pass  # it is closed
            refused.wait()

        threads = [threading.Thread(target=run, args=(mine,)) for mine in accepted]
        for thread in threads:
            thread.start()
        wait_until(lambda accepted=accepted: all(accepted))  # type: ignore[misc]
        assert log.close()
        refused.wait()
        for thread, mine in zip(threads, accepted):
            thread.join()
            assert [value for _, value in sink.series(f"{id(mine)}")] == mine
        assert log.stats().sinks["memory"].missing == 0


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("CRITICAL", "monitor")
