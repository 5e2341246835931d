"""What a comparison reads from event files, in an amount of memory that does not depend on their size."""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np

from monitor.events.clock import CLOCK_BUCKETS, Clock
from monitor.events.files import event_bytes, event_files
from monitor.events.index.index_update import current_index, update_index
from monitor.events.index.run_index import TooManyCurves
from monitor.events.reading.history import KINDS, fold_history, select_tags
from monitor.events.reading.reader import EventReader, read_history
from monitor.render.reduction.downsampling import MAX_BUCKETS, DownsampledSeries
from monitor.runs.listing.series_folders import read_series_folders
from monitor.runs.run_file import RUN_FILE
from monitor.scalar_block import ScalarBlock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from monitor.events.index.run_index import RunIndex
    from monitor.events.reading.history import Batch, Folded
    from monitor.records import Record

    Points = tuple[NDArray[np.int64], NDArray[np.float64]]
    OnError = Callable[[Path, OSError], None] | None

log = logging.getLogger("monitor")

INDEXED_BYTES = 2**23  # of event files; a comparison gives a run of ours with more of them an index
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
    clock: DownsampledSeries
    epochs: DownsampledSeries


def fold_run(
    run: Path,
    fold: Callable[[Iterator[Batch]], Folded],
    is_wanted: Callable[[str], bool] | None = None,
    on_error: OnError = None,
    kinds: frozenset[type] = KINDS,
) -> Folded:
    """Do what `fold_history` does, with the curves of `add_scalars` as the last blocks."""

    def fold_all(batches: Iterator[Batch]) -> Folded:
        return fold(chain(batches, read_series_folders(run, is_wanted, on_error)))

    return fold_history(run, fold_all, is_wanted, on_error, kinds)


def read_curves(run: Path, tags: Iterable[str], on_error: OnError = None, max_buckets: int = MAX_BUCKETS) -> RunCurves:
    """Return the downsampled points of each tag, without those that a restart supersedes. Blocks while it reads."""
    wanted = list(tags)
    index = find_index(run, {*wanted, EPOCH_TAG})
    if index is not None and max_buckets <= index.max_buckets:
        series = {tag: index.series(tag).copy(max_buckets) for tag in wanted}
        for block in read_series_folders(run, set(wanted).__contains__, on_error):
            for tag, steps, values, _ in block.series():
                series[tag].extend(steps, values)
        return RunCurves(series, index.clock.series, index.series(EPOCH_TAG).copy(CLOCK_BUCKETS))

    def fold(batches: Iterator[Batch]) -> RunCurves:
        clock, epochs = Clock(), DownsampledSeries(CLOCK_BUCKETS)
        series = {tag: DownsampledSeries(max_buckets) for tag in wanted}
        for block in batches:
            if isinstance(block, ScalarBlock):
                clock.add(block)
                for tag, steps, values, _ in select_tags(block, {*wanted, EPOCH_TAG}).series():
                    if tag in series:
                        series[tag].extend(steps, values)
                    if tag == EPOCH_TAG:
                        epochs.extend(steps, values)
        return RunCurves(series, clock.series, epochs)

    return fold_run(run, fold, on_error=on_error)


def find_index(run: Path, tags: set[str] | None) -> RunIndex | None:
    """Return the index of a run, current for some tags or for all; make one for a large run of ours that has none."""
    try:
        index = current_index(run, tags)
        if index is None and (run / RUN_FILE).is_file() and event_bytes(run) >= INDEXED_BYTES:
            with suppress(TooManyCurves):
                update_index(run)
                index = current_index(run, tags)
    except OSError:  # it cannot be written here; if event files cannot be read, that is said elsewhere
        return None
    return index


def read_others(run: Path, kinds: frozenset[type], on_error: OnError = None) -> Iterator[list[Record]]:
    """Yield the records of these types, which are no scalars, without what a restart supersedes. Blocks while it reads.

    If the run has an index, only the parts of the event files are read in which something else than scalars is.
    """
    index = None
    with suppress(OSError):  # which is said below
        index = current_index(run, set())
    if index is None or index.others is None or index.is_resumed:
        yield from read_history(run, on_error=on_error, kinds=kinds)
        return
    files = {path.name: path for path in event_files(run)}
    reader = EventReader(run, files=list(files.values()), on_error=on_error, kinds=kinds)
    for name, start, end in index.others:
        path = files.get(name)
        begin = 0 if path is None else max(start, reader.offsets.get(path, 0))
        if path is None or begin >= end:  # a part is read to the end of a piece, which may be behind the next part
            continue
        reader.skip({path: begin})
        for batch in reader.batches({path: end}):
            if isinstance(batch, list):
                only = [batch]
                del batch  # large records are held by the caller alone
                yield only.pop()


def find_tags(run: Path, prefix: str, on_error: OnError = None) -> set[str]:
    """Return the tags of the scalars that begin with `prefix`. Blocks while it reads."""

    def fold(batches: Iterable[Batch]) -> set[str]:
        tags: set[str] = set()
        for block in batches:
            if isinstance(block, ScalarBlock):
                tags.update(tag for number in np.unique(block.group).tolist() for tag in block.groups[number])
        return tags

    def is_wanted(tag: str) -> bool:
        return tag.startswith(prefix)

    index = find_index(run, None)
    if index is not None:
        return set(filter(is_wanted, index.tags)) | fold(read_series_folders(run, is_wanted, on_error))
    return fold_run(run, fold, is_wanted, on_error)


def read_series(run: Path, tags: Iterable[str], on_error: OnError = None) -> dict[str, DownsampledSeries]:
    """Return the downsampled points of each tag, without those that a restart supersedes. Blocks while it reads."""
    return read_curves(run, tags, on_error).series


def read_points(
    run: Path, tags: Iterable[str], on_error: OnError = None
) -> dict[str, tuple[NDArray[np.int64], NDArray[np.float64]]]:
    """Return all points of each tag: ascending steps and values, the last one of a step. Blocks while it reads."""
    wanted = list(tags)

    def fold(batches: Iterator[Batch]) -> dict[str, Points]:
        found: dict[str, list[Points]] = {tag: [] for tag in wanted}
        for block in batches:
            if isinstance(block, ScalarBlock):
                for tag, steps, values, _ in block.series():
                    found[tag].append((steps, values))
        return {tag: _last_by_step(parts) for tag, parts in found.items()}

    return fold_run(run, fold, set(wanted).__contains__, on_error)


def _last_by_step(parts: list[Points]) -> Points:
    if not parts:
        return np.zeros(0, np.int64), np.zeros(0)
    steps, values = (np.concatenate(columns) for columns in zip(*parts))
    if (steps[1:] > steps[:-1]).all():
        return steps, values
    unique, first = np.unique(steps[::-1], return_index=True)
    return unique, values[::-1][first]
