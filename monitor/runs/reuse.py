"""Log to a directory as it is: nothing is renamed, and what earlier processes left there stays.

For loggers of foreign scripts, whose directories are named by the script. `Run` alone never shares a directory.
"""

from __future__ import annotations

import os
import time
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

from monitor.events.files import event_files
from monitor.runs.listing import STARTUP_S, load
from monitor.runs.processes import process
from monitor.runs.run import Run, process_fields
from monitor.runs.run_file import RUN_FILE, timestamp
from monitor.runs.scripts.script_session import is_held_by_supervisor
from monitor.runs.status import RunStatus
from monitor.runs.trials.trial import sweep_field

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_LIVES = 100  # that are kept in `run.json`
_owned: WeakValueDictionary[str, Run] = WeakValueDictionary()  # the runs of this process, by directory


def reuse(directory: str | os.PathLike[str]) -> Run:
    """Return a run that logs to `directory`, whatever is there.

    It takes over a `run.json` that is there, unless the run is going on: in another process, or in this one under
    another logger. Then the run that is returned has `is_written=False`, so that the status of the other one stays
    true. The `monitor run` of this process hands its run over. Blocks while it reads and writes `run.json`. Raises
    `OSError`.
    """
    path = Path(directory)
    path.mkdir(parents=True, exist_ok=True)
    fields = _claim(path)
    run = Run(path, previous=fields or {}, is_written=False)
    run.is_resumed = False
    if fields is not None:
        run.is_written = True
        run.update(**{**_process_fields(os.getpid()), **sweep_field(), "heartbeat": timestamp(time.time())})
        _owned[str(path.resolve())] = run
    return run


def take_over(directory: str | os.PathLike[str], config: Mapping[str, Any]) -> Run | None:
    """Return the run in `directory` if the `monitor run` of this process keeps it and nobody has logged to it.

    Its settings become `config`, as JSON holds them, and its seed the one in there. Returns None for any other
    directory. Raises `OSError`.
    """
    path = Path(directory)
    fields = load(path).fields
    is_used = fields.get("config") or fields.get("metrics") or event_files(path)
    if is_used or not is_held_by_supervisor(fields):
        return None
    settings = {"config": dict(config), "seed": config.get("seed", fields.get("seed"))}
    run = Run(directory, previous={**fields, **settings})
    run.is_resumed = False
    return run


def _claim(path: Path) -> dict[str, Any] | None:
    """Return the fields of `run.json` to go on with; None if somebody else logs to the directory."""
    now = timestamp(time.time())
    fresh: dict[str, Any] = {"name": path.resolve().name, "start": now, "seed": None, "config": {}}
    try:
        (path / RUN_FILE).open("x").close()
        return fresh
    except FileExistsError:
        pass
    info = load(path)
    if info.status is RunStatus.DAMAGED:
        found = (path / RUN_FILE).stat()
        is_starting = found.st_size == 0 and time.time() - found.st_mtime < STARTUP_S
        return None if is_starting else fresh
    is_ours = info.fields.get("process") == process.identity()
    is_handed_on = is_held_by_supervisor(info.fields)
    if info.status is RunStatus.RUNNING and not is_handed_on:
        own = _owned.get(str(path.resolve()))
        if not is_ours or (own is not None and own.status is RunStatus.RUNNING):
            return None
    fields = fresh | dict(info.fields)
    if not is_ours and not is_handed_on:
        life = {"status": info.status, "error": info.fields.get("error"), "until": info.fields.get("end")}
        lives = [*(info.fields.get("lives") or []), life][-MAX_LIVES:]
        fields |= {"resumed": now, "spent": info.duration or 0.0, "lives": lives}
    return fields


@lru_cache(1)
def _process_fields(_pid: int) -> dict[str, Any]:
    """Return what `run.json` says about this process; asking git takes some milliseconds, so it is asked once."""
    return process_fields()
