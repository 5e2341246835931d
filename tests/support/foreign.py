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
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = RecordWriter(str(path))
    for event in (Event(file_version="brain.Event:2"), *events):
        writer.write(event.SerializeToString())
    writer.close()
    return path


def event(step: int, *values: Any) -> Event:
    return Event(wall_time=1000.0 + step, step=step, summary=Summary(value=values))


def simple(tag: str, value: float) -> Any:
    return Summary.Value(tag=tag, simple_value=value)


def tensor(tag: str, plugin: str, proto: TensorProto, named: bool = True) -> Any:
    data = SummaryMetadata.PluginData(plugin_name=plugin)
    metadata = SummaryMetadata(plugin_data=data) if named else None
    return Summary.Value(tag=tag, tensor=proto, metadata=metadata)


def shape(*sizes: int) -> TensorShapeProto:
    return TensorShapeProto(dim=[TensorShapeProto.Dim(size=size) for size in sizes])


def scalar(tag: str, value: float, how: str = "content", named: bool = True) -> Any:
    if how == "content":  # TensorFlow's and JAX's writers
        proto = TensorProto(dtype=FLOAT, tensor_shape=shape(), tensor_content=np.float32(value).tobytes())
    elif how == "half":
        proto = TensorProto(dtype=HALF, tensor_shape=shape(), half_val=[int(np.float16(value).view(np.uint16))])
    else:
        proto = TensorProto(dtype=DOUBLE, tensor_shape=shape(), double_val=[value])
    return tensor(tag, "scalars", proto, named)


def text(tag: str, *lines: str) -> Any:
    proto = TensorProto(dtype=STRING, tensor_shape=shape(len(lines)), string_val=[line.encode() for line in lines])
    return tensor(tag, "text", proto)


def png(array: np.ndarray[Any, Any]) -> bytes:
    out = io.BytesIO()
    Image.fromarray(array).save(out, "png")
    return out.getvalue()


def images(tag: str, *arrays: np.ndarray[Any, Any]) -> Any:
    height, width = arrays[0].shape[:2]
    strings = [str(width).encode(), str(height).encode(), *(png(array) for array in arrays)]
    return tensor(tag, "images", TensorProto(dtype=STRING, tensor_shape=shape(len(strings)), string_val=strings))


def histogram(tag: str, buckets: np.ndarray[Any, Any]) -> Any:
    data = buckets.astype(np.float64)
    proto = TensorProto(dtype=DOUBLE, tensor_shape=shape(*data.shape), tensor_content=data.tobytes())
    return tensor(tag, "histograms", proto)


def old_histogram(tag: str) -> Any:
    limits = [-1e308, 0.0, 1.0, 2.0, 3.0, 1.7e308]
    histo = HistogramProto(min=0.5, max=2.5, num=6, sum=9, bucket_limit=limits, bucket=[0, 0, 2, 3, 1, 0])
    return Summary.Value(tag=tag, histo=histo)


def restart(step: int) -> Event:
    return Event(wall_time=5000.0, step=step, session_log=SessionLog(status=SessionLog.START))
