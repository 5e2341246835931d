"""The end of a run: what ends it, and what `run.json` and the log say when everything that could be delivered is."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, TypeVar

from monitor.errors import SinkError
from monitor.runs.run_file import RUN_FILE
from monitor.runs.status import RunStatus, exception_status

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import TracebackType

    from monitor.runs.run import Run
    from monitor.stats import Stats

log = logging.getLogger("monitor")

INTERRUPTED_CLOSE_S = 0.5  # for the second attempt, after an exception broke off the first
EndingT = TypeVar("EndingT", bound="EndingMethods")


class EndingMethods:
    """What closes a logger: the end of a `with` block, or of the program."""

    close: Callable[..., bool]  # as `Logger.close`

    def __enter__(self: EndingT) -> EndingT:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is None:
            self._end(RunStatus.FINISHED, None)
            return
        try:
            self._end(*exception_status(kind, value))
        except BaseException as failure:
            log.error("%s", failure)  # the loop's own exception is the one that must be seen

    def _end(self, status: RunStatus, error: str | None) -> None:
        try:
            self.close(status=status, error=error)
        except SinkError:
            raise
        except BaseException:  # Ctrl-C, or a handler such as torch's for its workers: end the run properly first
            self.close(INTERRUPTED_CLOSE_S, status, error)
            raise

    def _at_exit(self) -> None:
        uncaught = getattr(sys, "last_value", None)
        status, error = (RunStatus.FINISHED, None)
        if uncaught is not None:
            status, error = exception_status(type(uncaught), uncaught)
        try:
            self.close(status=status, error=error)
        except SinkError as failure:
            log.error("%s", failure)


def record_end(run: Run, stats: Stats, durable: Iterable[str], status: RunStatus, error: str | None) -> list[str]:
    """Write how a run ended, and log it; return a line for each sink that is missing records.

    The run is incomplete if one of the sinks in `durable` is missing records.
    """
    undelivered = stats.undelivered()
    run.incomplete = {name: missing for name in durable if (missing := stats.sinks[name].missing)}
    try:
        run.finish(status, error, logged={name: counters._asdict() for name, counters in stats.sinks.items()})
    except OSError as failure:
        log.warning("%s: its end could not be written: %s", run.path / RUN_FILE, failure)
    for line in undelivered:
        log.warning("%s", line)
    if run.is_written:
        log.info("%s: %s%s; %s", run.label, status, ", incomplete" if run.incomplete else "", stats.brief)
    return undelivered
