"""A parent or a child that ends before the other."""

from __future__ import annotations

import json
import logging
import os
from typing import TYPE_CHECKING

import pytest

from monitor import Logger, MemorySink
from monitor import records as r
from monitor.testing import wait_until
from tests.support.forked import in_child

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.processes import Start


GONE = "logging from this child process is ignored: the process that made the Logger has closed it, or has ended"


pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system"),
    pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning"),
]


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
