"""The run directory: `run.json` beside the event files, with all that tells one run from another."""

from __future__ import annotations

import json
import math
import os
import platform
import signal
import socket
import sys
import threading
import time
from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from monitor.runs import process
from monitor.errors import DataError

RECORDED_PACKAGES = ("training-monitor", "torch", "torchvision", "tensorboardX", "visdom", "numpy")
RUN_FILE = "run.json"
# How a program that was told to end exits, by custom: 128 and the signal's number.
SIGNAL_EXIT_CODES = {128 + number: number.name for number in (signal.SIGTERM, signal.SIGHUP)}


class Run:
    """One training run: a directory that nobody else writes to.

    Where `directory` holds a run already, the new one goes beside it (`mlp-2`, `mlp-3`, …): two runs are never mixed.
    Raises `OSError` where the directory cannot be made or written.
    """

    _fields: dict[str, Any]

    def __init__(
        self, directory: str | os.PathLike[str], config: Mapping[str, Any] | None = None, *, seed: int | None = None
    ) -> None:
        self._set(_claim(Path(directory)), config or {})
        self._fields = {
            "name": self.name,
            "status": self.status,
            "start": timestamp(self.started),
            "end": None,
            "seed": self.config.get("seed") if seed is None else seed,
            "config": self.config,
        }
        self._begin()

    @classmethod
    def reopen(cls, directory: str | os.PathLike[str], **fields: Any) -> Run:
        """Go on with a run that ended; `fields` are put into `run.json`. Raises `DataError` where there is none."""
        path = Path(directory)
        known = read_run_file(path)
        run = cls.__new__(cls)
        run._set(path, known.get("config") or {})
        run.is_resumed = True
        run.alerts = list(known.get("alerts") or [])
        known.pop("error", None)
        run._fields = {**known, **fields, "status": run.status, "end": None}
        run._begin()
        return run

    @classmethod
    def unwritten(cls, directory: str | os.PathLike[str], config: Mapping[str, Any] | None = None) -> Run:
        """Return a run that writes nothing, as for a replay, or in a process that is not rank 0."""
        run = cls.__new__(cls)
        run._set(Path(directory), config or {})
        run.is_written = False
        return run

    def _set(self, path: Path, config: Mapping[str, Any]) -> None:
        self.config: dict[str, Any] = {str(key): to_jsonable(value) for key, value in config.items()}
        self.path, self.name = path, path.name
        self.started = time.time()
        self.status = "running"
        self.is_resumed = False
        self.alerts: list[dict[str, Any]] = []
        self._fields = {}
        self.is_written = True
        self._lock = threading.Lock()

    def _begin(self) -> None:
        """Write down whose run this is from now on."""
        self._fields |= {
            "command": list(sys.orig_argv),
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "process": process.identity(),
            "heartbeat": timestamp(time.time()),
            "versions": versions(),
            "git": git_revision(),
        }
        self._write()

    def finish(self, status: str, error: str | None = None, **fields: Any) -> None:
        """Write the final status: finished, failed, interrupted, killed or stopped; `error` says why."""
        with self._lock:
            self.status = status
            self._fields.update(fields, status=status, end=timestamp(time.time()))
            if error is not None:
                self._fields["error"] = error
            self._write()

    def update(self, **fields: Any) -> None:
        """Put more fields into `run.json`."""
        with self._lock:
            self._fields.update(fields)
            self._write()

    def _write(self) -> None:
        if not self.is_written:
            return
        self.path.mkdir(parents=True, exist_ok=True)  # it may have been removed since
        scratch = self.path / f".{RUN_FILE}.{os.getpid()}"
        scratch.write_text(json.dumps(self._fields, indent=2, ensure_ascii=False, allow_nan=False) + "\n", "utf-8")
        scratch.replace(self.path / RUN_FILE)


def read_run_file(path: Path) -> dict[str, Any]:
    """Return what `run.json` in the directory `path` says; raise `DataError` where it is missing or damaged."""
    file = path / RUN_FILE
    try:
        fields = json.loads(file.read_bytes())
    except FileNotFoundError:
        raise DataError(f"there is no run in {str(path)!r}: it has no {RUN_FILE}") from None
    except (OSError, ValueError) as error:
        raise DataError(f"{file} cannot be read: {error}") from error
    if not isinstance(fields, dict):
        raise DataError(f"{file} cannot be read: it holds no object")
    return fields


def _claim(wanted: Path) -> Path:
    """Make the first free directory of `wanted`, `wanted-2`, …; two processes never get the same one."""
    wanted.parent.mkdir(parents=True, exist_ok=True)
    number = 1
    while True:
        path = wanted if number == 1 else wanted.with_name(f"{wanted.name}-{number}")
        path.mkdir(exist_ok=True)
        try:
            # Exclusive creation is the claim: an empty directory that was there before is taken, a run is not.
            (path / RUN_FILE).open("x").close()
        except FileExistsError:
            number += 1
            continue
        return path


def to_jsonable(value: Any) -> Any:
    """Return `value` as JSON can hold it: numbers, strings, lists and objects as they are, the rest as text."""
    if value is None or isinstance(value, bool | str):
        return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else str(float(value))
    if isinstance(value, Mapping):
        return {str(key): to_jsonable(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [to_jsonable(item) for item in value]
    item = getattr(value, "item", None)
    if callable(item) and getattr(value, "size", None) == 1:
        return to_jsonable(item())
    return str(value)


def timestamp(seconds: float) -> str:
    """Write seconds since the epoch as ISO 8601 in UTC."""
    return datetime.fromtimestamp(seconds, timezone.utc).isoformat(timespec="milliseconds")


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that shape a run."""
    from importlib.metadata import PackageNotFoundError, version

    found = {"python": platform.python_version()}
    for package in RECORDED_PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def git_revision() -> dict[str, Any] | None:
    """Return the revision of the working directory's checkout and whether it has changes; None outside of one."""
    import subprocess

    def git(*arguments: str) -> str:
        return subprocess.run(
            ["git", *arguments], capture_output=True, text=True, timeout=5, check=True, stdin=subprocess.DEVNULL
        ).stdout.strip()

    try:
        return {
            "revision": git("rev-parse", "HEAD"),
            "changed": bool(git("status", "--porcelain", "--untracked-files=no")),
        }
    except (OSError, subprocess.SubprocessError):
        return None


def exception_status(kind: type[BaseException], value: BaseException | None) -> tuple[str, str]:
    """Return the status of a run that ended with an exception, and the exception as one line."""
    error = " ".join(f"{kind.__name__}: {value}".split()).removesuffix(":")
    if issubclass(kind, KeyboardInterrupt):
        return "interrupted", error
    if issubclass(kind, SystemExit):
        code = getattr(value, "code", None)
        if code in SIGNAL_EXIT_CODES:
            return "killed", SIGNAL_EXIT_CODES[code]
        return ("finished", error) if code in (None, 0) else ("failed", error)
    return "failed", error
