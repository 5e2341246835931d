"""Sweeps as a user starts them, and what they leave."""

from __future__ import annotations

import json
import re
import warnings
from typing import TYPE_CHECKING, Any

from monitor.runs.listing import RunInfo, scan
from monitor.runs.processes.process import is_alive

if TYPE_CHECKING:
    from pathlib import Path

# A trial that says when two processes run it at once, lasts as long as it is told, and logs what the sweep is about.
SCRIPT = """
import argparse, fcntl, json, os, time
from pathlib import Path
from monitor import SummaryWriter

parser = argparse.ArgumentParser()
parser.add_argument("--x", type=float)
parser.add_argument("--seconds", type=float, default=0)
parser.add_argument("--until", type=Path)
options = parser.parse_args()
trial = json.loads(os.environ["MONITOR_SWEEP"])["trial"] if "MONITOR_SWEEP" in os.environ else "none"
held = open(f"held-{trial}", "w")
try:
    fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
except BlockingIOError:
    Path("doubled").write_text(str(trial))
writer = SummaryWriter()
writer.add_scalar("loss", (options.x - 0.3) ** 2, 0)
started = time.monotonic()
while time.monotonic() - started < options.seconds or (options.until and not options.until.exists()):
    time.sleep(0.02)
writer.close()
"""


def sweep_arguments(*arguments: str) -> tuple[str, ...]:
    """Return the arguments of Python for a sweep that logs to event files."""
    return ("-m", "monitor", "sweep", *arguments, "--logdir", "runs")


def script_arguments(name: str, trials: int, *arguments: str, jobs: int = 2) -> tuple[str, ...]:
    """Return the arguments of Python for a sweep of `trial.py`, which `SCRIPT` is; `arguments` are the script's."""
    options = ["--set", "x=0.0..1.0", "--metric", "loss", "--sink", "tensorboard", "--name", name]
    return (*sweep_arguments("trial.py", *options, "--trials", str(trials), "--jobs", str(jobs)), "--", *arguments)


def finished_trials(logdir: Path) -> list[int]:
    """Return the numbers of the trials whose runs finished, one for each run, sorted."""
    return sorted(info.fields["sweep"]["trial"] for info in trial_runs(logdir) if info.status == "finished")


def trial_runs(logdir: Path) -> list[RunInfo]:
    """Return the runs of trials."""
    return [info for info in scan(logdir) if "sweep" in info.fields] if logdir.exists() else []


def stored_trials(logdir: Path, name: str) -> list[Any]:
    """Return the trials of a sweep, read with Optuna's own storage."""
    import optuna
    from optuna.storages.journal import JournalFileBackend

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        storage = optuna.storages.JournalStorage(JournalFileBackend(str(logdir / f"{name}.sweep" / "journal.log")))
        trials: list[Any] = optuna.load_study(study_name=name, storage=storage).trials
    return trials


def states(logdir: Path, name: str) -> list[str]:
    """Return the states of a sweep's trials, as Optuna has them."""
    return [trial.state.name for trial in stored_trials(logdir, name)]


def trial_pids(logdir: Path, name: str) -> list[int]:
    """Return the numbers of the processes of trials, as their claims have them, that are alive."""
    found = []
    for file in (logdir / f"{name}.sweep" / "trials").glob("*.lock"):
        match = re.search(r'"process": (\{[^}]*\})', file.read_text())
        if match and is_alive(json.loads(match[1])):
            found.append(json.loads(match[1])["pid"])
    return found
