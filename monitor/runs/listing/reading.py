"""Read the runs of a log directory, as their `run.json` files describe them; no event file is read."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from monitor.errors import DataError
from monitor.runs.listing import walk
from monitor.runs.listing.run_info import RunInfo
from monitor.runs.run_file import RUN_FILE, parse_time, read_with_stat
from monitor.runs.status import RunStatus, true_status

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

STARTUP_S = 5.0  # for this long, an empty `run.json` is a run that is just starting


def load(path: Path, name: str | None = None) -> RunInfo:
    """Read one run; a damaged one is returned with that status."""
    return read_run(os.fspath(path), path.name if name is None else name, time.time())[0]


def read_run(folder: str, name: str, now: float) -> tuple[RunInfo, os.stat_result | None]:
    """Return what `load` does, and what the file was like right before it was read; None for a damaged run."""
    try:
        fields, found = read_with_stat(folder)
    except DataError as error:
        return RunInfo(name, folder, RunStatus.DAMAGED, {}, str(error), now), None
    return RunInfo(name, folder, status_of(fields, now, found.st_mtime), fields, fields.get("error"), now), found


def status_of(fields: Mapping[str, Any], now: float, file_time: float) -> RunStatus:
    """Return the true status of a run; looks for its process if `run.json` says that it is running.

    `now`, and the time at which `run.json` was written, are in seconds since the epoch.
    """
    return true_status(fields, now, parse_time(fields.get("heartbeat") or fields.get("start")), file_time)


def scan(logdir: Path) -> Iterator[RunInfo]:
    """Yield the runs under `logdir`, in name order.

    They may be at any depth, and one may be in the directory of another, see `walk.walk`.
    """
    found = walk.walk(os.fspath(logdir), walk.look_into)
    paths = [Path(path) for path, folder in found if folder.is_run]
    for path in sorted(paths, key=lambda path: path.parts):
        info = load(path, str(path.relative_to(logdir)) if path != logdir else path.name)
        if not is_being_made(info):
            yield info


def is_being_made(info: RunInfo) -> bool:
    """Tell whether a run that seems damaged is just starting: its `run.json` is new and still empty."""
    if info.status is not RunStatus.DAMAGED:
        return False
    try:
        found = (info.path / RUN_FILE).stat()
    except OSError:
        return False
    return found.st_size == 0 and time.time() - found.st_mtime < STARTUP_S
