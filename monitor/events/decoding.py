"""Decode the values in event files: images, texts, histograms, and settings, in all formats that writers use."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from monitor.events.media.decoding import (
    MAX_THRESHOLDS,
    decode_audio,
    decode_clips,
    decode_pr_curve,
    decode_table,
    decode_video,
)
from monitor.events.media.markdown_cells import MARKDOWN
from monitor.events.media.pictures import decode_images
from monitor.metrics import CONFUSION_KEY
from monitor.records import (
    RECORD_TYPES,
    Audio,
    Config,
    ConfusionMatrix,
    Histogram,
    Images,
    Mesh,
    PRCurve,
    Record,
    Scalar,
    Table,
    Text,
    Video,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

TEXT_SUFFIX = "/text_summary"  # writers append it to the tag of a text
MESH_PLUGIN = "mesh"
# The types of the records that a value may hold, by its kind, and by its plugin.
TYPES_BY_KIND: dict[str, frozenset[type]] = {
    "simple_value": frozenset({Scalar}),
    "image": frozenset({Images, Video, ConfusionMatrix}),
    "histo": frozenset({Histogram}),
    "audio": frozenset({Audio}),
}
TYPES_BY_PLUGIN: dict[str, frozenset[type]] = {
    "scalars": frozenset({Scalar}),
    "images": frozenset({Images}),
    "text": frozenset({Text, Table}),
    "histograms": frozenset({Histogram}),
    "hparams": frozenset({Config}),
    "audio": frozenset({Audio}),
    "pr_curves": frozenset({PRCurve}),
    MESH_PLUGIN: frozenset({Mesh}),
}
# Larger values are not decoded.
MAX_BUCKETS = 2**16  # of a histogram
MAX_COUNT, MAX_EDGE = 2.0**63, 1e100  # larger ones overflow in the sums over a histogram
MAX_TEXT_BYTES = 2**23
MAX_SETTINGS_BYTES = 2**20
MAX_ITEM_BYTES = 16  # of a number in a tensor


def record_types(value: Any, plugin: str | None) -> frozenset[type]:
    """Return the types of record that a `Summary.Value` may hold, by what it says; none if there is no record."""
    kind = value.WhichOneof("value")
    found = TYPES_BY_PLUGIN.get(plugin or "") if kind in ("tensor", None) else TYPES_BY_KIND.get(kind)
    return found or frozenset()


def decode_value(
    value: Any, plugin: str | None, step: int, wall_time: float, kinds: frozenset[type] = RECORD_TYPES
) -> list[Record]:
    """Return the records of a `Summary.Value` that is not a plain scalar; none if there is no record for its kind.

    A film is a picture, its first frame, if `kinds` lacks films, and so is a confusion matrix. The parts of a mesh are
    not decoded here: see `MeshParts`. Nothing is allocated for what a value claims but does not hold. Raises many kinds
    of exceptions for values that are damaged or larger than the limits of this module.
    """
    record: Record | None
    kind = value.WhichOneof("value")
    if kind == "tensor":
        if plugin == "audio":
            sizes = _sizes(value.tensor)
            return decode_clips(value.tag, value.tensor.string_val, sizes[-1] if sizes else 1, step, wall_time)
        record = _decode_tensor_value(value, plugin, step, wall_time)
    elif kind == "image":
        record = _decode_confusion(value, step, wall_time) if ConfusionMatrix in kinds else None
        record = record or (decode_video(value, step, wall_time) if Video in kinds else None)
        record = record or Images(value.tag, decode_images([value.image.encoded_image_string]), step, wall_time)
    elif kind == "histo":
        record = _decode_v1_histogram(value, step, wall_time)
    else:
        record = decode_audio(value, step, wall_time) if kind == "audio" else None
    return [] if record is None else [record]


def _decode_confusion(value: Any, step: int, wall_time: float) -> ConfusionMatrix | None:
    """Return the matrix of a picture that has its counts."""
    picture = value.image.encoded_image_string
    if CONFUSION_KEY not in picture[:100]:  # what draws pictures need not be imported for others
        return None
    from monitor.render.pictures.confusion_numbers import read_numbers

    return read_numbers(picture, value.tag, step, wall_time)


def _decode_tensor_value(value: Any, plugin: str | None, step: int, wall_time: float) -> Record | None:
    tag = value.tag
    if plugin == "images":
        return Images(tag, decode_images(value.tensor.string_val[2:]), step, wall_time)
    if plugin == "text":
        tag, strings, sizes = tag.removesuffix(TEXT_SUFFIX), value.tensor.string_val, _sizes(value.tensor)
        if len(sizes) == 2:
            return decode_table(tag, strings, sizes, step, wall_time)
        return Text(tag, _decode_text(strings), step, wall_time, value.metadata.summary_description == MARKDOWN)
    if plugin == "scalars":
        array = decode_tensor(value.tensor, 1)
        return Scalar(tag, float(array.reshape(())), step, wall_time)
    if plugin == "histograms":
        return _decode_v2_histogram(tag, decode_tensor(value.tensor, 3 * MAX_BUCKETS), step, wall_time)
    if plugin == "pr_curves":
        return decode_pr_curve(tag, decode_tensor(value.tensor, 6 * MAX_THRESHOLDS), step, wall_time)
    return None


def _sizes(tensor: Any) -> list[int]:
    return [dim.size for dim in tensor.tensor_shape.dim]


def decode_settings(content: bytes, wall_time: float) -> Config | None:
    """Return the settings in the content of the HPARAMS plugin; None if it contains something else.

    Raises an exception for content that is damaged or too large.
    """
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

    if len(content) > MAX_SETTINGS_BYTES:
        raise ValueError(f"settings of {len(content)} bytes are too large")
    data = HParamsPluginData.FromString(content)
    if data.WhichOneof("data") != "session_start_info":
        return None
    settings = sorted(data.session_start_info.hparams.items())
    return Config({name: _decode_setting(value) for name, value in settings}, wall_time)


def decode_tensor(tensor: Any, max_size: int) -> NDArray[Any]:
    """Return the values of a tensor of numbers. TensorBoard's own function knows how they can be stored."""
    from tensorboard.util.tensor_util import make_ndarray

    sizes = _sizes(tensor)
    size = math.prod(sizes)
    if min(sizes, default=0) < 0 or size > max_size or len(tensor.tensor_content) > size * MAX_ITEM_BYTES:
        raise ValueError(f"a tensor of shape {sizes[:8]} is not accepted")
    array: NDArray[Any] = make_ndarray(tensor)
    if array.dtype.kind not in "fiub" and array.dtype.name != "bfloat16":
        raise ValueError(f"a tensor of {array.dtype} does not hold numbers")
    return array


def _decode_text(lines: Sequence[bytes]) -> str:
    size = sum(map(len, lines))
    if size > MAX_TEXT_BYTES:
        raise ValueError(f"a text of {size} bytes is too large")
    return "\n".join(line.decode("utf-8", "replace") for line in lines)


def _decode_v1_histogram(value: Any, step: int, wall_time: float) -> Histogram | None:
    """Decode a histogram that stores the upper limits of its buckets; the first bucket starts at the minimum."""
    import numpy as np

    if not 0 < len(value.histo.bucket_limit) == len(value.histo.bucket) <= MAX_BUCKETS:
        return None
    limits = np.asarray(value.histo.bucket_limit, float)
    counts = np.asarray(value.histo.bucket, float)
    limits = np.clip(limits, -1e308, 1e308)
    minimum = min(value.histo.min, limits[0])
    non_empty = np.flatnonzero(counts)
    if len(non_empty):  # writers store hundreds of empty buckets on both sides
        first, last = non_empty[0], non_empty[-1]
        minimum = min(max(value.histo.min, limits[first - 1]), limits[first]) if first else minimum
        limits, counts = limits[first : last + 1], counts[first : last + 1]
    limits[-1] = max(min(limits[-1], value.histo.max), minimum) if value.histo.max > minimum else limits[-1]
    return _histogram(value.tag, counts, np.concatenate([[minimum], limits]), step, wall_time)


def _decode_v2_histogram(tag: str, array: NDArray[Any], step: int, wall_time: float) -> Histogram | None:
    """Decode a K×3 histogram: the left edge, right edge, and count of each bucket."""
    import numpy as np

    if array.ndim != 2 or array.shape[1] != 3 or not len(array):
        return None
    edges = np.concatenate([array[:, 0], array[-1:, 1]]).astype(float)
    return _histogram(tag, array[:, 2].astype(float), edges, step, wall_time)


def _histogram(
    tag: str, counts: NDArray[np.float64], edges: NDArray[np.float64], step: int, wall_time: float
) -> Histogram | None:
    """Return a histogram; None for counts and edges that no histogram has."""
    import numpy as np

    is_valid = ((counts >= 0) & (counts < MAX_COUNT)).all() and (np.abs(edges) <= MAX_EDGE).all()  # NaN is neither
    if not is_valid or (edges[1:] < edges[:-1]).any():
        return None
    return Histogram(tag, np.zeros(0), step, wall_time, (counts, edges))


def _decode_setting(value: Any) -> Any:
    """Convert a protobuf `Value` to a bool, a string, or a number, which is an int if it is a whole one."""
    kind = value.WhichOneof("kind")
    if kind not in ("number_value", "string_value", "bool_value"):
        return None
    setting = getattr(value, kind)
    is_int = kind == "number_value" and abs(setting) < 2**53 and setting == int(setting)  # not so for infinity or NaN
    return int(setting) if is_int else setting
