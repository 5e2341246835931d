"""Event files as other programs write them, from protobufs that are made by hand."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image
from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import HistogramProto, Summary, SummaryMetadata
from tensorboard.compat.proto.tensor_pb2 import TensorProto
from tensorboard.compat.proto.tensor_shape_pb2 import TensorShapeProto
from tensorboardX.record_writer import RecordWriter

if TYPE_CHECKING:
    from pathlib import Path

FLOAT, DOUBLE, STRING, HALF = 1, 2, 7, 19


def write(path: Path, *events: Event) -> Path:
    """Write events into a file, after the version record."""
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = RecordWriter(str(path))
    for event in (Event(file_version="brain.Event:2"), *events):
        writer.write(event.SerializeToString())
    writer.close()
    return path


def event(step: int, *values: Any) -> Event:
    """Return an event with these values."""
    return Event(wall_time=1000.0 + step, step=step, summary=Summary(value=values))


def simple(tag: str, value: float) -> Any:
    """Return a scalar as the oldest writers have it."""
    return Summary.Value(tag=tag, simple_value=value)


def tensor(tag: str, plugin: str, proto: TensorProto, named: bool = True) -> Any:
    """Return a value that is a tensor for a plugin."""
    data = SummaryMetadata.PluginData(plugin_name=plugin)
    metadata = SummaryMetadata(plugin_data=data) if named else None
    return Summary.Value(tag=tag, tensor=proto, metadata=metadata)


def shape(*sizes: int) -> TensorShapeProto:
    """Return the shape of a tensor."""
    return TensorShapeProto(dim=[TensorShapeProto.Dim(size=size) for size in sizes])


def scalar(tag: str, value: float, how: str = "content", named: bool = True) -> Any:
    """Return a scalar as a tensor, encoded in one of several ways."""
    if how == "content":  # TensorFlow's and JAX's writers
        proto = TensorProto(dtype=FLOAT, tensor_shape=shape(), tensor_content=np.float32(value).tobytes())
    elif how == "half":
        proto = TensorProto(dtype=HALF, tensor_shape=shape(), half_val=[int(np.float16(value).view(np.uint16))])
    else:
        proto = TensorProto(dtype=DOUBLE, tensor_shape=shape(), double_val=[value])
    return tensor(tag, "scalars", proto, named)


def text(tag: str, *lines: str) -> Any:
    """Return lines of text."""
    proto = TensorProto(dtype=STRING, tensor_shape=shape(len(lines)), string_val=[line.encode() for line in lines])
    return tensor(tag, "text", proto)


def png(array: np.ndarray[Any, Any]) -> bytes:
    """Encode a picture."""
    out = io.BytesIO()
    Image.fromarray(array).save(out, "png")
    return out.getvalue()


def images(tag: str, *arrays: np.ndarray[Any, Any]) -> Any:
    """Return pictures as a tensor of strings."""
    height, width = arrays[0].shape[:2]
    strings = [str(width).encode(), str(height).encode(), *(png(array) for array in arrays)]
    return tensor(tag, "images", TensorProto(dtype=STRING, tensor_shape=shape(len(strings)), string_val=strings))


def histogram(tag: str, buckets: np.ndarray[Any, Any]) -> Any:
    """Return a histogram as a tensor of buckets."""
    data = buckets.astype(np.float64)
    proto = TensorProto(dtype=DOUBLE, tensor_shape=shape(*data.shape), tensor_content=data.tobytes())
    return tensor(tag, "histograms", proto)


def old_histogram(tag: str) -> Any:
    """Return a histogram as a proto of its own."""
    limits = [-1e308, 0.0, 1.0, 2.0, 3.0, 1.7e308]
    histo = HistogramProto(min=0.5, max=2.5, num=6, sum=9, bucket_limit=limits, bucket=[0, 0, 2, 3, 1, 0])
    return Summary.Value(tag=tag, histo=histo)


def restart(step: int) -> Event:
    """Return the event that marks a restart."""
    return Event(wall_time=5000.0, step=step, session_log=SessionLog(status=SessionLog.START))
