"""The status of a run: the words for it, and how an exception maps to one."""

from __future__ import annotations

import signal
from enum import Enum
from typing import TYPE_CHECKING

from monitor.runs.processes import process

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

# A program that a signal asked to end exits, by convention, with 128 and the signal's number.
SIGNAL_EXIT_CODES = {128 + number: number.name for number in (signal.SIGTERM, signal.SIGHUP)}
HEARTBEAT_TIMEOUT_S = 30.0  # without a sign of life for this long, a run on another machine is lost


class RunStatus(str, Enum):
    """How a run is, or how it ended; equal to its own text, such as `"finished"`."""

    RUNNING = "running"
    FINISHED = "finished"
    FAILED = "failed"
    INTERRUPTED = "interrupted"
    KILLED = "killed"
    STOPPED = "stopped"
    PRUNED = "pruned"
    LOST = "lost"
    DAMAGED = "damaged"
    FOREIGN = "foreign"  # another program's, which says nothing about it

    __str__ = str.__str__
    __format__ = str.__format__  # type: ignore[assignment]  # not Enum's, which differs between Python versions


# What `Logger.close` accepts. A lost, damaged, or foreign run cannot say so itself.
ENDINGS = (
    RunStatus.FINISHED, RunStatus.FAILED, RunStatus.INTERRUPTED, RunStatus.KILLED, RunStatus.STOPPED,
    RunStatus.PRUNED,
)  # fmt: skip


def ending(status: str) -> RunStatus:
    """Return the status with which a run may end; raise `ValueError` for any other word."""
    if status not in ENDINGS:
        raise ValueError(f"a run cannot end as {status!r}; accepted: {', '.join(ENDINGS)}")
    return RunStatus(status)


def exception_status(kind: type[BaseException], value: BaseException | None) -> tuple[RunStatus, str]:
    """Return the status of a run that ended with an exception, and the exception as one line."""
    error = " ".join(f"{kind.__name__}: {value}".split()).removesuffix(":")
    if issubclass(kind, KeyboardInterrupt):
        return RunStatus.INTERRUPTED, error
    if issubclass(kind, SystemExit):
        code = getattr(value, "code", None)
        if code in SIGNAL_EXIT_CODES:
            return RunStatus.KILLED, SIGNAL_EXIT_CODES[code]
        return (RunStatus.FINISHED, error) if code in (None, 0) else (RunStatus.FAILED, error)
    return RunStatus.FAILED, error


def true_status(
    fields: Mapping[str, Any], now: float, last_heartbeat: float | None, file_time: float | None = None
) -> RunStatus:
    """Return the status of a run whose `run.json` holds `fields`, which may not know that its process died.

    All times are in seconds since the epoch. `file_time`, that of `run.json`, counts only for a run on another machine:
    the clock there may be wrong, and on a shared disk the file's time is the file server's.
    """
    status = RunStatus(fields["status"])
    if status is not RunStatus.RUNNING:
        return status
    alive = process.is_alive(fields.get("process"))
    if alive is None:
        signs = (last_heartbeat, file_time)
        alive = any(sign is not None and abs(now - sign) <= HEARTBEAT_TIMEOUT_S for sign in signs)
    return RunStatus.RUNNING if alive else RunStatus.LOST
