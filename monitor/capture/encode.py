"""From the arguments of a log call to what goes into the inbox: checked, and copied.

Each function returns the entries of one call, all or none of them: a mistake raises before anything is enqueued. What
takes longer than a copy is left to the worker that resolves the entry.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from time import time
from typing import Any

from monitor.capture import validation
from monitor.capture.snapshot import ArraySnapshot, DeviceScalar, PendingRecord, to_uint8
from monitor.records import ConfusionMatrix, Curve, Histogram, Images, Predictions, Progress, Record, Scalar, Text

# As `Pipeline.inbox` takes them; a tuple is several scalars of one step: None, values by tag, step, time.
Entries = Sequence[Record | PendingRecord | DeviceScalar | tuple[None, dict[str, float], int, float]]

MAX_IMAGES = 256  # of one call; a grid of more cannot be told apart on a screen


def scalar(known: set[str], tag: str, value: Any, step: int) -> Entries:
    tag, at = validation.tag(tag, known), validation.step(step)
    read, now = validation.scalar(value, tag), time()
    return (Scalar(tag, read, at, now) if type(read) is float else DeviceScalar(tag, read, at, now),)


def scalars(known: set[str], values: Mapping[str, Any], step: int) -> Entries:
    if not isinstance(values, Mapping):
        raise TypeError(f"scalars takes a mapping of tags to values, not {type(values).__name__}")
    at, now = validation.step(step), time()
    here: dict[str, float] = {}
    away: list[DeviceScalar] = []
    for tag, value in values.items():
        if tag not in known:
            validation.tag(tag, known)
        read = value if type(value) is float else validation.scalar(value, tag)
        if type(read) is float:
            here[tag] = read
        else:
            away.append(DeviceScalar(tag, read, at, now))
    return [(None, here, at, now), *away] if here else away


def images(known: set[str], tag: str, given: Any, step: int) -> Entries:
    tag, at, now = validation.tag(tag, known), validation.step(step), time()
    copy = ArraySnapshot(validation.images(given, tag), MAX_IMAGES)
    return (PendingRecord(Images, copy.nbytes, lambda: Images(tag, to_uint8(copy.numpy()), at, now)),)


def predictions(
    known: set[str], tag: str, given: Any, predicted: Any, target: Any, step: int, names: Sequence[str]
) -> Entries:
    tag, at, now = validation.tag(tag, known), validation.step(step), time()
    given = validation.images(given, tag)
    said = ArraySnapshot(validation.labels(predicted, len(given), f"{tag}: predicted"), MAX_IMAGES)
    true = ArraySnapshot(validation.labels(target, len(given), f"{tag}: target"), MAX_IMAGES)
    called = tuple(validation.text(name, f"{tag}: a class name") for name in names)
    copy = ArraySnapshot(given, MAX_IMAGES)

    def build() -> Predictions:
        classes = [labels.numpy().astype("int64") for labels in (said, true)]
        return Predictions(tag, to_uint8(copy.numpy()), classes[0], classes[1], called, at, now)

    return (PendingRecord(Predictions, copy.nbytes + said.nbytes + true.nbytes, build),)


def text(known: set[str], tag: str, given: str, step: int) -> Entries:
    tag, at = validation.tag(tag, known), validation.step(step)
    return (Text(tag, validation.text(given, tag), at, time()),)


def histogram(known: set[str], tag: str, values: Any, step: int) -> Entries:
    tag, at, now = validation.tag(tag, known), validation.step(step), time()
    copy = ArraySnapshot(validation.numbers(values, tag))
    return (PendingRecord(Histogram, copy.nbytes, lambda: Histogram(tag, _flat(copy), at, now)),)


def confusion_matrix(known: set[str], tag: str, given: Any, step: int, names: Sequence[str]) -> Entries:
    tag, at, now = validation.tag(tag, known), validation.step(step), time()
    copy = ArraySnapshot(validation.square(given, tag))
    called = tuple(validation.text(name, f"{tag}: a class name") for name in names)

    def build() -> ConfusionMatrix:
        return ConfusionMatrix(tag, copy.numpy().astype("int64"), called, at, now)

    return (PendingRecord(ConfusionMatrix, copy.nbytes, build),)


def curve(
    known: set[str], tag: str, x: Any, y: Any, step: int, x_title: str, y_title: str, level: Any, points: Any
) -> Entries:
    tag, at, now = validation.tag(tag, known), validation.step(step), time()
    across, up = validation.text(x_title, "x_title"), validation.text(y_title, "y_title")
    line = _pair(x, y, tag, "")
    if points is not None and (not isinstance(points, tuple | list) or len(points) != 2):
        raise TypeError(f"{' '.join(tag.split())}: points are a pair, x and y, not {type(points).__name__}")
    data = _pair(points[0], points[1], tag, "points' ") if points is not None else None
    height = validation.number(level, f"{tag}: level") if level is not None else None

    def build() -> Curve:
        shown = (_flat(data[0]), _flat(data[1])) if data else None
        return Curve(tag, _flat(line[0]), _flat(line[1]), at, now, across, up, height, shown)

    return (PendingRecord(Curve, sum(copy.nbytes for copy in (*line, *(data or ()))), build),)


def progress(known: set[str], epoch: int, epochs: int, step: int, steps: int) -> Entries:
    done, of = validation.step(epoch, "epoch"), validation.step(epochs, "epochs")
    return (Progress(done, of, validation.step(step), validation.step(steps, "steps"), time()),)


def _pair(x: Any, y: Any, tag: str, whose: str) -> tuple[ArraySnapshot, ArraySnapshot]:
    xs, ys = (
        ArraySnapshot(validation.numbers(x, f"{tag}: {whose}x")),
        ArraySnapshot(validation.numbers(y, f"{tag}: {whose}y")),
    )
    if xs.shape != ys.shape:
        shapes = f"{list(xs.shape)} and {list(ys.shape)}"
        raise ValueError(f"{' '.join(tag.split())}: {whose}x and y must have one shape, not {shapes}")
    return xs, ys


def _flat(copy: ArraySnapshot) -> Any:
    return copy.numpy().ravel().astype("float64")
