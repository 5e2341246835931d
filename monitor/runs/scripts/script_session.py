"""What a process of a script under `monitor run` knows about it, and tells it, through the environment."""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from monitor.errors import DataError
from monitor.runs.processes import process

if TYPE_CHECKING:
    from collections.abc import Mapping

FOLDER_VARIABLE = "MONITOR_RUN_SESSION"  # a folder for what the script's processes tell `monitor run`
SUPERVISOR_VARIABLE = "MONITOR_RUN_SUPERVISOR"  # the process number of `monitor run`
DIRECTORY_VARIABLE = "MONITOR_RUN_DIR"  # for a writer whose directory the script leaves to the default
STARTED_VARIABLE = "MONITOR_RUN_STARTED"  # when `monitor run` began, in seconds since the epoch
CODE_VARIABLE = "MONITOR_RUN_CODE"  # where `monitor run` was started: the script may change its working directory
ALERTS_VARIABLE = "MONITOR_ALERTS"  # rules, as a JSON list of texts
RUNS_FILE = "runs"  # in the folder: one line of JSON per run of the script, its directory and when it began

_defaults: Counter[str] = Counter()


def announce(directory: Path) -> None:
    """Tell `monitor run`, if there is one, that this process keeps the `run.json` in `directory`."""
    folder = os.environ.get(FOLDER_VARIABLE)
    if folder:
        line = json.dumps([os.path.abspath(directory), time.time()]) + "\n"  # noqa: PTH100 - keeps links as they are
        with suppress(OSError):  # `monitor run` is gone
            descriptor = os.open(os.path.join(folder, RUNS_FILE), os.O_WRONLY | os.O_APPEND)  # noqa: PTH118
            try:
                os.write(descriptor, line.encode())
            finally:
                os.close(descriptor)


def default_directory(comment: str = "") -> str | None:
    """Return a directory for a writer for which the script names none; None without `monitor run`.

    The first one is the directory of the run. Later ones are beside it, as if their writers had been made by scripts of
    their own. None is the directory of a run that an earlier script left there.
    """
    directory = os.environ.get(DIRECTORY_VARIABLE)
    if not directory:
        return None
    wanted = directory + comment
    while True:
        _defaults[wanted] += 1
        number = _defaults[wanted]
        found = wanted if number == 1 else f"{wanted}-{number}"
        if found == directory or not _is_of_earlier_script(found):
            return found


def _is_of_earlier_script(directory: str) -> bool:
    from monitor.runs.run_file import parse_time, read_run_file

    try:
        start = parse_time(read_run_file(Path(directory)).get("start"))
        return start is not None and start < float(os.environ[STARTED_VARIABLE])
    except (OSError, DataError, KeyError, ValueError):  # it is free, or not below `monitor run`
        return False


def script_run() -> Path | None:
    """Return the directory that `monitor run` has made for the script; None without `monitor run`."""
    directory = os.environ.get(DIRECTORY_VARIABLE)
    return Path(directory) if directory else None


def alerts_from_environment() -> list[str]:
    """Return the rules in `MONITOR_ALERTS`, for loggers that a framework makes and nobody passes rules to."""
    try:
        rules = json.loads(os.environ.get(ALERTS_VARIABLE) or "[]")
    except ValueError:
        return []
    return [rule for rule in rules if isinstance(rule, str)] if isinstance(rules, list) else []


def is_held_by_supervisor(fields: Mapping[str, Any]) -> bool:
    """Tell whether the `run.json` with these fields is kept by the `monitor run` of this process, which hands it on."""
    supervisor = os.environ.get(SUPERVISOR_VARIABLE, "")
    if not supervisor.isdecimal():
        return False
    try:
        return bool(fields.get("process") == process.identity(int(supervisor)))
    except OSError:
        return False
