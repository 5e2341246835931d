"""Turn the arguments of log calls for media into inbox entries: check them, and copy what could change.

As in `encode`, a mistake raises before anything is enqueued, and a worker draws and encodes. Nothing waits for a GPU,
so what depends on the values of an array on a GPU is checked by the worker.
"""

from __future__ import annotations

from functools import partial
from time import time
from typing import TYPE_CHECKING, Any

from monitor.capture import validation
from monitor.capture.figures.snapshot import snapshot_figure
from monitor.capture.media_checks import (
    MAX_POINTS,
    MAX_REGIONS,
    add_axis,
    check_faces,
    check_finite,
    check_now,
    check_output,
    classifier_output,
    dtype_name,
    label_rows,
    output_of,
    regions_of,
    to_colors,
    triples,
)
from monitor.capture.pending import PendingRecord
from monitor.capture.snapshot import ArraySnapshot, to_uint8
from monitor.capture.table_cells import mistake, read_table
from monitor.records import Audio, Curve, Detections, Embedding, Figure, Mesh, PRCurve, Table, Video

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from monitor.capture.encode import Entries
    from monitor.records import Record

MAX_FRAMES = 1024  # of a film
MAX_THRESHOLDS = 127  # TensorBoard's own limit
MAX_CURVE_POINTS = 1000  # of an ROC curve


def figure(known_tags: set[str], tag: str, figure: Any, step: int | None) -> Entries:
    """Encode a figure of Matplotlib or Plotly; it is drawn later."""
    tag, step, now = validation.tag(tag, known_tags), validation.optional_step(step), time()
    snapshot = snapshot_figure(figure, tag)

    def build() -> Figure:
        png, plotly = snapshot.content()
        return Figure(tag, png, step, now, plotly)

    return _pending(Figure, tag, snapshot.nbytes, build, step)


def audio(known_tags: set[str], tag: str, samples: Any, step: int | None, sample_rate: int) -> Entries:
    """Encode a sound."""
    tag, step, now = validation.tag(tag, known_tags), validation.optional_step(step), time()
    sample_rate = validation.step(sample_rate, "sample_rate")
    if not 1 <= sample_rate < 2**24:
        raise ValueError(f"sample_rate must be samples per second, at least 1, not {sample_rate}")
    samples = validation.numbers(samples, tag)
    shape, dtype = list(samples.shape), dtype_name(samples)
    if len(shape) not in (1, 2) or (len(shape) == 2 and not {1, 2} & set(shape)):
        raise mistake(ValueError, tag, f"a sound must be T, T×C, or C×T with 1 or 2 channels, not {shape}")
    if dtype != "int16" and dtype not in validation.FLOAT_DTYPES:
        raise mistake(TypeError, tag, f"a sound must be float in [-1, 1] or int16, not {dtype}")
    snapshot = ArraySnapshot(samples)

    def build() -> Audio:
        from monitor.render.pictures.media import encode_wav

        array = snapshot.numpy()
        array = array[:, None] if array.ndim == 1 else array if array.shape[1] in (1, 2) else array.T
        frames, channels = array.shape
        return Audio(tag, encode_wav(array, sample_rate), step, now, "audio/wav", sample_rate, channels, frames)

    return _pending(Audio, tag, snapshot.nbytes, build, step)


def video(known_tags: set[str], tag: str, frames: Any, step: int | None, fps: float) -> Entries:
    """Encode the first `MAX_FRAMES` frames of a film."""
    tag, step, now = validation.tag(tag, known_tags), validation.optional_step(step), time()
    fps = validation.number(fps, "fps")
    if not 0.01 <= fps <= 100:
        raise ValueError(f"fps must be frames per second, from 0.01 to 100, not {fps}")
    snapshot = ArraySnapshot(validation.images(frames, tag), MAX_FRAMES)

    def build() -> Video:
        from monitor.render.pictures.media import encode_gif

        frames = to_uint8(snapshot.numpy())
        return Video(tag, encode_gif(frames, fps), frames.shape[3], frames.shape[2], step, now)

    return _pending(Video, tag, snapshot.nbytes, build, step)


def detections(
    known_tags: set[str], tag: str, image: Any, step: int | None, boxes: Any, labels: Sequence[str], masks: Any
) -> Entries:
    """Encode an image with the first `MAX_REGIONS` boxes and masks."""
    tag, step, now = validation.tag(tag, known_tags), validation.optional_step(step), time()
    image = validation.images(add_axis(image, 3), tag)
    if len(image) != 1:
        raise mistake(ValueError, tag, f"needs one image, C×H×W or H×W, not {list(image.shape)}")
    size = list(image.shape[-2:])
    box_copy = mask_copy = check = None
    if boxes is not None and len(boxes):
        boxes = validation.numbers(boxes, f"{tag}: boxes")
        if len(boxes.shape) != 2 or boxes.shape[1] != 4:
            raise mistake(
                ValueError, f"{tag}: boxes", f"must be N×4: left, top, right, bottom; not {list(boxes.shape)}"
            )
        box_copy = ArraySnapshot(boxes, MAX_REGIONS)
        check = check_now(partial(check_finite, box_copy, f"{tag}: boxes"), box_copy)
    names = tuple(validation.text(label, f"{tag}: a label") for label in labels)
    if names and len(names) != (0 if boxes is None else len(boxes)):
        raise mistake(ValueError, tag, f"needs one label per box, not {len(names)}")
    if masks is not None and len(masks):
        masks = validation.numbers(masks, f"{tag}: masks")
        if dtype_name(masks) != "bool" and dtype_name(masks) not in validation.INTEGER_DTYPES:
            raise mistake(TypeError, f"{tag}: masks", f"must be bool or integers, not {dtype_name(masks)}")
        if len(masks.shape) not in (2, 3) or list(masks.shape[-2:]) != size:
            raise mistake(
                ValueError,
                f"{tag}: masks",
                f"must be H×W or K×H×W, the size of the image {size}; not {list(masks.shape)}",
            )
        mask_copy = ArraySnapshot(masks, MAX_REGIONS if len(masks.shape) == 3 else None)
    image_copy = ArraySnapshot(image)

    def build() -> Detections:
        import numpy as np

        if check is not None:
            check()
        found = np.zeros((0, 4)) if box_copy is None else box_copy.numpy().astype("float64")
        regions = np.zeros((0, *size), np.uint8) if mask_copy is None else regions_of(mask_copy.numpy())
        return Detections(tag, to_uint8(image_copy.numpy())[0], found, names[: len(found)], regions, step, now)

    nbytes = sum(copy.nbytes for copy in (image_copy, box_copy, mask_copy) if copy is not None)
    return _pending(Detections, tag, nbytes, build, step)


def pr_curve(known_tags: set[str], tag: str, target: Any, scores: Any, step: int | None, thresholds: int) -> Entries:
    """Encode the precision and recall of a binary classifier."""
    tag, step, now = validation.tag(tag, known_tags), validation.optional_step(step), time()
    thresholds = validation.step(thresholds, "thresholds")
    if not 2 <= thresholds <= MAX_THRESHOLDS:
        raise ValueError(f"thresholds must be from 2 to {MAX_THRESHOLDS}, not {thresholds}")
    pair = classifier_output(target, scores, tag)
    check = check_now(partial(check_output, pair, tag, are_probabilities=True), *pair)

    def build() -> PRCurve:
        from monitor.render.reduction.classifier_curves import precision_recall

        check()
        counts, precision, recall = precision_recall(*output_of(pair), thresholds)
        return PRCurve(tag, counts, precision, recall, step, now)

    return _pending(PRCurve, tag, pair[0].nbytes + pair[1].nbytes, build, step)


def roc_curve(known_tags: set[str], tag: str, target: Any, scores: Any, step: int | None) -> Entries:
    """Encode the true positive rate of a binary classifier over its false positive rate, as a plot."""
    tag, step, now = validation.tag(tag, known_tags), validation.optional_step(step), time()
    pair = classifier_output(target, scores, tag)
    check = check_now(partial(check_output, pair, tag, are_probabilities=False), *pair)

    def build() -> Curve:
        from monitor.render.reduction.classifier_curves import receiver_operating_characteristic

        check()
        x, y, area = receiver_operating_characteristic(*output_of(pair), MAX_CURVE_POINTS)
        shown = f"area {area:.4f}" if area == area else "area undefined: only one class occurs"
        return Curve(tag, x, y, step, now, "false positive rate", f"true positive rate ({shown})")

    return _pending(Curve, tag, pair[0].nbytes + pair[1].nbytes, build, step)


def embedding(
    known_tags: set[str], tag: str, vectors: Any, step: int | None, labels: Any, columns: Sequence[str], images: Any
) -> Entries:
    """Encode the first `MAX_POINTS` points of an embedding, with their labels and pictures."""
    tag, step, now = validation.tag(tag, known_tags), validation.optional_step(step), time()
    vectors = validation.numbers(vectors, tag)
    if len(vectors.shape) != 2:
        raise mistake(ValueError, tag, f"an embedding must be N×D, one row per point, not {list(vectors.shape)}")
    count = len(vectors)
    names = tuple(validation.text(column, f"{tag}: a column") for column in columns)
    rows = label_rows(labels, count, names, tag)
    copy, picture_copy = ArraySnapshot(vectors, MAX_POINTS), None
    check = check_now(partial(check_finite, copy, tag), copy)
    if images is not None:
        images = validation.images(images, f"{tag}: images")
        if len(images) != count:
            raise mistake(ValueError, f"{tag}: images", f"needs one image per point, {count}, not {len(images)}")
        picture_copy = ArraySnapshot(images, MAX_POINTS)

    def build() -> Embedding:
        check()
        found = rows() if callable(rows) else rows
        pictures = None if picture_copy is None else to_uint8(picture_copy.numpy())
        return Embedding(tag, copy.numpy().astype("float32"), step, now, found, names, pictures)

    return _pending(Embedding, tag, copy.nbytes + (picture_copy.nbytes if picture_copy else 0), build, step)


def mesh(known_tags: set[str], tag: str, vertices: Any, step: int | None, faces: Any, colors: Any) -> Entries:
    """Encode triangles, or a cloud of points."""
    tag, step, now = validation.tag(tag, known_tags), validation.optional_step(step), time()
    copies = [ArraySnapshot(triples(vertices, tag, "vertices"))]
    for name, array in (("faces", faces), ("colors", colors)):
        is_there = array is not None and len(array) > 0
        copies.append(ArraySnapshot(triples(array, tag, name) if is_there else [[0, 0, 0]], None if is_there else 0))
    if copies[2].shape[0] not in (0, copies[0].shape[0]):
        raise mistake(ValueError, f"{tag}: colors", f"needs one color per vertex, not {list(copies[2].shape)}")
    if faces is not None and len(faces) and dtype_name(validation.numbers(faces, tag)) not in validation.INTEGER_DTYPES:
        raise mistake(TypeError, f"{tag}: faces", "must be integers, the numbers of vertices")
    check = check_now(partial(check_faces, copies[1], copies[0].shape[0], tag), copies[1])

    def build() -> Mesh:
        check()
        points, triangles, shades = (copy.numpy() for copy in copies)
        return Mesh(tag, points.astype("float32"), triangles.astype("int64"), to_colors(shades), step, now)

    return _pending(Mesh, tag, sum(copy.nbytes for copy in copies), build, step)


def table(known_tags: set[str], tag: str, rows: Any, step: int | None, columns: Sequence[str]) -> Entries:
    """Encode a table; its cells become texts at once."""
    tag, step, now = validation.tag(tag, known_tags), validation.optional_step(step), time()
    names, cells = read_table(rows, columns, tag)
    nbytes = sum(len(cell) for row in cells for cell in row)
    return _pending(Table, tag, nbytes, lambda: Table(tag, names, cells, step, now), step)


def _pending(kind: type, tag: str, nbytes: int, build: Callable[[], Record], step: int | None) -> Entries:
    return (PendingRecord(kind, tag, nbytes, build, step),)
