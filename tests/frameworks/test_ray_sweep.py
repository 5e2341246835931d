"""`monitor sweep --engine ray`: the same sweeps on Ray, whose schedulers end bad trials early."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from monitor.testing import wait_until
from tests.support.sweeps import finished_trials, trial_runs

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.timeout(500), pytest.mark.xdist_group("ray")]
TIMEOUT_S = 400

# A trial whose loss falls to what `x` says, as long as the file `go` is not there, or 12 steps.
SCRIPT = """
import argparse, time
from pathlib import Path
from monitor import SummaryWriter

parser = argparse.ArgumentParser()
parser.add_argument("--x", type=int)
options = parser.parse_args()
writer = SummaryWriter()
for step in range(100):
    writer.add_scalar("loss", options.x + 1 / (step + 1), step)
    writer.flush()
    time.sleep(0.2)
    if step >= 12 and (options.x == 0 or Path("go").exists()):
        break
writer.close()
"""


def start_sweep(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "monitor", "sweep", *arguments]
    with (folder / "out").open("a") as file:
        environment = {**os.environ, "RAY_AUTH_MODE": "disabled"}
        return subprocess.Popen(command, cwd=folder, stdout=file, stderr=file, text=True, env=environment)


def test_bad_trials_end_early_and_a_killed_sweep_goes_on(tmp_path: Path) -> None:
    (tmp_path / "trial.py").write_text(SCRIPT)
    options = ["--metric", "loss", "--sink", "tensorboard", "--name", "s", "--engine", "ray", "--jobs", "2"]
    ray = ["--scheduler", "asha", "--cpus", "0.5"]
    first = start_sweep(tmp_path, "trial.py", "--set", "x=0..3", "--sampler", "grid", *options, *ray)
    try:
        wait_until(lambda: len(trial_runs(tmp_path / "runs")) > 0, TIMEOUT_S)
    finally:
        first.kill()
        first.wait()
    done = start_sweep(tmp_path, "--resume", "s", *ray)
    assert done.wait(TIMEOUT_S) == 0, (tmp_path / "out").read_text()
    out = (tmp_path / "out").read_text()
    runs = {info.fields["sweep"]["values"]["x"]: info for info in trial_runs(tmp_path / "runs")}
    assert sorted(runs) == [0, 1, 2, 3]
    assert runs[0].status == "finished"
    stopped = [info for info in trial_runs(tmp_path / "runs") if info.status == "stopped"]
    assert stopped, out
    assert all(info.error == "stopped by Ray's scheduler" for info in stopped)
    assert [info.fields["sweep"]["trial"] for info in runs.values() if info.status == "finished"] == finished_trials(
        tmp_path / "runs"
    )
    assert "  monitor run trial.py --x 0\n" in out
    assert len(json.loads((tmp_path / "runs" / "s.sweep" / "ray.json").read_text())) == 4
