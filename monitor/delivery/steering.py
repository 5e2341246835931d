"""Connect what may be changed in a training with the dashboards that it is changed from."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from monitor.runs.processes.rank import process_rank
from monitor.sinks.base import DashboardSink
from monitor.steering.controls import Controls

if TYPE_CHECKING:
    from collections.abc import Iterable

    from monitor.runs.run import Run
    from monitor.sinks.base import Sink

log = logging.getLogger("monitor")


def parse_controls(controls: Mapping[str, Any] | Controls | None) -> Controls | None:
    """Return the controls of a logger. Raises what `Controls` raises, and `TypeError` for anything else."""
    if controls is None or isinstance(controls, Controls):
        return controls
    if not isinstance(controls, Mapping):
        raise TypeError(f"controls is a mapping such as {{'lr': optimizer}}, not {type(controls).__name__}")
    return Controls(controls)


def connect_controls(controls: Controls | None, sinks: Iterable[Sink], run: Run) -> None:
    """Let the pages of rank 0 change `controls`, before the sinks are opened; say so where none can."""
    if controls is None:
        if run.controls_made < len(run.controls):
            log.warning("%s: it was steered, and without controls the changes are not made again", run.label)
        return
    if not controls.listens:
        return
    if process_rank() > 0:
        controls.listens = False  # rank 0 tells
        return
    if not [sink for sink in sinks if isinstance(sink, DashboardSink) and sink.steer(controls)]:
        controls.listens = False
        log.warning("steering needs a dashboard that can change something, such as visdom; training goes on without it")
