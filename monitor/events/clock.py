"""When the steps of a run were."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from monitor.events.reading.history import select_calls
from monitor.metrics import is_system
from monitor.render.reduction.downsampling import MAX_BUCKETS, DownsampledSeries

if TYPE_CHECKING:
    from monitor.scalar_block import ScalarBlock

CLOCK_BUCKETS = MAX_BUCKETS // 4


def metric_calls(block: ScalarBlock) -> ScalarBlock:
    """Return the calls of a block in which anything but system metrics was logged, whose steps are seconds."""
    is_metric = np.array([any(not is_system(tag) for tag in tags) for tags in block.groups], np.bool_)
    return select_calls(block, is_metric[block.group])


class Clock:
    """The time of the steps of a run: of each step that is higher than all before, from all its metrics.

    Attributes:
        series: steps and times, in seconds since the epoch.
        last_step: the highest step.
    """

    def __init__(self, series: DownsampledSeries | None = None, last_step: int = -1) -> None:
        self.series, self.last_step = series or DownsampledSeries(CLOCK_BUCKETS), last_step

    def add(self, block: ScalarBlock) -> None:
        """Take in the next scalars."""
        metrics = metric_calls(block)
        steps, times = metrics.steps, metrics.times
        if len(steps):
            highest = np.maximum.accumulate(np.concatenate([[self.last_step], steps]))
            is_new = steps > highest[:-1]
            self.series.extend(steps[is_new], times[is_new])
            self.last_step = int(highest[-1])
