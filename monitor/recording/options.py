"""Which of the recordings are on: `all`, `none`, or names such as `system,git`."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable
from typing import NamedTuple

from monitor.errors import SpecError

RECORD_VARIABLE = "MONITOR_RECORD"  # for loggers that nobody tells what to record
NAMES = ("system", "git", "packages")
ACCEPTED = "accepted: all, none, or some of system, git, packages; system:30 samples every 30 seconds"
DEFAULT_INTERVAL_S, MIN_INTERVAL_S = 10.0, 1.0


class RecordOptions(NamedTuple):
    """What a run records.

    Attributes:
        system: seconds from one sample of the system metrics to the next; None for none.
        git: whether the changes in the checkout are recorded.
        packages: whether the installed packages are listed.
    """

    system: float | None = DEFAULT_INTERVAL_S
    git: bool = True
    packages: bool = True


NOTHING = RecordOptions(None, git=False, packages=False)


def parse_record(record: str | Iterable[str] | bool | None) -> RecordOptions:
    """Return what a run records; for None, what `MONITOR_RECORD` says, and everything without it.

    Raises `SpecError` for a name that is not known, `TypeError` for another type.
    """
    if record is None:
        text = os.environ.get(RECORD_VARIABLE, "").strip()
        return _parse(text.split(","), f"{RECORD_VARIABLE}={text!r}") if text else RecordOptions()
    if isinstance(record, bool):
        return RecordOptions() if record else NOTHING
    names = record.split(",") if isinstance(record, str) else list(record) if isinstance(record, Iterable) else [record]
    if not all(isinstance(name, str) for name in names):
        raise TypeError(f"record is text, a list of names, or a bool, not {record!r}; {ACCEPTED}")
    return _parse(names, f"record {','.join(names)!r}")


def check_environment() -> str:
    """Return what `MONITOR_RECORD` says, empty without it. Raises `SpecError` if that cannot be read."""
    parse_record(None)
    return os.environ.get(RECORD_VARIABLE, "").strip()


def _parse(names: list[str], source: str) -> RecordOptions:
    names = [name.strip() for name in names]
    if names in (["all"], ["none"], []):
        return RecordOptions() if names == ["all"] else NOTHING
    system, found = None, set()
    for name in names:
        kind, colon, interval = name.partition(":")
        if kind not in NAMES or (colon and kind != "system"):
            raise SpecError(f"{source}: unknown {name!r}; {ACCEPTED}")
        if kind == "system":
            system = _seconds(interval, source) if colon else DEFAULT_INTERVAL_S
        found.add(kind)
    return RecordOptions(system, "git" in found, "packages" in found)


def _seconds(text: str, source: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not MIN_INTERVAL_S <= seconds < math.inf:
        raise SpecError(f"{source}: {text!r} is not a number of seconds, 1 or more; {ACCEPTED}")
    return seconds
