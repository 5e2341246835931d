"""The run directory: event files, and `run.json` with everything that tells one run from another."""

from __future__ import annotations

import logging
import os
import socket
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from monitor.errors import DataError
from monitor.metrics import Goals
from monitor.remote.claims import claim
from monitor.remote.urls import is_url, spool_path, url_of
from monitor.runs.jsonable import to_jsonable
from monitor.runs.processes import process
from monitor.runs.processes.environment import git_revision, versions
from monitor.runs.run_file import RUN_FILE, read_run_file, timestamp, write_run_file
from monitor.runs.run_html import run_html
from monitor.runs.scripts.script_session import announce, is_held_by_supervisor
from monitor.runs.settings.convert import read_settings, to_settings, warn_of_missing
from monitor.runs.settings.masking import mask_command, mask_text
from monitor.runs.status import RunStatus
from monitor.runs.trials.trial import note_run, sweep_field

if TYPE_CHECKING:
    from collections.abc import Mapping

    from monitor.prediction_timeline import PredictionTimeline

log = logging.getLogger("monitor")


class Run:
    """One training run: a directory that nobody else writes to.

    If `directory` already holds a run, the new one goes beside it (`mlp-2`, `mlp-3`, …): two runs are never mixed.

    Attributes:
        path: the run directory, absolute, because a program may change its working directory.
        label: the run directory as it was given, for messages.
        name: its last part.
        config: the settings by their full names, such as `model.layers`, as JSON can hold them, without secrets.
        status: how the run is, as far as this process knows.
        started: seconds since the epoch.
        is_resumed: whether it continues what an earlier process logged.
        is_written: whether `run.json` is written.
        alerts: the alerts that fired so far, as in `run.json`.
        metrics: those of an earlier process, as in `run.json`.
        controls: what was changed while it was trained, as in `run.json`; those behind the first `controls_made` are
            to be made again.
        controls_made: how many of them were made.
        steps: by metric, the last step of an earlier process, after which automatic steps continue.
        goals: which metrics should be low or high.
        timelines: those of the predictions of an earlier process, by tag, which this one continues.
        incomplete: at the end, how many records each durable sink is missing, by its name.
        spent: seconds that earlier processes of a resumed run took.
        first_step: the step at which a resumed run goes on; 0 for a new one.
        is_taken_over: whether another process goes on with it, as after a restart on another machine while this one was
            cut off. Then this process leaves `run.json` alone.
    """

    def __init__(
        self,
        directory: str | os.PathLike[str],
        config: Any = None,
        *,
        seed: int | None = None,
        is_written: bool = True,
        previous: Mapping[str, Any] | None = None,
    ) -> None:
        """Claim the directory and write `run.json`.

        Args:
            directory: where the run goes; for an address such as `s3://bucket/runs/mlp`, into the spool.
            config: its settings, as in `Logger`.
            seed: recorded as the run's seed; by default `config["seed"]`.
            is_written: false for a run that writes nothing, as in a replay or in a process that is not rank 0.
            previous: the fields of the `run.json` that is in `directory`, to continue that run; its config is kept.

        Raises:
            OSError: if the directory cannot be made or written, or if a store refuses the run.
            DataError, MissingExtra: if an address cannot be read, or the packages for it are not installed.
            TypeError: if `directory` is no path, if `config` holds no settings, or if one cannot be converted to text;
                the message names it, as in `config['model']`.
            ValueError: if `directory` is empty, if a setting contains itself, is nested more than 30 levels deep, or is
                too large, or if two have the same name; the message names them too. Nothing has been made by then.
        """
        given = _checked(directory)
        self.path = Path(os.path.abspath(given))  # noqa: PTH100 - keeps links as they are
        self.config = to_settings(config) if previous is None else read_settings(previous.get("config") or {})
        seed = self.config.get("seed") if seed is None else to_jsonable(seed, "seed")
        if is_written and previous is None:
            self.path = _claim(self.path)
        self.label = url_of(self.path) or str(given.with_name(self.path.name) if given.name else self.path)
        self.name = self.path.name
        self.started = time.time()
        self.status = RunStatus.RUNNING
        self.is_resumed = previous is not None
        self.is_written = is_written
        self.alerts: list[dict[str, Any]] = list((previous or {}).get("alerts") or [])
        self.controls: list[dict[str, Any]] = list((previous or {}).get("controls") or [])
        self.controls_made = len(self.controls)
        self.metrics: dict[str, Any] = dict((previous or {}).get("metrics") or {})
        self.steps = {tag: entry["step"] for tag, entry in self.metrics.items()}
        self.goals = Goals((previous or {}).get("goals"))
        self.timelines: dict[str, PredictionTimeline] = {}
        self.incomplete: dict[str, int] = {}
        self.spent = float((previous or {}).get("spent") or 0.0)
        lives = (previous or {}).get("lives") or []
        step = lives[-1].get("step") if lives and previous and previous.get("resumed") else None
        self.first_step = step if isinstance(step, int) else 0
        self.is_taken_over = False
        self._is_announced = False
        self._written: tuple[int, ...] = ()  # what the file was like when this process had written it
        self._lock = threading.RLock()  # a signal handler may finish the run while it is being written
        self._fields: dict[str, Any] = {
            "name": to_jsonable(self.name),  # a name need not be UTF-8
            "status": self.status,
            "start": timestamp(self.started),
            "end": None,
            "seed": seed,
            "config": self.config,
        }
        if previous is not None:
            earlier = {name: value for name, value in previous.items() if name not in ("error", "incomplete")}
            self._fields = {**earlier, "status": self.status, "end": None, "config": self.config}
        if is_written:
            warn_of_missing(self.config)
            self._fields |= to_jsonable(process_fields() | sweep_field())  # arguments need not be UTF-8
            self._write()

    @property
    def written_config(self) -> dict[str, Any]:
        """The settings that are in `run.json`; `config` may have newer ones."""
        return self._fields["config"]  # type: ignore[no-any-return]

    @property
    def end_reason(self) -> str | None:
        """Why the run did not end as usual, as `run.json` says it."""
        return self._fields.get("error")

    def finish(self, status: str, error: str | None = None, **fields: Any) -> None:
        """Write how the run ended, and more fields; `error` says why. Raises `OSError`, and what `update` raises.

        By default, `end` is now.
        """
        with self._lock:
            self.status = RunStatus(status)
            self._fields.update({"end": timestamp(time.time()), **_as_json(fields)}, status=self.status)
            if error is not None:
                self._fields["error"] = mask_text(to_jsonable(error, "error"))
            if self.incomplete:
                self._fields["incomplete"] = self.incomplete
            self._write()

    def update(self, **fields: Any) -> None:
        """Put more fields into `run.json`. Raises `OSError`; `TypeError` or `ValueError` for what JSON cannot hold."""
        with self._lock:
            self._fields.update(_as_json(fields))
            self._write()

    def __repr__(self) -> str:
        """Return the directory as it was given, and the status, such as `Run('runs/mlp', running)`."""
        return f"Run({self.label!r}, {self.status})"

    def _repr_html_(self) -> str:
        """Return a table of status, metrics, and settings, for a notebook."""
        return run_html(self.name, self._fields)

    def _write(self) -> None:
        if not self.is_written or self._has_new_owner():
            return
        self.path.mkdir(parents=True, exist_ok=True)  # it may have been removed since
        write_run_file(self.path, self._fields)
        self._written = _identity(self.path / RUN_FILE)
        if not self._is_announced:
            self._is_announced = True
            announce(self.path)
            note_run(self.path)

    def _has_new_owner(self) -> bool:
        """Tell whether another process keeps `run.json` now; the file is read only if it is not as it was left."""
        if self.is_taken_over or not self._written or _identity(self.path / RUN_FILE) in (self._written, ()):
            return self.is_taken_over
        try:
            fields = read_run_file(self.path)
        except DataError:
            return False
        owner = fields.get("process")
        if owner is None or owner == process.identity() or is_held_by_supervisor(fields):
            return False
        self.is_taken_over = True
        who = f"process {fields.get('pid')} on {fields.get('host')}"
        log.warning("%s: %s goes on with this run; this process leaves its status alone", self.path, who)
        return True


def _identity(file: Path) -> tuple[int, ...]:
    """Return what changes when another process writes a file; nothing if it is not there."""
    try:
        found = file.stat()
    except OSError:
        return ()
    return (found.st_ino, found.st_mtime_ns, found.st_size)


def _as_json(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: to_jsonable(value, name) for name, value in fields.items()}


def process_fields() -> dict[str, Any]:
    """Return the fields that say which process owns the run, and where it runs."""
    return {
        "command": mask_command(sys.orig_argv),
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "process": process.identity(),
        "heartbeat": timestamp(time.time()),
        "versions": versions(),
        "git": git_revision(),
    }


def _checked(directory: object) -> Path:
    if not isinstance(directory, str | os.PathLike):
        raise TypeError(f"a run is a directory, as a str or a path, or a Run, not {type(directory).__name__}")
    path = os.fspath(directory)
    if not isinstance(path, str):
        raise TypeError(f"a run is a directory, as a str or a path of str, not of {type(path).__name__}")
    if not path.strip():
        raise ValueError(f"a run needs the name of a directory, such as 'runs/mlp', not {path!r}")
    return spool_path(path) if is_url(path) else Path(path)


def _claim(wanted: Path) -> Path:
    """Make the first free directory of `wanted`, `wanted-2`, …; two processes never get the same one."""
    number = 1
    while True:
        path = wanted if number == 1 else wanted.with_name(f"{wanted.name}-{number}")
        path.mkdir(parents=True, exist_ok=True)
        try:
            # Exclusive creation is the claim: an empty directory is taken over, one that holds a run is not.
            (path / RUN_FILE).open("x").close()
        except FileExistsError:
            number += 1
            continue
        try:
            is_free = claim(path)
        except BaseException:
            _give_back(path)
            raise
        if is_free:
            return path
        _give_back(path)
        number += 1


def _give_back(path: Path) -> None:
    """Remove what a claim made; the directory stays if there was something in it."""
    (path / RUN_FILE).unlink()
    with suppress(OSError):
        path.rmdir()
