"""Decode the values in event files: images, texts, histograms, and settings, in all formats that writers use."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from monitor.records import Config, Histogram, Images, Record, Scalar, Text

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

TEXT_SUFFIX = "/text_summary"  # writers append it to the tag of a text
MAX_IMAGE_PIXELS = 4096 * 4096


def decode_value(value: Any, plugin: str | None, step: int, wall_time: float) -> Record | None:
    """Return the record of a `Summary.Value` that is not a plain scalar; None if there is no record for its kind.

    Raises many kinds of exceptions for damaged values.
    """
    tag, kind = value.tag, value.WhichOneof("value")
    if kind == "image":
        return Images(tag, _decode_images([value.image.encoded_image_string]), step, wall_time)
    if kind == "histo":
        return _decode_v1_histogram(value, step, wall_time)
    if kind != "tensor":
        return None
    array = _decode_tensor(value.tensor)
    if plugin == "scalars" and array.size == 1:
        return Scalar(tag, float(array.reshape(())), step, wall_time)
    if plugin == "images":
        return Images(tag, _decode_images(array.ravel()[2:]), step, wall_time)
    if plugin == "text":
        text = "\n".join(part.decode("utf-8", "replace") for part in array.ravel())
        return Text(tag.removesuffix(TEXT_SUFFIX), text, step, wall_time)
    if plugin == "histograms":
        return _decode_v2_histogram(tag, array, step, wall_time)
    return None


def decode_settings(content: bytes, wall_time: float) -> Config | None:
    """Return the settings in the content of the HPARAMS plugin; None if it contains something else."""
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

    data = HParamsPluginData.FromString(content)
    if data.WhichOneof("data") != "session_start_info":
        return None
    settings = sorted(data.session_start_info.hparams.items())
    return Config({name: _decode_setting(value) for name, value in settings}, wall_time)


def _decode_tensor(tensor: Any) -> NDArray[Any]:
    """Return the values of a tensor. TensorBoard's own function knows the many ways in which they are stored."""
    from tensorboard.util.tensor_util import make_ndarray

    array: NDArray[Any] = make_ndarray(tensor)
    return array


def _decode_images(encoded: Sequence[bytes] | NDArray[Any]) -> NDArray[np.uint8]:
    """Decode images to N×3×H×W, or N×1×H×W if they are gray. Those that differ from the first in shape are left out."""
    import numpy as np
    from PIL import Image

    arrays = []
    for data in encoded:
        with Image.open(io.BytesIO(data)) as image:
            if image.width * image.height > MAX_IMAGE_PIXELS:
                raise ValueError(f"an image of {image.width}×{image.height} pixels is too large")
            is_gray = image.mode in ("1", "L", "LA")
            array = np.asarray(image.convert("L" if is_gray else "RGB"))
        arrays.append(array[None] if is_gray else np.moveaxis(array, 2, 0))
    return np.stack([array for array in arrays if array.shape == arrays[0].shape])


def _decode_v1_histogram(value: Any, step: int, wall_time: float) -> Histogram | None:
    """Decode a histogram that stores the upper limits of its buckets; the first bucket starts at the minimum."""
    import numpy as np

    limits = np.asarray(value.histo.bucket_limit, float)
    counts = np.asarray(value.histo.bucket, float)
    if not len(limits) or len(limits) != len(counts):
        return None
    limits = np.clip(limits, -1e308, 1e308)
    minimum = min(value.histo.min, limits[0])
    non_empty = np.flatnonzero(counts)
    if len(non_empty):  # writers store hundreds of empty buckets on both sides
        first, last = non_empty[0], non_empty[-1]
        minimum = min(max(value.histo.min, limits[first - 1]), limits[first]) if first else minimum
        limits, counts = limits[first : last + 1], counts[first : last + 1]
    limits[-1] = max(min(limits[-1], value.histo.max), minimum) if value.histo.max > minimum else limits[-1]
    edges = np.concatenate([[minimum], limits])
    return Histogram(value.tag, np.zeros(0), step, wall_time, (counts, edges))


def _decode_v2_histogram(tag: str, array: NDArray[Any], step: int, wall_time: float) -> Histogram | None:
    """Decode a K×3 histogram: the left edge, right edge, and count of each bucket."""
    import numpy as np

    if array.ndim != 2 or array.shape[1] != 3 or not len(array):
        return None
    edges = np.concatenate([array[:, 0], array[-1:, 1]]).astype(float)
    return Histogram(tag, np.zeros(0), step, wall_time, (array[:, 2].astype(float), edges))


def _decode_setting(value: Any) -> Any:
    """Convert a protobuf `Value` to a bool, a string, or a number, which is an int if it is a whole one."""
    kind = value.WhichOneof("kind")
    if kind not in ("number_value", "string_value", "bool_value"):
        return None
    setting = getattr(value, kind)
    is_int = kind == "number_value" and setting == int(setting) and abs(setting) < 2**53
    return int(setting) if is_int else setting
