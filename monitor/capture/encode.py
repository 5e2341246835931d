"""Turn the arguments of a log call into inbox entries: check them, and copy what could change.

Each function returns the entries of one call, all or none of them: a mistake raises before anything is enqueued. What
takes longer than a copy is left to the worker that resolves the entry.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from time import time
from typing import TYPE_CHECKING, Any

from monitor.capture import validation
from monitor.capture.pending import DeviceScalar, PendingRecord, PendingScalars
from monitor.capture.snapshot import ArraySnapshot, to_uint8, value_range
from monitor.metrics import GOALS, MAX_TAG_CHARS, Definition
from monitor.records import ConfusionMatrix, Curve, Histogram, Images, Predictions, Progress, Record, Scalar, Text
from monitor.render.text.escaping import escape_control_chars

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

# What `Pipeline.inbox` takes. A tuple is several scalars of one step: None, the values by tag, the step, the time. A
# step may be None everywhere: an automatic one, which is set where the inbox is moved.
Entries = Sequence[Record | PendingRecord | PendingScalars | DeviceScalar | tuple[None, dict[str, float], Any, float]]

log = logging.getLogger("monitor")

HALF_GRAY_LEVEL = 0.5 / 255  # what rounding to uint8 hides
MAX_SHOWN_CHARS = 200  # of a tag in a message
MAX_IMAGES = 256  # per call; more cannot be told apart in one grid on a screen


def scalar(known_tags: set[str], tag: str, value: Any, step: int | None) -> Entries:
    """Encode one scalar; a value on a GPU is cloned there and read later."""
    tag, step = validation.tag(tag, known_tags), validation.optional_step(step)
    number, now = validation.scalar(value, tag), time()
    return (Scalar(tag, number, step, now) if type(number) is float else DeviceScalar(tag, number, step, now),)


def scalars(known_tags: set[str], values: Mapping[str, Any], step: int | None) -> Entries:
    """Encode several scalars of one step."""
    if not isinstance(values, Mapping):
        raise TypeError(f"scalars takes a mapping of tags to values, not {type(values).__name__}")
    step, now = validation.optional_step(step), time()
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
    if step is None and device_scalars:  # all of them get the same step
        return (PendingScalars(host_values, device_scalars, now),)
    return [(None, host_values, step, now), *device_scalars] if host_values else device_scalars


def images(
    known_tags: set[str], tag: str, images: Any, step: int | None, normalize: bool, clipped: set[str]
) -> Entries:
    """Encode the first `MAX_IMAGES` images; `clipped` has the tags whose clipped values were told."""
    tag, step, now = validation.tag(tag, known_tags), validation.optional_step(step), time()
    snapshot = ArraySnapshot(validation.picture_grid(images, tag), MAX_IMAGES)
    to_bytes = _image_converter(tag, normalize, clipped)
    return (
        PendingRecord(Images, tag, snapshot.nbytes, lambda: Images(tag, to_bytes(snapshot.numpy()), step, now), step),
    )


def predictions(
    known_tags: set[str],
    tag: str,
    images: Any,
    predicted: Any,
    target: Any,
    step: int | None,
    names: Sequence[str],
    normalize: bool,
    clipped: set[str],
) -> Entries:
    """Encode the first `MAX_IMAGES` images with their predicted and true classes."""
    tag, step, now = validation.tag(tag, known_tags), validation.optional_step(step), time()
    images = validation.images(images, tag)
    predicted = ArraySnapshot(validation.labels(predicted, len(images), f"{tag}: predicted"), MAX_IMAGES)
    target = ArraySnapshot(validation.labels(target, len(images), f"{tag}: target"), MAX_IMAGES)
    names = _check_class_names(names, tag)
    snapshot = ArraySnapshot(images, MAX_IMAGES)
    to_bytes = _image_converter(tag, normalize, clipped)

    def build() -> Predictions:
        classes = [labels.numpy().astype("int64") for labels in (predicted, target)]
        return Predictions(tag, to_bytes(snapshot.numpy()), classes[0], classes[1], names, step, now)

    return (PendingRecord(Predictions, tag, snapshot.nbytes + predicted.nbytes + target.nbytes, build, step),)


def text(known_tags: set[str], tag: str, text: str, step: int | None, markdown: bool) -> Entries:
    """Encode a text."""
    if not isinstance(markdown, bool):
        raise TypeError(f"markdown must be True or False, not {markdown!r}")
    tag, step = validation.tag(tag, known_tags), validation.optional_step(step)
    return (Text(tag, validation.text(text, tag), step, time(), markdown),)


def histogram(known_tags: set[str], tag: str, values: Any, step: int | None) -> Entries:
    """Encode the values of a histogram; they are counted later, by the sinks."""
    tag, step, now = validation.tag(tag, known_tags), validation.optional_step(step), time()
    snapshot = ArraySnapshot(validation.numbers(values, tag))
    return (
        PendingRecord(Histogram, tag, snapshot.nbytes, lambda: Histogram(tag, _to_float64(snapshot), step, now), step),
    )


def confusion_matrix(known_tags: set[str], tag: str, counts: Any, step: int | None, names: Sequence[str]) -> Entries:
    """Encode a confusion matrix."""
    tag, step, now = validation.tag(tag, known_tags), validation.optional_step(step), time()
    snapshot = ArraySnapshot(validation.square(counts, tag))
    names = _check_class_names(names, tag)

    def build() -> ConfusionMatrix:
        return ConfusionMatrix(tag, snapshot.numpy().astype("int64"), names, step, now)

    return (PendingRecord(ConfusionMatrix, tag, snapshot.nbytes, build, step),)


def curve(
    known_tags: set[str],
    tag: str,
    x: Any,
    y: Any,
    step: int | None,
    x_title: str,
    y_title: str,
    level: Any,
    points: Any,
) -> Entries:
    """Encode an x–y plot, with an optional horizontal line and optional points."""
    tag, step, now = validation.tag(tag, known_tags), validation.optional_step(step), time()
    x_title, y_title = validation.text(x_title, "x_title"), validation.text(y_title, "y_title")
    line = _copy_pair(x, y, tag)
    if points is not None and (not isinstance(points, tuple | list) or len(points) != 2):
        raise TypeError(f"{' '.join(tag.split())}: points must be a pair (x, y), not {type(points).__name__}")
    markers = _copy_pair(points[0], points[1], tag, "points: ") if points is not None else None
    level = validation.number(level, f"{tag}: level") if level is not None else None

    def build() -> Curve:
        x, y = (_to_float64(snapshot) for snapshot in line)
        marker_values = (_to_float64(markers[0]), _to_float64(markers[1])) if markers else None
        return Curve(tag, x, y, step, now, x_title, y_title, level, marker_values)

    return (PendingRecord(Curve, tag, sum(snapshot.nbytes for snapshot in (*line, *(markers or ()))), build, step),)


def definition(_known_tags: set[str], metric: str, goal: str) -> Sequence[Definition]:
    """Encode what the program says about a metric."""
    metric = validation.tag(metric, set())
    if len(metric) > MAX_TAG_CHARS:
        raise ValueError(f"a metric has at most {MAX_TAG_CHARS:,} characters, not {len(metric):,}")
    if goal not in GOALS:
        raise ValueError(f"goal must be 'min' or 'max', not {goal!r}")
    return (Definition(metric, goal),)


def progress(_known_tags: set[str], epoch: int, epochs: int, step: int, steps: int) -> Entries:
    """Encode how far the training is."""
    epoch, epochs = validation.step(epoch, "epoch"), validation.step(epochs, "epochs")
    return (Progress(epoch, epochs, validation.step(step), validation.step(steps, "steps"), time()),)


def _image_converter(tag: str, normalize: bool, clipped: set[str]) -> Callable[[NDArray[Any]], NDArray[np.uint8]]:
    """Return what a worker calls to convert images to uint8; it tells once per tag that values are clipped."""
    if not isinstance(normalize, bool):
        raise TypeError(f"{' '.join(tag.split())}: normalize must be True or False, not {normalize!r}")

    def convert(images: NDArray[Any]) -> NDArray[np.uint8]:
        if normalize:
            low, high = value_range(images)
            images = (images.astype("float32") - low) / ((high - low) or 1.0)
        elif images.dtype.kind == "f" and tag not in clipped:
            low, high = value_range(images)
            if low < -HALF_GRAY_LEVEL or high > 1 + HALF_GRAY_LEVEL:
                clipped.add(tag)
                log.warning(
                    "%s: values from %.4g to %.4g are clipped to [0, 1]; normalize=True scales the lowest to black and "
                    "the highest to white",
                    escape_control_chars(tag, MAX_SHOWN_CHARS),
                    low,
                    high,
                )
        return to_uint8(images)

    return convert


def _check_class_names(names: Sequence[str], tag: str) -> tuple[str, ...]:
    return tuple(validation.text(name, f"{tag}: a class name") for name in names)


def _copy_pair(x: Any, y: Any, tag: str, prefix: str = "") -> tuple[ArraySnapshot, ArraySnapshot]:
    """Copy the coordinates of an x–y plot; `prefix` goes before `x` and `y` in messages."""
    x_copy = ArraySnapshot(validation.numbers(x, f"{tag}: {prefix}x"))
    y_copy = ArraySnapshot(validation.numbers(y, f"{tag}: {prefix}y"))
    if x_copy.shape != y_copy.shape:
        shapes = f"{list(x_copy.shape)} and {list(y_copy.shape)}"
        raise ValueError(f"{' '.join(tag.split())}: {prefix}x and y must have the same shape, not {shapes}")
    return x_copy, y_copy


def _to_float64(snapshot: ArraySnapshot) -> NDArray[np.float64]:
    return snapshot.numpy().ravel().astype("float64")
