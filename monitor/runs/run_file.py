"""The file `run.json`: how it is read, and how values and times are written in it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from monitor.errors import DataError
from monitor.runs.run_schema import MAX_FILE_BYTES, MAX_NUMBER, check_fields

if TYPE_CHECKING:
    from pathlib import Path

RUN_FILE = "run.json"


def read_run_file(path: Path) -> dict[str, Any]:
    """Return the fields of `run.json` in the directory `path`, each of the type and range that Run writes.

    Raises `DataError` with the reason if the file is missing, cannot be read, or has a field that fails its check.
    Fields that are not ours are kept as they are.
    """
    file = path / RUN_FILE
    try:
        with file.open("rb") as opened:
            content = opened.read(MAX_FILE_BYTES + 1)
        if len(content) > MAX_FILE_BYTES:
            raise ValueError(f"it is larger than {MAX_FILE_BYTES >> 20} MiB")
        fields = json.loads(content, parse_constant=_refuse_constant)
        problem = check_fields(fields)
    except FileNotFoundError:
        raise DataError(f"there is no run in {str(path)!r}: it has no {RUN_FILE}") from None
    except RecursionError:
        raise DataError(f"{file} cannot be read: it is nested too deeply") from None
    except (OSError, ValueError) as error:
        raise DataError(f"{file} cannot be read: {' '.join(str(error).split())}") from error
    if problem:
        raise DataError(f"{file} cannot be read: {problem}")
    return dict(fields)


def to_jsonable(value: Any) -> Any:
    """Return `value` as JSON can hold it: numbers, strings, lists and objects stay, anything else becomes text.

    NaN and infinity become text too, because JSON has no such numbers.
    """
    if value is None or isinstance(value, bool | str):
        return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value
    if isinstance(value, int):
        return int(value) if abs(value) <= MAX_NUMBER else str(value)
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
