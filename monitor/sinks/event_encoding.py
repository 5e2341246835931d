"""Encode records that are not scalars as events for TensorBoard. It has no state, so any thread may call it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from monitor.events import summaries
from monitor.prediction_timeline import timeline_tag
from monitor.records import (
    Checkpoint,
    Config,
    ConfusionMatrix,
    Curve,
    Histogram,
    Images,
    Predictions,
    Record,
    Restart,
    Summary,
    Text,
)
from monitor.render.pictures.confusion import confusion_matrix_image
from monitor.render.pictures.confusion_numbers import with_numbers
from monitor.render.pictures.curve import curve_image
from monitor.render.pictures.images import image_grid
from monitor.render.pictures.predictions import prediction_grid, prediction_labels
from monitor.render.reduction.histograms import bin_counts
from monitor.render.reduction.prediction_timeline import timeline_image, with_timeline
from monitor.sinks.media_encoding import MEDIA_ENCODERS

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from monitor.render.pictures.images import PngImage

HISTOGRAM_BINS = 64

Values = list[summaries.Value]


def encode_record(record: Record) -> bytes:
    """Draw and encode a record that is not a scalar; return its event."""
    if isinstance(record, Summary):
        return record.event
    if isinstance(record, Restart):
        event = summaries.restart(record.step, record.time)
    elif isinstance(record, Checkpoint):
        event = summaries.checkpoint(record.name, record.step, record.time)
    else:
        step = 0 if isinstance(record, Config) else record.step
        event = summaries.event(ENCODERS[type(record)](record), step, record.time)
    encoded: bytes = event.SerializeToString()
    return encoded


def _image(tag: str, picture: PngImage) -> summaries.Value:
    return summaries.image(tag, picture.png, picture.width, picture.height, picture.channels)


def _predictions(record: Predictions) -> Values:
    labels = summaries.preformatted(prediction_labels(record))
    picture = prediction_grid(record)
    if record.first_test is not None:  # a resumed run must know it
        picture = with_timeline(picture, record.first_test)
    values = [_image(record.tag, picture), summaries.text(f"{record.tag}/labels", labels)]
    if record.timeline is not None:
        values.append(_image(timeline_tag(record.tag), timeline_image(record.timeline)))
    return values


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
        with np.errstate(over="ignore"):
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
    Images: lambda record: [_image(record.tag, image_grid(record))],
    Predictions: _predictions,
    ConfusionMatrix: lambda record: [_image(record.tag, with_numbers(confusion_matrix_image(record), record))],
    Text: lambda record: [summaries.text(record.tag, record.text, is_markdown=record.markdown)],
    Histogram: _histogram,
    Curve: lambda record: [_image(record.tag, curve_image(record))],
    Config: _config,
    **MEDIA_ENCODERS,
}
