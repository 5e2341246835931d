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


def scalar(known_tags: set[str], tag: str, value: Any, step: int) -> Entries:
    tag, step = validation.tag(tag, known_tags), validation.step(step)
    number, now = validation.scalar(value, tag), time()
    return (Scalar(tag, number, step, now) if type(number) is float else DeviceScalar(tag, number, step, now),)


def scalars(known_tags: set[str], values: Mapping[str, Any], step: int) -> Entries:
    if not isinstance(values, Mapping):
        raise TypeError(f"scalars takes a mapping of tags to values, not {type(values).__name__}")
    step, now = validation.step(step), time()
    host_values: dict[str, float] = {}
    device_scalars: list[DeviceScalar] = []
    for tag, value in values.items():
        if tag not in known_tags:
            validation.tag(tag, known_tags)
        number = value if type(value) is float else validation.scalar(value, tag)
        if type(number) is float:
            host_values[tag] = number
        else:
            device_scalars.append(DeviceScalar(tag, number, step, now))
    return [(None, host_values, step, now), *device_scalars] if host_values else device_scalars


def images(known_tags: set[str], tag: str, given: Any, step: int) -> Entries:
    tag, step, now = validation.tag(tag, known_tags), validation.step(step), time()
    copy = ArraySnapshot(validation.images(given, tag), MAX_IMAGES)
    return (PendingRecord(Images, copy.nbytes, lambda: Images(tag, to_uint8(copy.numpy()), step, now)),)


def predictions(
    known_tags: set[str], tag: str, given: Any, predicted: Any, target: Any, step: int, names: Sequence[str]
) -> Entries:
    tag, step, now = validation.tag(tag, known_tags), validation.step(step), time()
    given = validation.images(given, tag)
    predicted_copy = ArraySnapshot(validation.labels(predicted, len(given), f"{tag}: predicted"), MAX_IMAGES)
    target_copy = ArraySnapshot(validation.labels(target, len(given), f"{tag}: target"), MAX_IMAGES)
    class_names = tuple(validation.text(name, f"{tag}: a class name") for name in names)
    copy = ArraySnapshot(given, MAX_IMAGES)

    def build() -> Predictions:
        classes = [labels.numpy().astype("int64") for labels in (predicted_copy, target_copy)]
        return Predictions(tag, to_uint8(copy.numpy()), classes[0], classes[1], class_names, step, now)

    return (PendingRecord(Predictions, copy.nbytes + predicted_copy.nbytes + target_copy.nbytes, build),)


def text(known_tags: set[str], tag: str, given: str, step: int) -> Entries:
    tag, step = validation.tag(tag, known_tags), validation.step(step)
    return (Text(tag, validation.text(given, tag), step, time()),)


def histogram(known_tags: set[str], tag: str, values: Any, step: int) -> Entries:
    tag, step, now = validation.tag(tag, known_tags), validation.step(step), time()
    copy = ArraySnapshot(validation.numbers(values, tag))
    return (PendingRecord(Histogram, copy.nbytes, lambda: Histogram(tag, _to_float64(copy), step, now)),)


def confusion_matrix(known_tags: set[str], tag: str, given: Any, step: int, names: Sequence[str]) -> Entries:
    tag, step, now = validation.tag(tag, known_tags), validation.step(step), time()
    copy = ArraySnapshot(validation.square(given, tag))
    class_names = tuple(validation.text(name, f"{tag}: a class name") for name in names)

    def build() -> ConfusionMatrix:
        return ConfusionMatrix(tag, copy.numpy().astype("int64"), class_names, step, now)

    return (PendingRecord(ConfusionMatrix, copy.nbytes, build),)


def curve(
    known_tags: set[str], tag: str, x: Any, y: Any, step: int, x_title: str, y_title: str, level: Any, points: Any
) -> Entries:
    tag, step, now = validation.tag(tag, known_tags), validation.step(step), time()
    x_title, y_title = validation.text(x_title, "x_title"), validation.text(y_title, "y_title")
    curve_copies = _copy_pair(x, y, tag, "")
    if points is not None and (not isinstance(points, tuple | list) or len(points) != 2):
        raise TypeError(f"{' '.join(tag.split())}: points are a pair, x and y, not {type(points).__name__}")
    point_copies = _copy_pair(points[0], points[1], tag, "points' ") if points is not None else None
    level = validation.number(level, f"{tag}: level") if level is not None else None

    def build() -> Curve:
        point_values = (_to_float64(point_copies[0]), _to_float64(point_copies[1])) if point_copies else None
        return Curve(
            tag,
            _to_float64(curve_copies[0]),
            _to_float64(curve_copies[1]),
            step,
            now,
            x_title,
            y_title,
            level,
            point_values,
        )

    return (PendingRecord(Curve, sum(copy.nbytes for copy in (*curve_copies, *(point_copies or ()))), build),)


def progress(known_tags: set[str], epoch: int, epochs: int, step: int, steps: int) -> Entries:
    epoch, epochs = validation.step(epoch, "epoch"), validation.step(epochs, "epochs")
    return (Progress(epoch, epochs, validation.step(step), validation.step(steps, "steps"), time()),)


def _copy_pair(x: Any, y: Any, tag: str, prefix: str) -> tuple[ArraySnapshot, ArraySnapshot]:
    x_copy, y_copy = (
        ArraySnapshot(validation.numbers(x, f"{tag}: {prefix}x")),
        ArraySnapshot(validation.numbers(y, f"{tag}: {prefix}y")),
    )
    if x_copy.shape != y_copy.shape:
        shapes = f"{list(x_copy.shape)} and {list(y_copy.shape)}"
        raise ValueError(f"{' '.join(tag.split())}: {prefix}x and y must have one shape, not {shapes}")
    return x_copy, y_copy


def _to_float64(copy: ArraySnapshot) -> Any:
    return copy.numpy().ravel().astype("float64")
