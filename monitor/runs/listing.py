"""The runs of a log directory, as their `run.json` files describe them; no event file is read."""

from __future__ import annotations

import math
import os
import time
from collections import deque
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from monitor.errors import DataError
from monitor.metrics import sort_key
from monitor.runs.run_file import RUN_FILE, parse_number, parse_time, read_run_file
from monitor.runs.run_html import run_html
from monitor.runs.settings.convert import read_settings
from monitor.runs.status import RunStatus, true_status

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

STARTUP_S = 5.0  # for this long, an empty `run.json` is a run that is just starting
MAX_NESTED_DEPTH = 4  # levels below a run where another one is found
MAX_FOLDERS_WITHOUT_RUN = 1000  # that the search below a run looks into in a row
COLUMNS = (
    "name",
    "status",
    "epoch",
    "epochs",
    "step",
    "steps",
    "start",
    "duration",
    "age",
    "error",
    "path",
    "tags",
    "notes",
)


@dataclass(frozen=True)
class RunInfo:
    """One run of a log directory.

    Attributes:
        name: its path below the log directory.
        path: the run directory.
        status: its true status, which `run.json` alone cannot know; `LOST` if its process died without a word,
            `DAMAGED` if `run.json` cannot be read.
        fields: the fields of `run.json`.
        error: why it ended, or why it cannot be read.
        now: when it was read, in seconds since the epoch.
    """

    name: str
    path: Path
    status: RunStatus
    fields: Mapping[str, Any]
    error: str | None
    now: float

    @property
    def status_text(self) -> str:
        """The status, with a star if a durable sink is missing records."""
        return f"{self.status}*" if self.fields.get("incomplete") else str(self.status)

    @property
    def problem(self) -> str | None:
        """Why the run did not finish, or what it is missing."""
        incomplete = self.fields.get("incomplete") or {}
        missing = [
            f"{count:,} {'record is' if count == 1 else 'records are'} not in {sink}"
            for sink, count in incomplete.items()
        ]
        error = [self.error] if self.error and self.status != RunStatus.FINISHED else []
        return "; ".join([*error, *missing]) or None

    @cached_property
    def config(self) -> dict[str, Any]:
        """The settings by their full names, such as `model.layers`."""
        return read_settings(self.fields.get("config") or {})

    @property
    def metrics(self) -> dict[str, dict[str, Any]]:
        """By tag: `last` with its `step` and, for a metric with a goal, `best` with its `best_step`."""
        entries = self.fields.get("metrics") or {}
        return {tag: entries[tag] for tag in sorted(entries, key=sort_key)}

    @property
    def progress(self) -> dict[str, Any]:
        """`step` and, if the run logged its progress, `steps`, `epoch` and `epochs`."""
        return self.fields.get("progress") or {}

    @property
    def tags(self) -> str:
        """The tags, with commas between them."""
        return ", ".join(self.fields.get("tags") or [])

    @property
    def notes(self) -> str:
        """The texts of the notes, with semicolons between them."""
        return "; ".join(str(note.get("text")) for note in self.fields.get("notes") or [])

    @property
    def age(self) -> float | None:
        """Seconds since the run started."""
        start = parse_time(self.fields.get("start"))
        return None if start is None else max(0.0, self.now - start)

    @property
    def duration(self) -> float | None:
        """Seconds that it has been running, without the time between the processes of a resumed run."""
        start = parse_time(self.fields.get("resumed") or self.fields.get("start"))
        end = parse_time(self.fields.get("end")) or parse_time(self.fields.get("heartbeat"))
        if self.status == RunStatus.RUNNING:
            end = self.now
        earlier = self.fields.get("spent") or 0.0
        return None if start is None or end is None else float(earlier + max(0.0, end - start))

    def _repr_html_(self) -> str:
        """Return a table of status, metrics, and settings, for a notebook."""
        return run_html(self.name, {**self.fields, "status": self.status_text, "error": self.problem})

    def look_up(self, name: str) -> Any:
        """Return the value of a column, a setting, a metric's last value, `best:METRIC` or `config:SETTING`."""
        if name.startswith(("epoch", "step")) and name in COLUMNS:
            return self.progress.get(name)
        if name in COLUMNS:
            return self.fields.get(name) if name == "start" else getattr(self, name)
        kind, _, rest = name.partition(":")
        if kind in ("best", "last") and rest:
            return parse_number(self.metrics.get(rest, {}).get(kind))
        if kind == "config" and rest:
            return self.config.get(rest)
        if name in self.config:
            return self.config[name]
        return parse_number(self.metrics.get(name, {}).get("last"))

    def names(self) -> set[str]:
        """Return the names that `look_up` knows for this run."""
        tags = self.metrics
        return {*COLUMNS, *self.config, *(f"config:{key}" for key in self.config), *tags} | {
            f"{kind}:{tag}" for tag in tags for kind in ("best", "last")
        }


def load(path: Path, name: str | None = None) -> RunInfo:
    """Read one run; a damaged one is returned with that status."""
    now = time.time()
    name = path.name if name is None else name
    try:
        fields = read_run_file(path)
    except DataError as error:
        return RunInfo(name, path, RunStatus.DAMAGED, {}, str(error), now)
    heartbeat = parse_time(fields.get("heartbeat") or fields.get("start"))
    status = true_status(fields, now, heartbeat, path / RUN_FILE)
    return RunInfo(name, path, status, fields, fields.get("error"), now)


def scan(logdir: Path) -> Iterator[RunInfo]:
    """Yield the runs under `logdir`, in name order.

    They may be at any depth, and one may be in the directory of another, up to four levels below it. The search below
    a run ends at 1,000 directories in a row without another one: a run may have a whole data set in its directory.
    """
    for path in sorted(_run_folders(logdir), key=lambda found: found.parts):
        if not _is_being_made(path / RUN_FILE):
            yield load(path, str(path.relative_to(logdir)) if path != logdir else path.name)


@dataclass
class _Nested:
    """The search below a run."""

    folders_left: int = MAX_FOLDERS_WITHOUT_RUN


def _run_folders(logdir: Path) -> Iterator[Path]:
    """Yield the directories with a `run.json`, the upper ones first. No link is followed."""
    waiting: deque[tuple[str, int, _Nested | None]] = deque([(os.fspath(logdir), 0, None)])
    while waiting:
        folder, depth, nested = waiting.popleft()  # depth: below the run whose search this is
        if nested is not None and not nested.folders_left:
            continue
        is_run, below = _look_into(folder)
        if is_run:
            yield Path(folder)
            if nested is not None:
                nested.folders_left = MAX_FOLDERS_WITHOUT_RUN
            depth, nested = 0, _Nested()
        elif nested is not None:
            nested.folders_left -= 1
        if nested is None:
            waiting.extend((entry.path, 0, None) for entry in below)
        elif depth < MAX_NESTED_DEPTH:
            waiting.extend((entry.path, depth + 1, nested) for entry in below if not entry.name.startswith("."))


def _look_into(folder: str) -> tuple[bool, list[os.DirEntry[str]]]:
    """Return whether a directory has a `run.json`, and the directories in it, sorted by name."""
    is_run, below = False, []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    below.append(entry)
                elif entry.name == RUN_FILE:
                    is_run = True
    except OSError:  # it is gone, or not ours to read
        pass
    return is_run, sorted(below, key=lambda entry: entry.name)


def sort_runs(runs: list[RunInfo], by: str) -> list[RunInfo]:
    """Sort by a name that `look_up` knows, descending if it starts with `-`; runs without a value come last."""
    descending, name = by.startswith("-"), by.removeprefix("-")
    with_value = [run for run in runs if _has_value(run.look_up(name))]
    numeric = all(isinstance(run.look_up(name), int | float) for run in with_value)
    with_value.sort(key=lambda run: run.look_up(name) if numeric else str(run.look_up(name)), reverse=descending)
    return with_value + [run for run in runs if not _has_value(run.look_up(name))]


def _has_value(value: Any) -> bool:
    return value is not None and not (isinstance(value, float) and math.isnan(value))


def _is_being_made(file: Path) -> bool:
    try:
        stat = file.stat()
    except OSError:
        return False
    return stat.st_size == 0 and time.time() - stat.st_mtime < STARTUP_S
