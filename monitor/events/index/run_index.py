"""An index beside a run's event files: what a chart needs of each curve, so that the files need not be read for it.

The event files are the only truth. The index is a state of reading them, from which one can go on: it covers each file
up to an offset, and what comes after that is read from the file.
"""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

from monitor.events.clock import CLOCK_BUCKETS, Clock
from monitor.events.files import event_files
from monitor.events.index import index_format, index_trust
from monitor.events.reading.history import select_tags
from monitor.machine.files import atomic_write, open_regular
from monitor.metrics import Goals, MetricSummary, is_best_value, is_system
from monitor.records import Config
from monitor.render.reduction.downsampling import MAX_BUCKETS, DownsampledSeries
from monitor.scalar_block import ScalarBlock

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from monitor.events.index.index_marks import Mark
    from monitor.events.reading.history import Batch

log = logging.getLogger("monitor")

INDEX_FILE = "curves.index"
MIN_INDEX_BYTES = 2**16  # that an index may have in any case; beyond, it has at most a hundredth of the event files
SHARE = 100
BYTES_PER_BUCKET = 34  # about, compressed
BYTES_PER_TAG = 60  # about, beside the tag itself
MIN_BUCKETS = 16  # of a curve, below which an index is of no use
MAX_CONFIG_CHARS = 2**15
MAX_INDEX_BYTES = 2**30


def room_for_index(size: int) -> int:
    """Return how many bytes an index may have beside `size` bytes of event files."""
    return max(MIN_INDEX_BYTES, size // SHARE)


class TooManyCurves(Exception):
    """An index of all curves would be too large for these event files."""


class RunIndex:
    """What is known of the curves of a run.

    Attributes:
        run: the run directory.
        max_buckets: the resolution of the curves.
        clock: the time of the steps.
        last: by tag, the step and value of its last point.
        highest_step: of all scalars.
        times: of the first and the last scalar or settings, in seconds since the epoch; none if there are none.
        is_resumed: whether a restart supersedes something in the event files.
        has_settings: whether the event files have settings.
        config: these settings; None if they are too large for an index.
        tensor_tags: the tags whose values are tensors, of which only the first may say that they are scalars.
        offsets: how far each event file is covered.
        marks: parts of the files, [file, start, end, lowest step, highest step], without system metrics.
        others: parts of the files with all events that are no scalars, [file, start, end]; None if that is not known.
        sections: the curves that are not decoded yet, by tag.
    """

    def __init__(self, run: Path) -> None:
        self.run = run
        self.max_buckets = MAX_BUCKETS
        self.clock = Clock()
        self.last: dict[str, tuple[int, float]] = {}
        self.highest_step = -(2**63)
        self.times: list[float] = []
        self.is_resumed = self.has_settings = False
        self.tensor_tags: list[str] = []
        self.config: dict[str, Any] | None = {}
        self.offsets: dict[Path, int] = {}
        self.marks: list[Mark] = []
        self.others: list[Mark] | None = []
        self._series: dict[str, DownsampledSeries] = {}
        self.sections: dict[str, bytes] = {}  # that are not decoded yet

    @property
    def tags(self) -> list[str]:
        """The tags of all curves."""
        return list(self.last)

    def series(self, tag: str) -> DownsampledSeries:
        """Return the curve of a tag. Raises an exception if the index is damaged."""
        if tag not in self._series:
            section = self.sections.pop(tag, None)
            self._series[tag] = (
                DownsampledSeries(self.max_buckets)
                if section is None
                else index_format.decode_series(section, self.max_buckets)
            )
        return self._series[tag]

    def times_of(self, tag: str, steps: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return when the steps of a curve were, in seconds since the epoch, as far as the clock of the run tells."""
        import numpy as np

        first = self.times[0] if self.times else 0.0
        if is_system(tag):  # whose steps are seconds
            return (first + steps).astype(np.float64)
        clock = self.clock.series.columns()
        if not len(clock.steps):
            return np.full(len(steps), first)
        return np.interp(steps, clock.steps, clock.values)

    def timed_series(self, tag: str) -> DownsampledSeries:
        """Return a copy of the curve of a tag, in which the points have times. Raises what `series` raises."""
        import numpy as np

        series = self.series(tag)
        size, buckets = series.buckets()
        points = [point for bucket in buckets for point in bucket if point is not None]
        times = iter(self.times_of(tag, np.array([point[1] for point in points], np.int64)).tolist())
        timed = [tuple(None if point is None else (*point[:3], next(times)) for point in bucket) for bucket in buckets]
        return DownsampledSeries.restored(self.max_buckets, size, series.count, timed, series.sums())

    def fold(self, batches: Iterable[Batch], only: set[str] | None = None) -> None:
        """Take in what follows; `only` restricts it to some tags, after which the index is not to be saved."""
        for batch in batches:
            if not isinstance(batch, ScalarBlock):
                for record in batch:
                    if isinstance(record, Config):
                        self._take_config(record)
                continue
            self._take_times(float(batch.times.min()), float(batch.times.max()))
            self.highest_step = max(self.highest_step, int(batch.steps.max()))
            self.clock.add(batch)
            own = batch if only is None else select_tags(batch, only)
            for tag, steps, values, _ in own.series():
                if only is None or tag in only:
                    self.series(tag).extend(steps, values)
                    self.last[tag] = int(steps[-1]), float(values[-1])

    def summarize(self, goals: Goals | None = None) -> MetricSummary:
        """Return the last and best values of the metrics."""
        summary = MetricSummary(goals)
        for tag, (step, value) in self.last.items():
            if not (self.has_settings and is_best_value(tag)):
                points = {point for bucket in self.series(tag).buckets()[1] for point in bucket if point is not None}
                for _, point_step, point_value, _ in [*sorted(points), (0, step, value, 0.0)]:
                    summary.add(tag, point_value, point_step)
        return summary

    def _take_times(self, first: float, last: float) -> None:
        self.times = [min([first, *self.times[:1]]), max([last, *self.times[1:]])]

    def _take_config(self, record: Config) -> None:
        self.has_settings = True
        self._take_times(record.time, record.time)
        if self.config is not None:
            self.config |= record.values
            try:
                text = json.dumps(self.config)
            except (TypeError, ValueError):
                text = ""
            if not 0 < len(text) <= MAX_CONFIG_CHARS:
                self.config = None

    def fit(self, size: int, least: int) -> None:
        """Reduce the resolution until the index fits beside `size` bytes of event files.

        Raises `TooManyCurves` if that takes fewer than `least` buckets a curve.
        """
        room = room_for_index(size) - sum(2 * len(tag) + BYTES_PER_TAG for tag in self.last)
        while sum(self.series(tag).bucket_count for tag in self.last) * BYTES_PER_BUCKET > room:
            if self.max_buckets // 2 < least:
                raise TooManyCurves(f"{len(self.last):,} curves in {size:,} bytes of event files")
            self.max_buckets //= 2
            for tag in self.last:
                self.series(tag).limit(self.max_buckets)

    def save(self, size: int) -> int:
        """Write the index beside `size` bytes of event files; return its bytes.

        Raises `OSError`, or `TooManyCurves` if it is too large after all.
        """
        header = {
            "files": [index_trust.describe(path, covered) for path, covered in self.offsets.items()],
            "max_buckets": self.max_buckets,
            "clock_step": self.clock.last_step,
            "highest_step": self.highest_step,
            "last": self.last,
            "times": self.times,
            "is_resumed": self.is_resumed,
            "has_settings": self.has_settings,
            "tensor_tags": self.tensor_tags,
            "config": self.config,
            "marks": self.marks,
            "others": self.others,
        }
        sections = {tag: index_format.encode_series(self.series(tag)) for tag in self.last}
        sections = {f"/{tag}": section for tag, section in sections.items()}
        sections["clock"] = index_format.encode_series(self.clock.series)
        data = index_format.encode(header, sections)
        if len(data) > room_for_index(size):
            raise TooManyCurves(f"{len(self.last):,} curves take {len(data):,} bytes")
        atomic_write(self.run / INDEX_FILE, data)
        return len(data)


def load_index(run: Path) -> RunIndex | None:
    """Return the index of a run; None without one that can be trusted. Blocks; never raises."""
    if not run.is_dir():
        return None
    try:
        with open_regular(run / INDEX_FILE) as file:
            data = file.read(MAX_INDEX_BYTES)
        return _parse(run, data)
    except FileNotFoundError:
        return None
    except Exception as error:  # of unknown origin, so anything can be wrong with it
        log.debug("%s: %s", run / INDEX_FILE, error)
        return None


def _parse(run: Path, data: bytes) -> RunIndex | None:
    header, at = index_format.decode(data)
    files = event_files(run)
    noted = index_trust.parse(header["files"], files)
    if not all(
        index_trust.is_unchanged(path, entry, may_grow=place == len(noted) - 1)
        for place, (path, entry) in enumerate(noted.items())
    ):
        return None
    index = RunIndex(run)
    index.max_buckets = int(header["max_buckets"])
    sections = {
        str(name): data[at + start : at + start + length] for name, (start, length) in header["sections"].items()
    }
    index.clock = Clock(index_format.decode_series(sections.pop("clock"), CLOCK_BUCKETS), int(header["clock_step"]))
    index.last = {str(tag): (int(step), float(value)) for tag, (step, value) in header["last"].items()}
    index.highest_step = int(header["highest_step"])
    index.times = list(map(float, header["times"]))
    index.is_resumed, index.has_settings = bool(header["is_resumed"]), bool(header["has_settings"])
    index.tensor_tags = list(map(str, header["tensor_tags"]))
    index.config = header["config"] if header["config"] is None else dict(header["config"])
    index.marks = [[str(name), *map(int, numbers)] for name, *numbers in header["marks"]]
    others = header.get("others")  # which the first indexes did not have
    index.others = None if others is None else [[str(name), int(start), int(end)] for name, start, end in others]
    index.offsets = {path: entry.covered for path, entry in noted.items()}
    index.sections = {name[1:]: section for name, section in sections.items()}
    if list(index.sections) != list(index.last) or not MIN_BUCKETS <= index.max_buckets <= MAX_BUCKETS:
        raise ValueError("the index does not have what its header says")
    return index
