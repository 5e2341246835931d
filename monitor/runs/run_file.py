"""The file `run.json`: how it is read, and how values and times are written in it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from monitor.errors import DataError

if TYPE_CHECKING:
    from pathlib import Path

RUN_FILE = "run.json"


def read_run_file(path: Path) -> dict[str, Any]:
    """Return the fields of `run.json` in the directory `path`; raise `DataError` if it is missing or damaged."""
    file = path / RUN_FILE
    try:
        fields = json.loads(file.read_bytes())
    except FileNotFoundError:
        raise DataError(f"there is no run in {str(path)!r}: it has no {RUN_FILE}") from None
    except (OSError, ValueError) as error:
        raise DataError(f"{file} cannot be read: {error}") from error
    if not isinstance(fields, dict):
        raise DataError(f"{file} cannot be read: it does not hold an object")
    return fields


def to_jsonable(value: Any) -> Any:
    """Return `value` as JSON can hold it: numbers, strings, lists and objects stay, anything else becomes text.

    NaN and infinity become text too, because JSON has no such numbers.
    """
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


def parse_number(value: Any) -> Any:
    """Return a number from `run.json`, where NaN and infinity are text; anything else is returned as it is."""
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return value
    return value


def timestamp(seconds: float) -> str:
    """Write seconds since the epoch as ISO 8601 in UTC, with milliseconds."""
    return datetime.fromtimestamp(seconds, timezone.utc).isoformat(timespec="milliseconds")


def parse_time(text: Any) -> float | None:
    """Return an ISO 8601 time as seconds since the epoch; None for anything else."""
    try:
        return datetime.fromisoformat(text).timestamp()
    except (TypeError, ValueError):
        return None
