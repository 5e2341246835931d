"""What a comparison reads from event files, in an amount of memory that does not depend on their size."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from monitor.events.reader import read_history
from monitor.metrics import SYSTEM_PREFIX
from monitor.records import Scalar
from monitor.render.downsampling import MAX_BUCKETS, DownsampledSeries

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from numpy.typing import NDArray

    OnError = Callable[[Path, OSError], None] | None

log = logging.getLogger("monitor")

EPOCH_TAG = "epoch"  # under which some frameworks log at which epoch a step is


class LeftOut:
    """Says once for each event file that cannot be read that it is left out."""

    def __init__(self) -> None:
        self.paths: set[Path] = set()

    def __call__(self, path: Path, error: OSError) -> None:
        """Log a warning."""
        if path not in self.paths:
            self.paths.add(path)
            log.warning("%s cannot be read and is left out: %s", path, error.strerror or error)


@dataclass
class RunCurves:
    """The curves of one run.

    Attributes:
        series: the downsampled points by tag.
        clock: the time of the steps, in seconds since the epoch, as a series.
        epochs: the epoch of the steps, if the run logged it.
    """

    series: dict[str, DownsampledSeries]
    clock: DownsampledSeries = field(default_factory=lambda: DownsampledSeries(MAX_BUCKETS // 4))
    epochs: DownsampledSeries = field(default_factory=lambda: DownsampledSeries(MAX_BUCKETS // 4))


def read_curves(run: Path, tags: Iterable[str], on_error: OnError = None, max_buckets: int = MAX_BUCKETS) -> RunCurves:
    """Return the downsampled points of each tag, without those that a restart supersedes. Blocks while it reads."""
    curves = RunCurves({tag: DownsampledSeries(max_buckets) for tag in tags})
    series, last_step = curves.series, -1
    wanted = {*series, EPOCH_TAG}
    for records in read_history(run, wanted.__contains__, on_error=on_error, kinds=frozenset({Scalar})):
        for record in records:
            if not isinstance(record, Scalar):
                continue
            if record.tag in series:
                series[record.tag].add(record.step, record.value)
            if record.tag == EPOCH_TAG:
                curves.epochs.add(record.step, record.value)
            if record.step > last_step and not record.tag.startswith(SYSTEM_PREFIX):
                last_step = record.step
                curves.clock.add(record.step, record.time)
    return curves


def find_tags(run: Path, prefix: str, on_error: OnError = None) -> set[str]:
    """Return the tags of the scalars that begin with `prefix`. Blocks while it reads."""
    tags: set[str] = set()
    kinds = frozenset({Scalar})
    for records in read_history(run, lambda tag: tag.startswith(prefix), on_error=on_error, kinds=kinds):
        tags.update(record.tag for record in records if isinstance(record, Scalar))
    return tags


def read_series(run: Path, tags: Iterable[str], on_error: OnError = None) -> dict[str, DownsampledSeries]:
    """Return the downsampled points of each tag, without those that a restart supersedes. Blocks while it reads."""
    return read_curves(run, tags, on_error).series


def read_points(
    run: Path, tags: Iterable[str], on_error: OnError = None
) -> dict[str, tuple[NDArray[np.int64], NDArray[np.float64]]]:
    """Return all points of each tag: ascending steps and values, the last one of a step. Blocks while it reads."""
    found: dict[str, tuple[list[int], list[float]]] = {tag: ([], []) for tag in tags}
    for records in read_history(run, found.__contains__, on_error=on_error, kinds=frozenset({Scalar})):
        for record in records:
            if isinstance(record, Scalar):
                steps, values = found[record.tag]
                steps.append(record.step)
                values.append(record.value)
    return {tag: _last_by_step(steps, values) for tag, (steps, values) in found.items()}


def _last_by_step(steps: list[int], values: list[float]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    array = np.array(steps[::-1], np.int64)
    unique, first = np.unique(array, return_index=True)
    return unique, np.array(values[::-1], np.float64)[first]
