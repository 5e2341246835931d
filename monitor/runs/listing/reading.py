"""Read the runs of a log directory, as their `run.json` files describe them; no event file is read."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from monitor.errors import DataError
from monitor.runs.listing.run_info import RunInfo
from monitor.runs.listing.walk import run_folders
from monitor.runs.run_file import RUN_FILE, parse_time, read_run_file
from monitor.runs.status import RunStatus, true_status

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

STARTUP_S = 5.0  # for this long, an empty `run.json` is a run that is just starting


def load(path: Path, name: str | None = None) -> RunInfo:
    """Read one run; a damaged one is returned with that status."""
    now = time.time()
    name = path.name if name is None else name
    try:
        fields = read_run_file(path)
    except DataError as error:
        return RunInfo(name, path, RunStatus.DAMAGED, {}, str(error), now)
    heartbeat = parse_time(fields.get("heartbeat") or fields.get("start"))
    return RunInfo(name, path, true_status(fields, now, heartbeat), fields, fields.get("error"), now)


def scan(logdir: Path) -> Iterator[RunInfo]:
    """Yield the runs under `logdir`, in name order.

    They may be at any depth, and one may be in the directory of another, up to four levels below it. The search below
    a run ends at 1,000 directories in a row without another one: a run may have a whole data set in its directory.
    """
    for path in sorted(run_folders(logdir), key=lambda found: found.parts):
        if not _is_being_made(path / RUN_FILE):
            yield load(path, str(path.relative_to(logdir)) if path != logdir else path.name)


def _is_being_made(file: Path) -> bool:
    try:
        stat = file.stat()
    except OSError:
        return False
    return stat.st_size == 0 and time.time() - stat.st_mtime < STARTUP_S
