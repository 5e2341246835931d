"""The runs of a script, from outside: `run.json` tells the truth however the script's processes end."""

from __future__ import annotations

import json
import signal
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from monitor.errors import DataError
from monitor.machine.files import atomic_write
from monitor.remote.claims import release
from monitor.runs.processes import process
from monitor.runs.resume import record_end
from monitor.runs.run_file import RUN_FILE, parse_time, read_run_file, timestamp
from monitor.runs.scripts.script_session import RUNS_FILE
from monitor.runs.settings.masking import mask_text
from monitor.runs.status import SIGNAL_EXIT_CODES, RunStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from monitor.runs.run import Run

HEARTBEAT_INTERVAL_S = 5.0
INTERRUPTED_EXIT_CODE = 130  # by convention, 128 and the number of SIGINT
COPIED = "driver_artifacts"  # the folder of trials of Ray Tune; it copies them to its results now and then
CRASH_SIGNALS = ("SIGSEGV", "SIGABRT", "SIGBUS", "SIGFPE", "SIGILL", "SIGSYS", "SIGTRAP")


class Ending(NamedTuple):
    """How a process ended: the status for `run.json`, and why."""

    status: RunStatus
    error: str | None = None


class ScriptRuns:
    """The directories that the script's writers and loggers use; the first of them is the main run.

    Until a writer is made, the main run is the directory that was made for the script, and this process keeps its
    `run.json`. A writer of the script takes that over.

    Attributes:
        path: the directory of the main run.
    """

    def __init__(self, run: Run, folder: Path, made: Sequence[Path] = ()) -> None:
        """Take over a run that was just made.

        Args:
            run: the run.
            folder: where the script's processes announce their runs.
            made: the folders that were made for the run, above its directory, the lowest first.
        """
        self.path = run.path.absolute()
        self._announced: dict[Path, float] = {}  # with the time when a process began to use it
        self._made = made
        self._file = folder / RUNS_FILE
        self._file.touch()
        self._offset = 0
        self._finished: dict[str, Any] | None = None  # the fields of the main run when it finished and went on
        self._last_heartbeat = time.monotonic()

    @property
    def is_logged(self) -> bool:
        """Whether the script has made a writer or a logger."""
        return bool(self._announced)

    def update(self, follow: Callable[[Path], object]) -> None:
        """Read what was announced, and keep the main run current.

        `follow` is called with the directory of the main run when that is a new one, to move other files there.
        """
        for path, started in self._read_announcements():
            if not self._announced and path != self.path:
                follow(path)
                self._remove_own()
                self.path = path
            if path != self.path:
                self._give_back()
            self._announced[path] = started
        if time.monotonic() - self._last_heartbeat >= HEARTBEAT_INTERVAL_S:
            self._last_heartbeat = time.monotonic()
            self._keep_running()

    def finish(self, ending: Ending, script: int) -> None:
        """Write how the script ended into all of its runs that do not know it; call `update` before.

        `script` is the number of its process.

        A run that finished before another one began keeps its own end: the script went on to something else.
        """
        last_start = max(self._announced.values(), default=0.0)
        for path in dict.fromkeys((self.path, *self._announced)):
            with suppress(OSError, DataError):
                self._finish(path, ending, script, last_start)

    def _finish(self, path: Path, ending: Ending, script: int, last_start: float) -> None:
        fields = read_run_file(path)
        status, end = fields["status"], parse_time(fields.get("end"))
        if status == RunStatus.RUNNING:
            owner = fields.get("process") or {}
            if owner == process.identity():
                _write_end(path, fields, ending)
            elif not process.is_alive(owner):  # otherwise a process in the background goes on with it
                if ending.status == RunStatus.FINISHED and owner.get("pid") != script:
                    ending = Ending(RunStatus.LOST)  # a child of the script ended without a word
                record_end(path, fields, ending.status, ending.error)
        elif status == RunStatus.FINISHED and ending.status != status and end is not None and end >= last_start:
            _write_end(path, fields, ending)

    def _read_announcements(self) -> list[tuple[Path, float]]:
        with self._file.open("rb") as file:
            file.seek(self._offset)
            lines = file.read().splitlines(keepends=True)
        complete = [line for line in lines if line.endswith(b"\n")]
        self._offset += sum(map(len, complete))
        return [(Path(path), started) for path, started in map(json.loads, complete)]

    def _remove_own(self) -> None:
        """Remove the directory that was made for the script, which uses another one, and folders made for it alone."""
        with suppress(OSError):
            (self.path / RUN_FILE).unlink()
            release(self.path)
            self.path.rmdir()
            for folder in self._made:
                folder.rmdir()  # it fails for one that is used

    def _give_back(self) -> None:
        """Write the end of the main run that it had before it went on: another run of the script has begun."""
        finished, self._finished = self._finished, None
        with suppress(OSError, DataError):
            if finished is not None and read_run_file(self.path).get("process") == process.identity():
                _write(self.path, finished)

    def _keep_running(self) -> None:
        """Write the heartbeat of the main run, unless a writer of the script does.

        A run that has finished goes on with the script, unless it is one of several, or a trial of Ray Tune: the copy
        that Ray leaves to the user would never get its end back. One that ended otherwise keeps its end.
        """
        try:
            fields = read_run_file(self.path)
            owner = fields.get("process")
            is_ours = owner == process.identity()
            is_alone = len(self._announced) == 1 and COPIED not in self.path.parts
            goes_on = is_alone and fields["status"] == RunStatus.FINISHED
            is_orphan = fields["status"] == RunStatus.RUNNING and process.is_alive(owner) is False
            if goes_on:
                self._finished = fields
            if is_ours or goes_on or is_orphan:
                taken = {} if is_ours else {"status": RunStatus.RUNNING, "end": None, "process": process.identity()}
                _write(self.path, fields | taken | {"heartbeat": timestamp(time.time())})
        except (OSError, DataError):
            pass  # the next heartbeat tries again


def ending_of(return_code: int, folder: Path, pid: int, *, was_interrupted: bool = False) -> Ending:
    """Return how a process ended, from its return code, negative for a signal, and from what it told in `folder`.

    One that was interrupted may handle that and exit with any status, as a Lightning `Trainer` does with 1.
    """
    if return_code == 0:
        return Ending(RunStatus.FINISHED)
    if return_code < 0:
        known = -return_code in set(signal.Signals)
        name = signal.Signals(-return_code).name if known else f"signal {-return_code}"
        if name == "SIGINT":
            return Ending(RunStatus.INTERRUPTED, "KeyboardInterrupt")
        return Ending(RunStatus.FAILED if name in CRASH_SIGNALS else RunStatus.KILLED, name)
    if return_code in SIGNAL_EXIT_CODES:
        return Ending(RunStatus.KILLED, SIGNAL_EXIT_CODES[return_code])
    if return_code == INTERRUPTED_EXIT_CODE:
        return Ending(RunStatus.INTERRUPTED, f"exit status {return_code}")
    error: Any = None
    if return_code == 1:  # Python's own for an exception
        with suppress(OSError, ValueError, LookupError, TypeError):
            error = json.loads((folder / f"ending-{pid}").read_text("utf-8"))["error"]
    if isinstance(error, str):
        return Ending(RunStatus.FAILED, mask_text(error))
    return Ending(RunStatus.INTERRUPTED if was_interrupted else RunStatus.FAILED, f"exit status {return_code}")


def _write_end(path: Path, fields: dict[str, Any], ending: Ending) -> None:
    error = {} if ending.error is None else {"error": ending.error}
    _write(path, {**fields, "status": ending.status, "end": timestamp(time.time()), **error})


def _write(path: Path, fields: dict[str, Any]) -> None:
    atomic_write(path / RUN_FILE, json.dumps(fields, indent=2, ensure_ascii=False) + "\n")
