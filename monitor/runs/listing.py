"""The runs of a log directory, as their `run.json` tell of them; no event file is read."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from monitor.runs import process
from monitor.errors import DataError
from monitor.metrics import sort_key
from monitor.runs.run import RUN_FILE, read_run_file

HEARTBEAT_TIMEOUT_S = 30.0  # seconds without a heartbeat after which a run of another machine is lost
STARTUP_S = 5.0  # seconds in which a run may not have written its first word yet
COLUMNS = ("name", "status", "epoch", "epochs", "step", "steps", "start", "duration", "age", "error", "path")


@dataclass(frozen=True)
class RunInfo:
    """One run: `fields` are those of `run.json`; `status` is the true one, which that file cannot know.

    `status` is running, finished, failed, interrupted, killed, stopped, lost (its process is gone without a word) or
    damaged (`run.json` cannot be read; `error` says why).
    """

    name: str
    path: Path
    status: str
    fields: Mapping[str, Any]
    error: str | None
    now: float

    @property
    def config(self) -> dict[str, Any]:
        """The settings."""
        return _mapping(self.fields.get("config"))

    @property
    def metrics(self) -> dict[str, dict[str, Any]]:
        """By tag: `last` with its `step`, and, where a metric has a goal, `best` with its `best_step`."""
        found = {tag: _mapping(entry) for tag, entry in _mapping(self.fields.get("metrics")).items()}
        return {tag: found[tag] for tag in sorted(found, key=sort_key)}

    @property
    def progress(self) -> dict[str, Any]:
        """`step` and, where the run told it, `steps`, `epoch` and `epochs`."""
        return _mapping(self.fields.get("progress"))

    @property
    def age(self) -> float | None:
        """Seconds since the run began."""
        start = seconds(self.fields.get("start"))
        return None if start is None else max(0.0, self.now - start)

    @property
    def duration(self) -> float | None:
        """Seconds that it has run, as far as is known, without what lies between two lives of a resumed run."""
        start = seconds(self.fields.get("resumed") or self.fields.get("start"))
        end = seconds(self.fields.get("end")) or seconds(self.fields.get("heartbeat"))
        if self.status == "running":
            end = self.now
        spent = self.fields.get("spent")
        earlier = float(spent) if isinstance(spent, int | float) else 0.0
        return None if start is None or end is None else earlier + max(0.0, end - start)

    def look_up(self, name: str) -> Any:
        """Return the value of a name: a column, a setting, a metric's last, `best:METRIC` or `config:SETTING`."""
        if name.startswith(("epoch", "step")) and name in COLUMNS:
            return self.progress.get(name)
        if name in COLUMNS:
            return self.fields.get(name) if name == "start" else getattr(self, name)
        kind, _, rest = name.partition(":")
        if kind in ("best", "last") and rest:
            return number(self.metrics.get(rest, {}).get(kind))
        if kind == "config" and rest:
            return self.config.get(rest)
        if name in self.config:
            return self.config[name]
        return number(self.metrics.get(name, {}).get("last"))

    def names(self) -> set[str]:
        """Return the names that `look_up` knows of this run."""
        tags = self.metrics
        return {*COLUMNS, *self.config, *(f"config:{key}" for key in self.config), *tags} | {
            f"{kind}:{tag}" for tag in tags for kind in ("best", "last")
        }


def load(path: Path, name: str | None = None) -> RunInfo:
    """Read one run; a damaged one is returned as such."""
    now = time.time()
    name = path.name if name is None else name
    try:
        fields = read_run_file(path)
    except DataError as error:
        return RunInfo(name, path, "damaged", {}, str(error), now)
    said = fields.get("error")
    return RunInfo(name, path, status_of(fields, now), fields, str(said) if said is not None else None, now)


def scan(logdir: Path) -> Iterator[RunInfo]:
    """Yield the runs under `logdir`, at any depth, in the order of their names."""
    for folder, below, files in os.walk(logdir):
        below.sort()
        if RUN_FILE in files:
            below.clear()
            path = Path(folder)
            if not _is_being_made(path / RUN_FILE):
                yield load(path, str(path.relative_to(logdir)) if path != logdir else path.name)


def status_of(fields: Mapping[str, Any], now: float) -> str:
    """Return the true status of a run whose `run.json` holds `fields`."""
    status = str(fields.get("status") or "damaged")
    if status != "running":
        return status
    alive = process.is_alive(fields.get("process"))
    if alive is None:  # of another machine: its clock may differ by little
        beat = seconds(fields.get("heartbeat") or fields.get("start"))
        alive = beat is not None and now - beat <= HEARTBEAT_TIMEOUT_S
    return "running" if alive else "lost"


def number(value: Any) -> Any:
    """Return a number of `run.json`, where NaN and infinity are text."""
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return value
    return value


def seconds(stamp: Any) -> float | None:
    """Return an ISO time as seconds since the epoch; None for what is none."""
    try:
        return datetime.fromisoformat(stamp).timestamp()
    except (TypeError, ValueError):
        return None


def order(runs: list[RunInfo], by: str) -> list[RunInfo]:
    """Sort by a name that `look_up` knows, downwards with a `-` before it; runs that have no such thing come last."""
    down, name = by.startswith("-"), by.removeprefix("-")
    having = [run for run in runs if _has(run.look_up(name))]
    numbers = all(isinstance(run.look_up(name), int | float) for run in having)
    having.sort(key=lambda run: run.look_up(name) if numbers else str(run.look_up(name)), reverse=down)
    return having + [run for run in runs if not _has(run.look_up(name))]


def _has(value: Any) -> bool:
    return value is not None and not (isinstance(value, float) and math.isnan(value))


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _is_being_made(file: Path) -> bool:
    try:
        known = file.stat()
    except OSError:
        return False
    return known.st_size == 0 and time.time() - known.st_mtime < STARTUP_S
