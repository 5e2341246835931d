"""Check the fields of a `run.json`, which may come from anywhere: type, range, size, and depth.

Code that reads runs relies on this, and meets no other types.
"""

from __future__ import annotations

import math
from datetime import datetime
from typing import TYPE_CHECKING, Any

from monitor.metrics import GOALS
from monitor.runs.status import RunStatus

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_FILE_BYTES = 2**24
MAX_DEPTH = 32
MAX_NUMBER = 10**300  # larger integers do not fit a float
MAX_FLOAT = 1e299  # below which no number can fail
MAX_PID = 2**31
UNWRITTEN = (RunStatus.DAMAGED, RunStatus.FOREIGN)  # they are found out, never written
WRITTEN = tuple(status.value for status in RunStatus if status not in UNWRITTEN)
NON_FINITE = ("nan", "inf", "-inf")  # how `to_jsonable` writes them


def check_fields(fields: Any, content: bytes | None = None) -> str | None:
    """Return what is wrong with the fields of a `run.json`, or None.

    `content` is the JSON that they are from, if it is there: most files can have no odd value, which takes one look.
    """
    if not isinstance(fields, dict):
        return "it does not hold an object"
    is_plain = content is not None and _is_plain(fields, content)
    problem = None if is_plain else _check_value(fields, MAX_DEPTH)
    if problem:
        return problem
    for name, check in CHECKS.items():
        value = fields.get(name)
        if value is None and name not in REQUIRED:
            continue
        if not check(value):
            return f"{name!r} is {_short(value)}"
    return None


def _is_plain(fields: dict[str, Any], content: bytes) -> bool:
    """Tell quickly whether every value passes `_check_value`; False may also mean that this is not known."""
    if not content.isascii() or b"\\u" in content:  # a surrogate is written as such an escape
        return False
    level: list[Any] = [fields]
    for _ in range(MAX_DEPTH):
        items = [item for part in level for item in (part.values() if type(part) is dict else part)]
        numbers = [item for item in items if type(item) is float or type(item) is int]
        if numbers and not (max(numbers) <= MAX_FLOAT and min(numbers) >= -MAX_FLOAT):
            return False
        level = [item for item in items if type(item) is dict or type(item) is list]
        if not level:
            return True
    return False


def _check_value(value: Any, depth: int) -> str | None:
    """Check what holds for every value: finite numbers of a sane size, characters that UTF-8 has, bounded nesting."""
    if isinstance(value, str):
        return None if value.isascii() or _is_utf8(value) else f"{_short(value)} is not Unicode text"
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int | float):
        return None if _is_number(value) else f"{_short(value)} is not a number of this world"
    if depth == 0:
        return "it is nested too deeply"
    items = [*value, *value.values()] if isinstance(value, dict) else value
    return next((problem for item in items if (problem := _check_value(item, depth - 1))), None)


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_number(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return abs(value) <= MAX_NUMBER if isinstance(value, int) else math.isfinite(value)


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_time(value: Any) -> bool:
    try:
        return isinstance(value, str) and math.isfinite(datetime.fromisoformat(value).timestamp())
    except (ValueError, OverflowError, OSError):
        return False


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63


def _is_pid(value: Any) -> bool:
    return _is_count(value) and 0 < value < MAX_PID


def _is_measured(value: Any) -> bool:
    return _is_number(value) or value in NON_FINITE


def _is_process(value: Any) -> bool:
    known = isinstance(value, dict) and _is_pid(value.get("pid")) and _is_number(value.get("created"))
    return known and _is_text(value.get("machine"))


def _is_metric(value: Any) -> bool:
    if not (isinstance(value, dict) and _is_measured(value.get("last")) and _is_count(value.get("step"))):
        return False
    if "best" not in value:
        return True
    return _is_measured(value["best"]) and _is_count(value.get("best_step")) and value.get("goal") in GOALS


def _is_change(value: Any) -> bool:
    if not (isinstance(value, dict) and _is_text(value.get("control"))):
        return False
    values = [value.get("value"), value.get("before")]
    return _is_count(value.get("step")) and value["step"] >= 0 and all(one is None or _is_number(one) for one in values)


def _is_sweep(value: Any) -> bool:
    if not (isinstance(value, dict) and _is_text(value.get("name")) and _is_text(value.get("metric"))):
        return False
    is_known = _is_text(value.get("trial")) or _is_count(value.get("trial"))
    return is_known and value.get("goal") in GOALS and isinstance(value.get("values", {}), dict)


def _is_progress(value: Any) -> bool:
    return isinstance(value, dict) and all(count is None or _is_count(count) for count in value.values())


def _is_object(value: Any) -> bool:
    return isinstance(value, dict)


def _is_list_of(check: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, list) and all(map(check, value))


def _is_object_of(check: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, dict) and all(map(check, value.values()))


def _short(value: Any) -> str:
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > MAX_NUMBER:
        return "an integer of more than 300 digits"
    text = ascii(value)
    return text if len(text) <= 60 else f"{text[:60]}…"


REQUIRED = ("status",)
CHECKS: dict[str, Callable[[Any], bool]] = {
    "name": _is_text,
    "status": lambda value: value in WRITTEN,
    **dict.fromkeys(("start", "end", "heartbeat", "resumed"), _is_time),
    "config": _is_object,
    "metrics": _is_object_of(_is_metric),
    "goals": _is_object_of(lambda value: value in GOALS),
    "progress": _is_progress,
    "error": _is_text,
    "alerts": _is_list_of(_is_object),
    "controls": _is_list_of(_is_change),
    "exploits": _is_list_of(_is_object),
    "lives": _is_list_of(_is_object),
    "notes": _is_list_of(_is_object),
    "tags": _is_list_of(_is_text),
    "tag_edits": _is_count,
    "spent": lambda value: _is_number(value) and value >= 0,
    "command": _is_list_of(_is_text),
    "host": _is_text,
    "pid": _is_pid,
    "process": _is_process,
    "launchers": _is_list_of(_is_process),
    "versions": _is_object_of(_is_text),
    "git": _is_object,
    "logged": _is_object_of(_is_object),
    "incomplete": _is_object_of(_is_count),
    "sweep": _is_sweep,
}
