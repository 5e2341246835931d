"""Read what a child sent: it is checked as a log call checks its arguments, and nothing is unpickled."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from monitor.capture import encode, validation
from monitor.delivery.children.wire_media import MEDIA_DECODERS
from monitor.delivery.children.wire_reader import FieldReader, read_float
from monitor.records import (
    Checkpoint,
    Config,
    ConfusionMatrix,
    Curve,
    Histogram,
    Images,
    Predictions,
    Progress,
    Record,
    Summary,
    Text,
)
from monitor.runs.settings.convert import to_settings

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    from monitor.delivery.children.wire import ScalarEntry
    from monitor.metrics import Definition


def decode(header: bytes, arrays: bytes, known_tags: set[str]) -> Record | Definition | ScalarEntry:
    """Return the entry of a frame.

    Args:
        header: the first part.
        arrays: the second part; the arrays of the entry share its memory.
        known_tags: tags that were checked before; new ones are added.

    Raises:
        Exception: if it is not one that a log call makes: TypeError, ValueError, or what `json` raises.
    """
    fields = json.loads(header)
    if type(fields) is not list or not fields or type(fields[0]) is not str or fields[0] not in _DECODERS:
        raise ValueError("this is not a record that a child process may log")
    entry: Record | Definition | ScalarEntry = _DECODERS[fields[0]](FieldReader(fields[1:], arrays, known_tags))
    return entry


def _scalars(r: FieldReader) -> ScalarEntry:
    tag, value = r.field(), r.field()
    if tag is None:
        if type(value) is not dict:
            raise TypeError("several scalars must be a mapping")
        values = {validation.tag(name, r.known_tags): read_float(number) for name, number in value.items()}
        return (None, values, r.step(), r.time())
    return (validation.tag(tag, r.known_tags), read_float(value), r.step(), r.time())


def _settings(field: Any) -> dict[str, Any]:
    if type(field) is not dict:
        raise TypeError("settings must be a mapping")
    return to_settings(field)


def _images(r: FieldReader) -> Images:
    tag = r.tag()
    return Images(tag, _pictures(r, tag), r.step(), r.time())


def _predictions(r: FieldReader) -> Predictions:
    tag = r.tag()
    pictures = _pictures(r, tag)
    predicted, target = (validation.labels(r.array("i8"), len(pictures), tag) for _ in range(2))
    record = Predictions(tag, pictures, predicted, target, r.names(), r.step(), r.time())
    if any(r.field() is not None for _ in range(2)):
        raise ValueError("a child process sends predictions without their timeline")
    return record


def _pictures(r: FieldReader, tag: str) -> NDArray[np.uint8]:
    pictures: NDArray[np.uint8] = validation.images(r.array("u1"), tag)
    if pictures.ndim != 4:
        raise ValueError("images must be N×C×H×W")
    return pictures


def _histogram(r: FieldReader) -> Histogram:
    histogram = Histogram(r.tag(), r.vector(), r.step(), r.time())
    if r.field() is not None:
        raise ValueError("a child process sends the values of a histogram, not its buckets")
    return histogram


def _confusion_matrix(r: FieldReader) -> ConfusionMatrix:
    tag = r.tag()
    return ConfusionMatrix(tag, validation.square(r.array("i8"), tag), r.names(), r.step(), r.time())


def _curve(r: FieldReader) -> Curve:
    tag, x, y = r.tag(), r.vector(), r.vector()
    if len(x) != len(y):
        raise ValueError("x and y differ in length")
    return Curve(tag, x, y, r.step(), r.time(), r.text(), r.text(), r.level(), r.pair())


def _definition(r: FieldReader) -> Definition:
    return encode.definition(r.known_tags, r.field(), r.field())[0]


def _checked(read: Callable[[FieldReader], Any]) -> Callable[[FieldReader], Any]:
    def decoder(r: FieldReader) -> Any:
        entry = read(r)
        r.end()
        return entry

    return decoder


_DECODERS = {
    kind: _checked(read)
    for kind, read in {
        "Scalar": _scalars,
        "Images": _images,
        "Predictions": _predictions,
        "Text": lambda r: Text(r.tag(), r.text(), r.step(), r.time(), r.flag()),
        "Histogram": _histogram,
        "ConfusionMatrix": _confusion_matrix,
        "Curve": _curve,
        "Definition": _definition,
        "Progress": lambda r: Progress(r.integer(), r.integer(), r.integer(), r.integer(), r.time()),
        "Summary": lambda r: Summary(r.text(), r.array("u1").tobytes(), r.integer(), r.time()),
        "Config": lambda r: Config(_settings(r.field()), r.time()),
        "Checkpoint": lambda r: Checkpoint(r.text(), r.integer(), r.time()),
        **MEDIA_DECODERS,
    }.items()
}
