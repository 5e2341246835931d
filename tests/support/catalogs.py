"""Log directories with many runs, and what a list of them says."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from monitor.runs.listing import scan
from monitor.runs.listing.found_runs import FoundRuns
from monitor.runs.listing.stored_fields import LISTED_PARTS
from monitor.runs.run_file import timestamp
from monitor.testing import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from monitor.runs.listing.run_info import RunInfo


SETTINGS = "from monitor.runs.listing import found_runs as f\nf.MIN_RUNS, f.MIN_CHANGES, f.SETTLED_S = 5, 1, 0.0\n"


def write(folder: Path, **fields: Any) -> Path:
    """Write the `run.json` of a run that finished."""
    folder.mkdir(parents=True, exist_ok=True)
    metrics = {"test/loss": {"last": 0.5, "step": 9, "best": 0.25, "best_step": 5, "goal": "min"}}
    whole = {
        "name": folder.name, "status": "finished", "start": timestamp(1e9), "end": timestamp(1e9 + 5),
        "config": {"lr": 0.1, "model": {"depth": 3}, "db_password": "x"}, "metrics": metrics, "command": ["a", "ä"],
        "progress": {"step": 9}, "path": "theirs",
        "sweep": {"name": "s", "trial": 1, "metric": "test/loss", "goal": "min", "values": {}}, **fields,
    }  # fmt: skip
    (folder / "run.json").write_text(json.dumps(whole))
    return folder


def make(logdir: Path, count: int = 12) -> Path:
    """Write some runs, and wait until their files count as settled."""
    for number in range(count):
        write(logdir / f"r{number:03}", seed=number)
    settle(logdir)
    return logdir


def settle(folder: Path) -> None:
    """Wait until the clock of the file system has gone on, so that the next change has another time."""
    probe, before = folder.parent / "probe", time.time_ns()

    def is_later() -> bool:
        probe.write_text("")
        return probe.stat().st_ctime_ns > before and time.time_ns() > probe.stat().st_ctime_ns

    wait_until(is_later, 10, "a later time")


def shown(runs: list[RunInfo]) -> list[Any]:
    """Return what lists show of runs."""
    return [(run.name, run.status_text, run.problem, run.config, run.metrics, dict(run.fields)) for run in runs]


def truth(logdir: Path) -> list[Any]:
    """Return what the `run.json` files say."""
    return shown(sorted(scan(logdir), key=lambda run: run.name))


def listed(logdir: Path, parts: int = LISTED_PARTS) -> list[Any]:
    """Return what a list says that uses the catalog and writes it."""
    found = FoundRuns(logdir)
    runs = shown(found(parts))
    found.save()
    return runs
