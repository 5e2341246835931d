"""The TensorBoard sink: every kind of record in one event file per run.

Scalars are float32 there, as TensorBoard stores them. All scalars of one step share one event.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from monitor.events import summaries
from monitor.events.writer import EventFileWriter
from monitor.metrics import BEST_PREFIX, SPLIT_ORDER, MetricSummary, goal, is_held_out
from monitor.records import (
    RECORD_TYPES,
    Checkpoint,
    Config,
    ConfusionMatrix,
    Curve,
    Histogram,
    Images,
    Predictions,
    Progress,
    Record,
    Restart,
    Scalar,
    Text,
)
from monitor.render import images
from monitor.render.histograms import bin_counts
from monitor.sinks.base import Sink

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from monitor.render.images import PngImage
    from monitor.runs.run import Run

HISTOGRAM_BINS = 64
SAME_EVENT_S = 0.001  # scalars of one step logged within this time share an event, and so a wall time
MAX_CACHED_EVENTS = 256  # sets of tags whose event is reused

Values = list[summaries.Value]


class TensorBoardSink(Sink):
    """Write event files into the run directory. What was logged is on disk within a second."""

    name = "tensorboard"
    accepts = RECORD_TYPES - {Progress}
    durable = True
    scalars_first = True
    writes_event_files = True

    def __init__(self, rank: int = 0) -> None:
        """Make the sink of one training process; only rank 0 writes the run's settings and its end."""
        self._rank = rank
        if rank:
            self.accepts = self.accepts - {Config}
        self._file: EventFileWriter | None = None
        self._run: Run | None = None
        # By tags: an event, its values, and the (tag, index) pairs whose best is tracked.
        self._cached_events: dict[tuple[str, ...], tuple[Any, Values, list[tuple[str, int]]]] = {}
        self._summary = MetricSummary()
        self._splits: dict[str, list[str]] = {}  # by metric: the splits that it was logged for

    def open(self, run: Run) -> None:
        """Prepare a writer; the file itself is made at the first flush."""
        self._run = run
        self._file = EventFileWriter(run.path, f".rank{self._rank}" if self._rank else "")

    def recall(self, records: Sequence[Record]) -> None:
        """Take in the best values so far."""
        for record in records:
            if type(record) is Scalar and is_held_out(record.tag):
                self._summary.add(record.tag, record.value, record.step)

    def write(self, records: Sequence[Record]) -> None:
        """Encode the records into the writer's buffer."""
        assert self._file is not None
        tags: list[str] = []  # of the scalars that will share the next event
        values: list[float] = []
        step, first_time = 0, 0.0
        for record in records:
            if type(record) is Scalar:
                tag, value, at_step, at_time = record
                if tags and (at_step != step or abs(at_time - first_time) > SAME_EVENT_S):
                    self._add_scalars(tags, values, step, first_time)
                    tags, values = [], []
                if not tags:
                    step, first_time = at_step, at_time
                tags.append(tag)
                values.append(value)
                continue
            if tags:
                self._add_scalars(tags, values, step, first_time)
                tags, values = [], []
            self._file.add(_event(record))
        if tags:
            self._add_scalars(tags, values, step, first_time)

    def flush(self) -> None:
        """Write and fsync the buffer."""
        if self._file is not None:
            self._file.flush()

    def close(self) -> None:
        """Note the run's end in HPARAMS and close the file."""
        if self._file is None or self._run is None:
            return
        if not self._rank:
            end = time.time()
            value = summaries.session_end(succeeded=self._run.status == "finished", end=end)
            self._file.add(summaries.event([value], 0, end))
        self._file.flush()
        self._file.close()
        self._file = None

    def _add_scalars(self, tags: list[str], values: list[float], step: int, wall_time: float) -> None:
        """Add one event. Events with the same tags reuse one message, because making one is most of the cost."""
        assert self._file is not None
        key = tuple(tags)
        cached = self._cached_events.get(key)
        if cached is None:
            if len(self._cached_events) >= MAX_CACHED_EVENTS:
                self._cached_events.clear()
            event = summaries.event([summaries.scalar(tag) for tag in tags], step, wall_time)
            tracked = [(tag, index) for index, tag in enumerate(tags) if is_held_out(tag) and goal(tag)]
            cached = self._cached_events[key] = event, list(event.summary.value), tracked
            self._update_chart_layout(tags, step, wall_time)
        event, slots, tracked = cached
        event.wall_time, event.step = wall_time, step
        for slot, value in zip(slots, values):
            slot.simple_value = value
        self._file.add(event)
        improved = [(tag, values[index]) for tag, index in tracked if self._is_best(tag, values[index], step)]
        if improved:  # HPARAMS shows the last value of each tag and nothing else, so the best needs a tag of its own
            best = [summaries.scalar(f"{BEST_PREFIX}{tag}", value) for tag, value in improved]
            self._file.add(summaries.event(best, step, wall_time))

    def _is_best(self, tag: str, value: float, step: int) -> bool:
        previous = self._summary.best(tag)
        self._summary.add(tag, value, step)
        return self._summary.best(tag) != previous

    def _update_chart_layout(self, tags: list[str], step: int, wall_time: float) -> None:
        """Put the training's and the test's curves of one metric on one chart, in CUSTOM SCALARS."""
        assert self._file is not None
        changed = False
        for tag in tags:
            split, _, metric = tag.rpartition("/")
            if split in SPLIT_ORDER and split not in self._splits.setdefault(metric, []):
                self._splits[metric].append(split)
                changed = changed or len(self._splits[metric]) == 2
        if changed:
            self._file.add(summaries.event([summaries.chart_layout(self._splits)], step, wall_time))


def _event(record: Record) -> Any:
    """Return the event of a record that is not a scalar."""
    if isinstance(record, Restart):
        return summaries.restart(record.step, record.time)
    if isinstance(record, Checkpoint):
        return summaries.checkpoint(record.name, record.step, record.time)
    step = 0 if isinstance(record, Config) else record.step
    return summaries.event(ENCODERS[type(record)](record), step, record.time)


def _image(tag: str, picture: PngImage) -> summaries.Value:
    return summaries.image(tag, picture.png, picture.width, picture.height)


def _predictions(record: Predictions) -> Values:
    labels = summaries.preformatted(images.prediction_labels(record))
    return [_image(record.tag, images.prediction_grid(record)), summaries.text(f"{record.tag}/labels", labels)]


def _config(record: Config) -> Values:
    rows = summaries.preformatted("\n".join(f"{name}: {value}" for name, value in record.values.items()))
    return [summaries.session_start(record.values, record.time), summaries.text("config", rows or "no settings")]


def _histogram(record: Histogram) -> Values:
    import numpy as np

    counts: NDArray[Any]
    if record.buckets is not None:  # only counts are known: take the values to lie in the middle of their buckets
        counts, edges = record.buckets
        middles = (edges[:-1] + edges[1:]) / 2
        low, high = float(edges[0]), float(edges[-1])
        total, squares = float((counts * middles).sum()), float((counts * middles**2).sum())
    else:
        finite = record.values[np.isfinite(record.values)]
        if not len(finite):
            return [summaries.text(record.tag, f"all {len(record.values)} values are NaN or infinite")]
        counts, edges = bin_counts(finite, HISTOGRAM_BINS)
        low, high = float(finite.min()), float(finite.max())
        with np.errstate(over="ignore"):
            total, squares = float(finite.sum()), float(np.square(finite).sum())
    return [
        summaries.histogram(record.tag, counts, edges, minimum=low, maximum=high, total=total, total_of_squares=squares)
    ]


ENCODERS: dict[type, Callable[[Any], Values]] = {
    Images: lambda record: [_image(record.tag, images.image_grid(record))],
    Predictions: _predictions,
    ConfusionMatrix: lambda record: [_image(record.tag, images.confusion_matrix_image(record))],
    Text: lambda record: [summaries.text(record.tag, record.text)],
    Histogram: _histogram,
    Curve: lambda record: [_image(record.tag, images.curve_image(record))],
    Config: _config,
}
