"""Encode records of media as values for TensorBoard. It has no state, so any thread may call it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from monitor.events import summaries
from monitor.events.media import summaries as media_summaries
from monitor.events.media.markdown_cells import to_rows
from monitor.records import Audio, Detections, Figure, Mesh, PRCurve, Table, Video
from monitor.render.pictures.detections import detection_image
from monitor.render.pictures.figures import png_size
from monitor.render.pictures.plotly_picture import plotly_picture

if TYPE_CHECKING:
    from collections.abc import Callable

Values = list[summaries.Value]


def _figure(record: Figure) -> Values:
    png = record.png or plotly_picture(record.plotly, record.tag)
    return [summaries.image(record.tag, png, *png_size(png))]


def _audio(record: Audio) -> Values:
    sizes = record.sample_rate, record.channels, record.frames
    return [media_summaries.audio(record.tag, record.encoded, record.media_type, *sizes)]


def _detections(record: Detections) -> Values:
    picture = detection_image(record)
    return [summaries.image(record.tag, picture.png, picture.width, picture.height)]


def _table(record: Table) -> Values:
    rows = to_rows(record.columns, record.rows)
    return [summaries.table(record.tag, rows) if rows and rows[0] else summaries.text(record.tag, "an empty table")]


MEDIA_ENCODERS: dict[type, Callable[[Any], Values]] = {
    Figure: _figure,
    Audio: _audio,
    Video: lambda record: [summaries.image(record.tag, record.gif, record.width, record.height)],
    Detections: _detections,
    PRCurve: lambda record: [media_summaries.pr_curve(record.tag, record.counts, record.precision, record.recall)],
    Mesh: lambda record: media_summaries.mesh(record.tag, record.vertices, record.faces, record.colors),
    Table: _table,
}
