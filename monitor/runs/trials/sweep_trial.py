"""What a trial of `monitor sweep` knows about its sweep, through the environment, and what it tells the sweep."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from monitor.errors import DataError
from monitor.runs.run_file import RUN_FILE, read_run_file
from monitor.runs.run_schema import CHECKS

if TYPE_CHECKING:
    from collections.abc import Mapping

SWEEP_VARIABLE = "MONITOR_SWEEP"  # the field `sweep` of the trial's runs as JSON, and `folder`, the sweep's own
FIELDS = ("name", "trial", "metric", "goal", "values")
TRIALS_FOLDER = "trials"  # in the sweep's folder: what its trials leave there


def sweep_field() -> dict[str, Any]:
    """Return `{"sweep": …}` for the `run.json` of a run that a trial starts; nothing outside a sweep."""
    known = _from_environment()
    return {} if known is None else {"sweep": {name: known[name] for name in FIELDS}}


def note_run(directory: Path) -> None:
    """Tell the sweep, if there is one, that its trial logs to a run in `directory`."""
    known = _from_environment()
    if known is not None and isinstance(known.get("folder"), str):
        line = json.dumps(os.path.abspath(directory)) + "\n"  # noqa: PTH100 - keeps links as they are
        with suppress(OSError):  # the folder is gone
            descriptor = os.open(
                runs_path(Path(known["folder"]), known["trial"]), os.O_WRONLY | os.O_APPEND | os.O_CREAT
            )
            try:
                os.write(descriptor, line.encode())
            finally:
                os.close(descriptor)


def runs_path(folder: Path, trial: int) -> Path:
    """Return the file in which a trial notes its runs, one line of JSON each."""
    return folder / TRIALS_FOLDER / f"{trial}.runs"


def earlier_attempt(directory: Path) -> Path | None:
    """Return `directory` if an earlier process of the same trial has left its run there, which goes on; else None."""
    known = _from_environment()
    if known is None or not (directory / RUN_FILE).is_file():
        return None
    with suppress(DataError):
        left: Mapping[str, Any] = read_run_file(directory).get("sweep") or {}
        if (left.get("name"), left.get("trial")) == (known["name"], known["trial"]):
            return directory
    return None


def _from_environment() -> dict[str, Any] | None:
    try:
        known = json.loads(os.environ.get(SWEEP_VARIABLE) or "null")
    except ValueError:
        return None
    return known if CHECKS["sweep"](known) else None
