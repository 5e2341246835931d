"""However a run ends, everything is delivered: in real processes."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.support import event_reader

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.fault_records import RecordFault
    from tests.support.processes import Start


ENDS = {
    "ctrl-c": ("os.kill(os.getpid(), signal.SIGINT)", -signal.SIGINT, "interrupted"),
    "exception": ("raise ZeroDivisionError('here')", 1, "failed"),
    "sys.exit": ("sys.exit(3)", 3, "failed"),
    "sys.exit 0": ("sys.exit()", 0, "finished"),
    "the end": ("pass", 0, "finished"),
    "closed twice": ("log.close(); log.close()", 0, "finished"),
}
ENDING = """
import os, signal, sys
from monitor import Logger
def loop(log):
    for step in range(5000):
        log.scalar("a", float(step), step)
    {end}
"""
CLOSED = ENDING + "with Logger(sys.argv[1], ['tensorboard']) as log: loop(log)\n"
NEVER_CLOSED = ENDING + "log = Logger(sys.argv[1], ['tensorboard'])\nloop(log)\n"


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("script", [CLOSED, NEVER_CLOSED], ids=["closed", "never closed"])
def test_every_end_delivers_everything(
    tmp_path: Path, start: Start, script: str, end: str, record_fault: RecordFault
) -> None:
    code, status, says = ENDS[end]
    fresh = script is NEVER_CLOSED and end in ("ctrl-c", "exception", "the end")  # an interpreter's own ends
    process = start("-c", script.format(end=code), str(tmp_path / "run"), fresh=fresh)
    _, err = process.communicate(timeout=200)
    assert process.returncode == status, err
    assert ("Traceback" in err) == (end in ("ctrl-c", "exception")), err
    found = event_reader.series(tmp_path / "run", "a")
    assert found == [(step, float(step)) for step in range(5000)]
    fault = {"ctrl-c": "SIGINT", "exception": "exception", "sys.exit": "sys.exit", "sys.exit 0": "sys.exit"}.get(end)
    if fault or script is NEVER_CLOSED:
        record_fault(fault or "no close", logged=5000, found=len(found))
    facts = json.loads((tmp_path / "run" / "run.json").read_text())
    if not (script is NEVER_CLOSED and "exit" in end):  # an exit code is not available when the interpreter ends
        assert facts["status"] == says


LOADER = """
import os, sys, time
import torch
from monitor import Logger

class Numbers(torch.utils.data.Dataset):
    def __init__(self, log): self.log = log
    def __len__(self): return 40
    def __getitem__(self, n):
        self.log.scalar("from a worker", 1.0, n)
        if n == 39 and sys.argv[3] == "dies": os._exit(9)
        return float(n)

if __name__ == "__main__":
    with Logger(sys.argv[1], ["tensorboard"]) as log:
        how = dict(batch_size=4, num_workers=2, multiprocessing_context=sys.argv[2])
        how["persistent_workers"] = sys.argv[2] == "spawn"  # a new interpreter takes seconds to import torch
        loader = torch.utils.data.DataLoader(Numbers(log), **how)
        step = 0
        try:
            for epoch in range(2):
                for batch in loader:
                    log.scalar("a", float(batch.sum()), step)
                    step += 1
        except RuntimeError as error:  # torch's handler raises wherever the loop is
            print("loader:", error)
        except (ConnectionError, EOFError):  # the connection broke before torch was told of the end of the worker
            try:
                time.sleep(10)
            except RuntimeError as error:
                print("loader:", error)
        print("steps:", step)
"""


@pytest.mark.parametrize(
    ("method", "dies"), [("fork", "lives"), pytest.param("spawn", "lives", marks=pytest.mark.slow), ("fork", "dies")]
)
def test_a_data_loader_with_workers(
    tmp_path: Path, start: Start, method: str, dies: str, record_fault: RecordFault
) -> None:
    script = tmp_path / "loader.py"
    script.write_text(LOADER)
    process = start("-W", "ignore", str(script), str(tmp_path / "run"), method, dies)
    out, err = process.communicate(timeout=200)
    assert process.returncode == 0, err
    assert err.count("logging from a child process is ignored") >= 1
    found = event_reader.series(tmp_path / "run", "a")
    assert [step for step, _ in found] == list(range(len(found)))
    assert "from a worker" not in event_reader.read(tmp_path / "run").Tags()["scalars"]
    if dies == "lives":
        assert len(found) == 20
    else:
        assert "exited unexpectedly" in out
        steps = int(out.rpartition("steps: ")[2])
        assert steps <= len(found) <= steps + 1  # the handler may raise between the call and the count
        record_fault("data loader worker dies", logged=steps, found=min(steps, len(found)))


ONE_OF_EIGHT = """
import sys
from monitor import Logger
with Logger(sys.argv[1] + "/run", ["tensorboard"], {"number": sys.argv[2]}) as log:
    for step in range(2000):
        log.scalar("a", float(sys.argv[2]), step)
"""


@pytest.mark.slow
def test_eight_processes_get_eight_runs_of_one_name(tmp_path: Path, start: Start) -> None:
    processes = [start("-c", ONE_OF_EIGHT, str(tmp_path), str(number)) for number in range(8)]
    for process in processes:
        _, err = process.communicate(timeout=200)
        assert process.returncode == 0, err
    numbers = set()
    for run in tmp_path.iterdir():
        number = float(json.loads((run / "run.json").read_text())["config"]["number"])
        assert event_reader.series(run, "a") == [(step, number) for step in range(2000)]
        numbers.add(number)
    assert numbers == set(range(8))


SHIFTED = """
import sys, time
true, shift = time.time, 0.0
time.time = lambda: true() + shift
from monitor import Logger
with Logger(sys.argv[1], ["tensorboard"]) as log:
    for step in range(60):
        shift = (0.0, -86400.0, +86400.0)[step // 20]
        log.scalar("a", float(step), step)
        if step % 20 == 10:
            assert log.flush(5)
"""


def test_the_clock_is_set_back_and_forward(tmp_path: Path, record_fault: RecordFault) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SHIFTED, str(tmp_path / "run")], capture_output=True, text=True, timeout=200
    )
    assert done.returncode == 0, done.stderr
    found = event_reader.series(tmp_path / "run", "a")
    assert found == [(step, float(step)) for step in range(60)]
    record_fault("clock stepped", logged=60, found=len(found))
    times = [event.wall_time for event in event_reader.read(tmp_path / "run").Scalars("a")]
    assert times[25] < times[15] - 80_000 < times[45] - 160_000
