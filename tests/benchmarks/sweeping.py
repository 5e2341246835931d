"""What `monitor sweep` adds to its trials: processes of one second each, on two jobs."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.benchmarks.measure import Row

TRIALS, JOBS, SECONDS = 64, 2, 1.0
MAX_RATIO = 1.15  # of the ideal time
# The process ends a second after it began, so what it imports is a part of that second.
SCRIPT = f"""
import argparse, time
import psutil
end = psutil.Process().create_time() + {SECONDS}
parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float)
lr = parser.parse_args().lr
import monitor
with monitor.Logger() as log:
    step = 0
    while time.time() < end:
        log.scalar("train/loss", lr / (step + 1), step)
        time.sleep(0.01)
        step += 1
    log.scalar("test/loss", lr, step)
"""
ENGINE_ALONE = """
import subprocess, sys
from concurrent.futures import ThreadPoolExecutor
def start(trial):
    subprocess.run([sys.executable, sys.argv[1], "--lr", "0.1"], stdout=subprocess.DEVNULL, check=True)
with ThreadPoolExecutor(int(sys.argv[2])) as pool:
    list(pool.map(start, range(int(sys.argv[3]))))
"""


def rows() -> list[Row]:
    """Run a sweep, and the same processes without one, as many at a time."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        script = folder / "trial.py"
        script.write_text(SCRIPT)
        (folder / "alone").mkdir()
        alone = [sys.executable, "-c", ENGINE_ALONE, str(script), str(JOBS), str(TRIALS)]
        bare = _seconds(alone, folder / "alone")
        command = [sys.executable, "-m", "monitor", "sweep", str(script), "--set", "lr=log:1e-4..1e-1", "--trials",
                   str(TRIALS), "--jobs", str(JOBS), "--metric", "test/loss", "--sink", "tensorboard"]  # fmt: skip
        ours = _seconds(command, folder)
        runs = len(list(folder.glob("runs/*/run.json")))
    assert runs == TRIALS, runs
    ideal = TRIALS * SECONDS / JOBS
    return [
        Row(
            f"`monitor sweep` of {TRIALS} trials on {JOBS} jobs, each a script whose process takes {SECONDS:.0f} s by "
            "itself, imports included; from the start of the command to its end, versus the sum of those seconds",
            f"≤ {MAX_RATIO} × the ideal time",
            f"{ours / ideal:.3f} × ({ours:.1f} s versus {ideal:.0f} s); the same processes without a sweep take "
            f"{bare / ideal:.3f} × ({bare:.1f} s)",
            ours <= MAX_RATIO * ideal,
        )
    ]


def _seconds(command: list[str], folder: Path) -> float:
    environment = {**os.environ, "MONITOR_RECORD": "all"}
    began = time.perf_counter()
    subprocess.run(
        command, cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True
    )
    return time.perf_counter() - began
