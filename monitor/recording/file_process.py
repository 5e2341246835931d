"""Record git's state and the packages in a process of the lowest priority.

On a thread, it would hold the interpreter while the training starts; with a normal priority, it would delay a training
that uses all cores.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from monitor.machine.priority import OWN_GROUP, give_lowest_priority
from monitor.recording.packages import known_packages, package_list, remember_packages, write_packages

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from monitor.recording.options import RecordOptions

POLL_INTERVAL_S, TIMEOUT_S, CANCEL_TIMEOUT_S = 0.1, 300.0, 0.5
# The path is that of the training, whatever made it so.
SCRIPT = """
import json, sys
task = json.loads(sys.argv[1])
sys.path[:] = task["path"]
from monitor.recording.file_process import record_in_this_process
record_in_this_process(task)
"""


def record_files(
    directory: Path,
    folders: list[str],
    options: RecordOptions,
    is_cancelled: Callable[[], bool],
    is_urgent: Callable[[], bool] = lambda: False,
) -> dict[str, Any]:
    """Write what `options` ask for into `directory`; return what `run.json` says about it. Raises `OSError`.

    Blocks while the other process works, which takes long if the training leaves no processor time; or until
    `is_cancelled`, and then returns what there is. Once it `is_urgent`, the work starts again with a normal priority.
    """
    packages = known_packages() if options.packages else None
    task = {
        "path": sys.path,
        "parent": os.getpid(),
        "directory": str(directory),
        "folders": folders if options.git else [],
        "git": options.git,
        "packages": options.packages and packages is None,
    }
    found: dict[str, Any] = {}
    if task["git"] or task["packages"]:
        found = _result(_run(task, is_cancelled, is_urgent) if sys.executable else None)
        if not found and not is_cancelled():  # a program without an interpreter of its own
            found = _result(json.dumps(part) for part in _parts(task, is_cancelled))
    if "package_list" in found:
        packages = found.pop("package_list")
        remember_packages(packages)
    if packages is not None:
        found |= write_packages(directory, packages)
    return found


def _result(lines: Iterable[str] | None) -> dict[str, Any]:
    """Put the parts together. Raises `OSError` with the text of an error in the other process."""
    found: dict[str, Any] = {}
    for line in lines or ():
        found |= json.loads(line)
    if "error" in found:
        raise OSError(found["error"])
    return found


def _run(task: dict[str, Any], is_cancelled: Callable[[], bool], is_urgent: Callable[[], bool]) -> list[str] | None:
    """Return the lines that the other process printed, or None if it failed."""
    if not is_urgent():
        lines, is_whole = _run_once(task, lambda: is_cancelled() or is_urgent(), give_lowest_priority)
        if is_whole or is_cancelled():
            return lines
    return _run_once(task, is_cancelled, lambda _pid: None)[0]


def _run_once(
    task: dict[str, Any], is_over: Callable[[], bool], prepare: Callable[[int], None]
) -> tuple[list[str] | None, bool]:
    """Return the lines, and whether the process ended by itself."""
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", SCRIPT, json.dumps(task)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        **OWN_GROUP,
    )
    output = b""
    try:
        prepare(process.pid)
        deadline = time.monotonic() + TIMEOUT_S
        while not is_over() and time.monotonic() < deadline:
            with suppress(subprocess.TimeoutExpired):
                output, _ = process.communicate(timeout=POLL_INTERVAL_S)
                return None if process.returncode else output.decode().splitlines(), True
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            output, _ = process.communicate(timeout=CANCEL_TIMEOUT_S)
        return output.decode().splitlines(), False
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()


def record_in_this_process(task: dict[str, Any]) -> None:
    """Print one line of JSON for each part of the task, until SIGTERM or the end of the training."""
    is_over: list[bool] = []
    signal.signal(signal.SIGTERM, lambda *_: is_over.append(True))
    try:
        for part in _parts(task, lambda: bool(is_over) or os.getppid() != task["parent"]):
            print(json.dumps(part), flush=True)
    except OSError as error:
        print(json.dumps({"error": str(error)}), flush=True)


def _parts(task: dict[str, Any], is_cancelled: Callable[[], bool]) -> Iterable[dict[str, Any]]:
    from pathlib import Path

    if task["git"]:
        from monitor.recording.git_state import record_code

        yield record_code(task["folders"], Path(task["directory"]), is_cancelled)
    if task["packages"] and not is_cancelled():
        yield {"package_list": package_list()}
