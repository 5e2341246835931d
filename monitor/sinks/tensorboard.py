"""TensorBoard, through tensorboardX's encoders: every kind of record in one event file a run.

Scalars are float32 there, as TensorBoard stores them. All scalars of one step travel in one event.
"""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any

from tensorboardX import summary
from tensorboardX.proto.api_pb2 import Status
from tensorboardX.proto.event_pb2 import Event, SessionLog
from tensorboardX.proto.layout_pb2 import Category, Chart, Layout, MultilineChartContent
from tensorboardX.proto.plugin_hparams_pb2 import HParamsPluginData, SessionEndInfo, SessionStartInfo
from tensorboardX.proto.summary_pb2 import Summary, SummaryMetadata
from tensorboardX.proto.tensor_pb2 import TensorProto
from tensorboardX.proto.tensor_shape_pb2 import TensorShapeProto

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
from monitor.render import histograms, images
from monitor.sinks.base import Sink

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from monitor.render.images import PngImage
    from monitor.runs.run import Run

HISTOGRAM_BINS = 64  # of a histogram
SAME_EVENT_S = 0.001  # seconds; scalars of one step that were logged within this share an event, and so a wall time
MAX_CACHED_EVENTS = 256  # sets of tags whose event is kept


class TensorBoardSink(Sink):
    """Write event files into the run directory. What was logged is on disk within a second."""

    name = "tensorboard"
    accepts = RECORD_TYPES - {Progress}
    durable = True

    def __init__(self, rank: int = 0) -> None:
        """Make the sink of one process of a training; the run's settings and its end are rank 0's to tell."""
        self._rank = rank
        if rank:
            self.accepts = self.accepts - {Config}
        self._file: EventFileWriter | None = None
        self._run: Run | None = None
        # By tags: an event, its values, and which of them are watched for their best.
        self._shapes: dict[tuple[str, ...], tuple[Any, list[Any], list[tuple[str, int]]]] = {}
        self._tally = MetricSummary()
        self._parts: dict[str, list[str]] = {}  # by metric: the parts of the data that it was logged of
        self._encoders: dict[type, Callable[[Any], Sequence[Any]]] = {
            Images: lambda r: [_image(r.tag, images.image_grid(r))],
            Predictions: _predictions,
            ConfusionMatrix: lambda r: [_image(r.tag, images.confusion_matrix_image(r))],
            Text: lambda r: summary.text(r.tag, r.text).value,
            Histogram: _histogram,
            Curve: lambda r: [_image(r.tag, images.curve_image(r))],
            Config: _config,
        }

    def open(self, run: Run) -> None:
        self._run = run
        self._file = EventFileWriter(run.path, f".rank{self._rank}" if self._rank else "")

    def recall(self, records: Sequence[Record]) -> None:
        for record in records:
            if type(record) is Scalar and is_held_out(record.tag):
                self._tally.add(record.tag, record.value, record.step)

    def write(self, records: Sequence[Record]) -> None:
        assert self._file is not None
        tags: list[str] = []  # of the scalars of one step, as they come
        values: list[float] = []
        step, began = 0, 0.0
        for record in records:
            if type(record) is Scalar:
                tag, value, at, when = record
                if tags and (at != step or abs(when - began) > SAME_EVENT_S):
                    self._add_scalars(tags, values, step, began)
                    tags, values = [], []
                if not tags:
                    step, began = at, when
                tags.append(tag)
                values.append(value)
                continue
            if tags:
                self._add_scalars(tags, values, step, began)
                tags, values = [], []
            if isinstance(record, Restart | Checkpoint):
                self._file.add(_session(record))
                continue
            encoded = self._encoders[type(record)](record)
            at = 0 if isinstance(record, Config) else record.step
            self._file.add(Event(wall_time=record.time, step=at, summary=Summary(value=encoded)))
        if tags:
            self._add_scalars(tags, values, step, began)

    def _add_scalars(self, tags: list[str], values: list[float], step: int, when: float) -> None:
        """Add one event; those with the same tags share a message, as making one costs more than all the rest."""
        assert self._file is not None
        key = tuple(tags)
        shape = self._shapes.get(key)
        if shape is None:
            if len(self._shapes) >= MAX_CACHED_EVENTS:
                self._shapes.clear()
            event = Event(summary=Summary(value=[Summary.Value(tag=tag) for tag in tags]))
            watched = [(tag, place) for place, tag in enumerate(tags) if is_held_out(tag) and goal(tag)]
            shape = self._shapes[key] = event, list(event.summary.value), watched
            self._lay_out(tags, step, when)
        event, slots, watched = shape
        event.wall_time, event.step = when, step
        for slot, value in zip(slots, values):
            slot.simple_value = value
        self._file.add(event)
        better = [(tag, values[place]) for tag, place in watched if self._is_best(tag, values[place], step)]
        if better:  # so that HPARAMS has a column for it: it shows the last value of each tag, and nothing else
            best = [Summary.Value(tag=f"{BEST_PREFIX}{tag}", simple_value=value) for tag, value in better]
            self._file.add(Event(wall_time=when, step=step, summary=Summary(value=best)))

    def _is_best(self, tag: str, value: float, step: int) -> bool:
        before = self._tally.best(tag)
        self._tally.add(tag, value, step)
        return self._tally.best(tag) != before

    def _lay_out(self, tags: list[str], step: int, when: float) -> None:
        """Put the training's and the test's curves of one metric on one chart, in CUSTOM SCALARS."""
        assert self._file is not None
        news = False
        for tag in tags:
            part, _, name = tag.rpartition("/")
            if part in SPLIT_ORDER and part not in self._parts.setdefault(name, []):
                self._parts[name].append(part)
                news = news or len(self._parts[name]) == 2
        if news:
            self._file.add(Event(wall_time=when, step=step, summary=Summary(value=[_layout(self._parts)])))

    def flush(self) -> None:
        if self._file is not None:
            self._file.flush()

    def close(self) -> None:
        if self._file is None or self._run is None:
            return
        if not self._rank:
            self._file.add(self._end())
        self._file.flush()
        self._file.close()
        self._file = None

    def _end(self) -> Event:
        assert self._run is not None
        status = "STATUS_SUCCESS" if self._run.status == "finished" else "STATUS_FAILURE"
        end = SessionEndInfo(status=Status.Value(status), end_time_secs=time.time())
        value = _hparams("_hparams_/session_end_info", HParamsPluginData(session_end_info=end))
        return Event(wall_time=time.time(), summary=Summary(value=[value]))


def _session(record: Restart | Checkpoint) -> Event:
    """Make the event that has TensorBoard drop what a restart supersedes, or the one that marks a checkpoint."""
    if isinstance(record, Restart):
        said = SessionLog(status=SessionLog.START)
    else:
        said = SessionLog(status=SessionLog.CHECKPOINT, checkpoint_path=record.name)
    return Event(wall_time=record.time, step=record.step, session_log=said)


def _layout(parts: Mapping[str, Sequence[str]]) -> Any:
    """Lay out the metrics of several parts. Each chart names all parts there are, so that it is one for all runs."""
    charts = [
        Chart(title=name, multiline=MultilineChartContent(tag=[f"^({'|'.join(SPLIT_ORDER)})/{re.escape(name)}$"]))
        for name, found in parts.items()
        if len(found) > 1
    ]
    layout = Layout(category=[Category(title="train and test", chart=charts)])
    tensor = TensorProto(dtype="DT_STRING", string_val=[layout.SerializeToString()], tensor_shape=TensorShapeProto())
    plugin = SummaryMetadata.PluginData(plugin_name="custom_scalars")
    tag = "custom_scalars__config__"
    return Summary.Value(tag=tag, tensor=tensor, metadata=SummaryMetadata(plugin_data=plugin))


def _image(tag: str, picture: PngImage) -> Any:
    image = Summary.Image(height=picture.height, width=picture.width, colorspace=3, encoded_image_string=picture.png)
    return Summary.Value(tag=tag, image=image)


def _predictions(record: Predictions) -> Sequence[Any]:
    text = summary.text(f"{record.tag}/labels", _block(images.prediction_labels(record)))
    return [_image(record.tag, images.prediction_grid(record)), *text.value]


def _histogram(record: Histogram) -> Sequence[Any]:
    import numpy as np

    if record.buckets is not None:
        return [_buckets(record.tag, *record.buckets)]
    finite = record.values[np.isfinite(record.values)]
    if not len(finite):
        note = f"all {len(record.values)} values are NaN or infinite"
        return summary.text(record.tag, note).value  # type: ignore[no-any-return]
    counts, edges = histograms.bin_counts(finite, HISTOGRAM_BINS)
    # TensorBoard's buckets are the counts up to each limit: the first limit opens the first bucket.
    with np.errstate(over="ignore"):
        total, squares = finite.sum(), np.square(finite).sum()
    value = summary.histogram_raw(
        record.tag,
        min=finite.min(),
        max=finite.max(),
        num=len(finite),
        sum=total,
        sum_squares=squares,
        bucket_limits=edges.tolist(),
        bucket_counts=[0, *counts.tolist()],
    )
    return value.value  # type: ignore[no-any-return]


def _buckets(tag: str, counts: Any, edges: Any) -> Any:
    """Make a histogram of which only the counts are known; its values are taken to lie in the middle."""
    middles = (edges[:-1] + edges[1:]) / 2
    value = summary.histogram_raw(
        tag,
        min=float(edges[0]),
        max=float(edges[-1]),
        num=float(counts.sum()),
        sum=float((counts * middles).sum()),
        sum_squares=float((counts * middles**2).sum()),
        bucket_limits=edges.tolist(),
        bucket_counts=[0, *counts.tolist()],
    )
    return value.value[0]


def _config(record: Config) -> Sequence[Any]:
    """Make the run's row in HPARAMS, and the same as text.

    The experiment is left out on purpose: TensorBoard then gathers the columns of all runs by itself, also where their
    settings differ; written by one run it would hide the columns of the others.
    """
    start = SessionStartInfo(start_time_secs=record.time)
    for name, value in record.values.items():
        if isinstance(value, bool):
            start.hparams[name].bool_value = value
        elif isinstance(value, int | float):
            start.hparams[name].number_value = float(value)
        elif value is not None:
            start.hparams[name].string_value = str(value)
    rows = _block("\n".join(f"{name}: {value}" for name, value in record.values.items()))
    return [
        _hparams("_hparams_/session_start_info", HParamsPluginData(session_start_info=start)),
        *summary.text("config", rows or "no settings").value,
    ]


def _hparams(tag: str, content: Any) -> Any:
    plugin = SummaryMetadata.PluginData(plugin_name="hparams", content=content.SerializeToString())
    return Summary.Value(tag=tag, metadata=SummaryMetadata(plugin_data=plugin))


def _block(text: str) -> str:
    """Indent text, so that Markdown keeps its lines apart and marks nothing up."""
    return "\n".join(f"    {line}" for line in text.splitlines())
