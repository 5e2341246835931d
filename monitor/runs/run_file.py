"""The file `run.json`: how it is read, and how times are written in it."""

from __future__ import annotations

import errno
import json
import os
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from monitor.errors import DataError
from monitor.machine.files import atomic_write, open_regular
from monitor.runs.run_schema import MAX_FILE_BYTES, check_fields

if TYPE_CHECKING:
    from pathlib import Path

RUN_FILE = "run.json"
BLOCK_BYTES = 4096  # of a file system: so much of a file's last block is its own already
FULL_ERRORS = {errno.ENOSPC, errno.EDQUOT}


def read_run_file(path: Path) -> dict[str, Any]:
    """Return the fields of `run.json` in the directory `path`, each of the type and range that Run writes.

    Raises `DataError` with the reason if the file is missing, cannot be read, or has a field that fails its check.
    Fields that are not ours are kept as they are.
    """
    return read_with_stat(path)[0]


def read_with_stat(path: str | Path) -> tuple[dict[str, Any], os.stat_result]:
    """Return what `read_run_file` does, and what the file was like right before it was read. Raises `DataError`."""
    file = os.path.join(path, RUN_FILE)  # noqa: PTH118 - a list reads thousands
    try:
        with open_regular(file) as opened:
            found = os.fstat(opened.fileno())
            content = opened.read(min(found.st_size, MAX_FILE_BYTES) + 1)  # a buffer of the most would cost more
            if len(content) > found.st_size:  # it has grown
                content += opened.read(MAX_FILE_BYTES)
        if len(content) > MAX_FILE_BYTES:
            raise ValueError(f"it is larger than {MAX_FILE_BYTES >> 20} MiB")
        fields = json.loads(content, parse_constant=_refuse_constant)
        problem = check_fields(fields, content)
    except FileNotFoundError:
        raise DataError(f"there is no run in {str(path)!r}: it has no {RUN_FILE}") from None
    except RecursionError:
        raise DataError(f"{file} cannot be read: it is nested too deeply") from None
    except (OSError, ValueError) as error:
        raise DataError(f"{file} cannot be read: {' '.join(str(error).split())}") from error
    if problem:
        raise DataError(f"{file} cannot be read: {problem}")
    return fields, found


def write_run_file(path: Path, fields: dict[str, Any]) -> None:
    """Write the fields, which are JSON, so that no reader finds a part of them. Blocks; raises `OSError`.

    On a disk without room for another file, the fields go into the space of the one that is there, in one call.
    """
    file = path / RUN_FILE
    try:
        atomic_write(file, json.dumps(fields, indent=2, ensure_ascii=False, allow_nan=False) + "\n")
    except OSError as error:
        if error.errno not in FULL_ERRORS:
            raise
        content = json.dumps(fields, ensure_ascii=False, allow_nan=False).encode() + b"\n"
        descriptor = os.open(file, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            size = os.fstat(descriptor).st_size
            if len(content) > -(-size // BLOCK_BYTES) * BLOCK_BYTES:
                raise
            os.pwrite(descriptor, content.rjust(size), 0)  # spaces overwrite what is left
        finally:
            os.close(descriptor)


def parse_number(value: Any) -> Any:
    """Return a number from `run.json`, where NaN and infinity are text; anything else is returned as it is."""
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return value
    return value


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def timestamp(seconds: float) -> str:
    """Write seconds since the epoch as ISO 8601 in UTC, with milliseconds."""
    return datetime.fromtimestamp(seconds, timezone.utc).isoformat(timespec="milliseconds")


def parse_time(text: Any) -> float | None:
    """Return an ISO 8601 time as seconds since the epoch; None for anything else."""
    try:
        return datetime.fromisoformat(text).timestamp()
    except (TypeError, ValueError):
        return None
