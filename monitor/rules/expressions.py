"""What the two small languages, alert rules and run filters, have in common: operators, numbers, durations."""

from __future__ import annotations

import operator
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq, "=": operator.eq, "!=": operator.ne,
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip
OPERATOR = r"==|!=|<=|>=|<|>|="
NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
UNIT_SECONDS = {"second": 1.0, "minute": 60.0, "hour": 3600.0, "day": 86400.0}
DURATION = rf"(?P<number>{NUMBER}) ?(?P<unit>seconds?|minutes?|hours?|days?|s|m|h|d)"

_DURATION = re.compile(DURATION)


def parse_duration(text: str) -> float | None:
    """Return the seconds of a duration such as `90s`, `90 seconds`, `1.5 h` or `2 days`; None for anything else."""
    match = _DURATION.fullmatch(text)
    if match is None:
        return None
    (seconds,) = (seconds for unit, seconds in UNIT_SECONDS.items() if match["unit"] in (unit[0], unit, f"{unit}s"))
    return float(match["number"]) * seconds


def is_unit(word: str) -> bool:
    """Tell whether `word` is a unit of time, as durations spell it."""
    return any(word in (unit[0], unit, f"{unit}s") for unit in UNIT_SECONDS)
