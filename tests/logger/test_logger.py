"""What a training loop sees: snapshots, errors at the call, counts that add up, an end in good order."""

from __future__ import annotations

import json
import logging
import os
import signal
import threading
from typing import TYPE_CHECKING, Any

import pytest
import torch

from monitor import Logger, Run, SinkError
from monitor.sinks.memory import MemorySink
from monitor.testing import wait_until

if TYPE_CHECKING:
    from pathlib import Path
from tests.support.loggers import make


def test_a_mistake_in_the_loop_is_not_masked_and_fails_the_run(tmp_path: Path, sink: MemorySink) -> None:
    def loop() -> None:
        with make(tmp_path, sink) as log:
            log.scalar("a", 1.0, 0)
            raise ZeroDivisionError("in the loop")

    with pytest.raises(ZeroDivisionError, match="in the loop"):
        loop()
    assert sink.series("a") == [(0, 1.0)]
    assert sink.closed
    assert '"status": "failed"' in (tmp_path / "run" / "run.json").read_text()
    assert "ZeroDivisionError" in (tmp_path / "run" / "run.json").read_text()


def test_closing_twice_is_harmless_and_logging_afterwards_is_an_error(tmp_path: Path, sink: MemorySink) -> None:
    log = make(tmp_path, sink)
    assert log.close()
    assert log.close()
    assert log.flush()
    with pytest.raises(RuntimeError, match="this logger is closed"):
        log.scalar("a", 1.0, 0)
    with pytest.raises(RuntimeError, match="this logger is closed"):
        log.text("a", "late", 0)


def test_eight_threads_lose_nothing_and_the_counts_add_up(tmp_path: Path, sink: MemorySink) -> None:
    done = threading.Event()
    with make(tmp_path, sink, MemorySink()) as log:

        def work(number: int) -> None:
            for step in range(2000):
                log.scalar(f"t{number}", float(step), step)

        def watch() -> None:
            while not done.is_set():
                for s in log.stats().sinks.values():
                    assert s.logged == s.delivered + s.pending + s.dropped + s.failed

        threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
        watcher = threading.Thread(target=watch)
        for thread in [watcher, *threads]:
            thread.start()
        for thread in threads:
            thread.join()
        done.set()
        watcher.join()
        assert log.flush()
        stats = log.stats()
        assert set(stats.sinks) == {"memory", "memory-2"}
        for s in stats.sinks.values():
            assert (s.logged, s.delivered, s.pending, s.dropped, s.failed) == (16001, 16001, 0, 0, 0)
        assert stats.calls == 16000
        log.scalars({"t0": torch.tensor(1.0), "t1": 2.0}, 2000)
        assert log.stats().calls == 16001
    for number in range(8):
        assert sink.series(f"t{number}")[:2000] == [(step, float(step)) for step in range(2000)]


def test_what_logging_costs_one_thread_is_a_share_of_the_run(tmp_path: Path, sink: MemorySink) -> None:
    with make(tmp_path, sink) as log:
        for step in range(2000):
            log.scalar("a", float(step), step)
        assert log.stats().calls == 2000
        assert 0 < log.stats().share < 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_child_logs_nothing_and_warns_once(tmp_path: Path, sink: MemorySink) -> None:
    said = tmp_path / "child"
    with make(tmp_path, sink) as log:
        log.scalar("a", 1.0, 0)
        pid = os.fork()
        if pid == 0:
            logging.getLogger("monitor").addHandler(logging.FileHandler(said))
            log.scalar("a", 2.0, 1)
            log.scalar("a", 3.0, 2)
            log.close()
            os._exit(0)
        os.waitpid(pid, 0)
        log.scalar("a", 4.0, 3)
    assert sink.series("a") == [(0, 1.0), (3, 4.0)]
    assert said.read_text().count("logging from a child process is ignored") == 1


def test_strict_raises_what_a_sink_could_not_deliver(tmp_path: Path) -> None:
    class Bad(MemorySink):
        def write(self, records: Any) -> None:
            super().write(records)
            raise KeyError("no place")

    log = make(tmp_path, Bad(), strict=True)
    log.scalar("a", 1.0, 0)
    with pytest.raises(SinkError, match=r"memory: 2 of 2 records not delivered .*KeyError: 'no place'"):
        log.close()
    calm = make(tmp_path, Bad())
    assert not calm.close()


def test_the_fifteen_lines_of_the_readme_take_a_run_object(tmp_path: Path, sink: MemorySink) -> None:
    run = Run(tmp_path / "mine", {"lr": 0.5})
    with Logger(run, [sink]) as log:
        log.scalar("a", 1.0, 0)
    assert sink.run is run
    with pytest.raises(TypeError, match="config goes with a directory"):
        Logger(Run(tmp_path / "other"), [], config={})


def test_a_sinks_worker_delivers_by_itself(tmp_path: Path, sink: MemorySink) -> None:
    with make(tmp_path, sink) as log:
        log.scalar("a", 1.0, 0)
        wait_until(lambda: sink.series("a"), 60, "delivery without a flush")


def test_the_first_cause_of_a_broken_off_close_is_kept(tmp_path: Path) -> None:
    """A close that a signal's exception breaks off goes on at the second call, with the reason of the first."""

    class Hanging(MemorySink):
        def __init__(self) -> None:
            super().__init__()
            self.gate = threading.Event()

        def write(self, records: Any) -> None:
            self.gate.wait()
            super().write(records)

    def leave(number: int, _frame: object) -> None:
        raise SystemExit(128 + number)

    sink = Hanging()
    log = make(tmp_path, sink)
    log.scalar("a", 1.0, 0)
    before = signal.signal(signal.SIGALRM, leave)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.3)
        with pytest.raises(SystemExit):
            log.close(timeout=30, status="failed", error="another process of the job is gone")
    finally:
        signal.signal(signal.SIGALRM, before)
    sink.gate.set()
    assert log.close(status="killed", error="SIGTERM")
    fields = json.loads((log.run.path / "run.json").read_text())
    assert (fields["status"], fields["error"]) == ("failed", "another process of the job is gone")
