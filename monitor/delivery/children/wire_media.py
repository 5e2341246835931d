"""Decode the records of media that a child sent, as `wire_decoding` does for the others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from monitor.capture import validation
from monitor.events.framing import parse_event
from monitor.events.media.decoding import AUDIO_TYPE
from monitor.records import Audio, Detections, Embedding, Figure, Mesh, PRCurve, Summary, Table, Video
from monitor.render.pictures.figures import png_size
from monitor.render.plotly_json import decode_figure

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from monitor.delivery.children.wire_reader import FieldReader


def _figure(r: FieldReader) -> Figure:
    figure = Figure(r.tag(), r.content(), r.step(), r.time(), r.text())
    if bool(figure.png) == bool(figure.plotly):
        raise ValueError("a figure is either a picture or one of Plotly")
    if figure.png:
        png_size(figure.png)
    else:
        decode_figure(figure.plotly)
    return figure


def _audio(r: FieldReader) -> Audio:
    tag, encoded, step, time, kind = r.tag(), r.content(), r.step(), r.time(), r.text()
    if not encoded or not AUDIO_TYPE.fullmatch(kind):
        raise ValueError("this is not a sound")
    return Audio(tag, encoded, step, time, kind, r.count(), r.count(), r.count())


def _video(r: FieldReader) -> Video:
    tag, gif = r.tag(), r.content()
    if not gif.startswith(b"GIF8"):
        raise ValueError("a film must be a GIF file")
    return Video(tag, gif, r.count(), r.count(), r.step(), r.time())


def _detections(r: FieldReader) -> Detections:
    tag, image = r.tag(), r.array("u1")
    boxes, labels, masks = r.array("f8"), r.names(), r.array("u1")
    if image.ndim != 3 or image.shape[0] not in (1, 3, 4) or 0 in image.shape:
        raise ValueError("an image must be C×H×W")
    if boxes.ndim != 2 or boxes.shape[1] != 4 or len(labels) not in (0, len(boxes)):
        raise ValueError("boxes must be N×4, with one label each")
    if masks.ndim != 3 or masks.shape[1:] != image.shape[1:]:
        raise ValueError("masks must be K×H×W, as large as the image")
    return Detections(tag, image, boxes, labels, masks, r.step(), r.time())


def _pr_curve(r: FieldReader) -> PRCurve:
    tag, counts, precision, recall = r.tag(), r.array("f8"), r.vector(), r.vector()
    if counts.shape != (4, len(precision)) or len(recall) != len(precision):
        raise ValueError("counts must be 4×K, precision and recall K numbers")
    return PRCurve(tag, counts, precision, recall, r.step(), r.time())


def _embedding(r: FieldReader) -> Embedding:
    tag, vectors, step, time, labels, columns = r.tag(), r.array("f4"), r.step(), r.time(), r.rows(), r.names()
    described = r.field()
    images = None if described is None else validation.images(r.array_of(described, "u1"), tag)
    if vectors.ndim != 2 or 0 in vectors.shape or (images is not None and len(images) != len(vectors)):
        raise ValueError("an embedding must be N×D, with one image for each point")
    if len(labels) not in (0, len(vectors)) or len({*map(len, labels), *([len(columns)] if columns else [])}) > 1:
        raise ValueError("an embedding needs a row of labels for each point")
    return Embedding(tag, vectors, step, time, labels, columns, images)


def _mesh(r: FieldReader) -> Mesh:
    mesh = Mesh(r.tag(), r.array("f4"), r.array("i8"), r.array("u1"), r.step(), r.time())
    if not all(_are_triples(array) for array in mesh[1:4]) or len(mesh.colors) not in (0, len(mesh.vertices)):
        raise ValueError("vertices, faces, and colors must be N×3, with one color for each vertex")
    return mesh


def _are_triples(array: NDArray[Any]) -> bool:
    return array.ndim == 2 and array.shape[1] == 3


def _table(r: FieldReader) -> Table:
    table = Table(r.tag(), r.names(), r.rows(), r.step(), r.time())
    if len({*map(len, table.rows), *([len(table.columns)] if table.columns else [])}) > 1:
        raise ValueError("all rows of a table must have one length")
    return table


def _summary(r: FieldReader) -> Summary:
    summary = Summary(r.tag(), r.content(), r.integer(), r.time())
    if parse_event(summary.event) is None:
        raise ValueError("this is not an event")
    return summary


MEDIA_DECODERS: dict[str, Callable[[FieldReader], Any]] = {
    "Figure": _figure,
    "Audio": _audio,
    "Video": _video,
    "Detections": _detections,
    "PRCurve": _pr_curve,
    "Embedding": _embedding,
    "Mesh": _mesh,
    "Table": _table,
    "Summary": _summary,
}
