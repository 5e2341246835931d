"""The end of a run: what `run.json` and the log say when everything that could be delivered is."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from monitor.runs.run_file import RUN_FILE

if TYPE_CHECKING:
    from collections.abc import Iterable

    from monitor.runs.run import Run
    from monitor.runs.status import RunStatus
    from monitor.stats import Stats

log = logging.getLogger("monitor")


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
