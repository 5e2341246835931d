"""Build the values that TensorBoard shows in plugins for media, from its own protocol buffers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata
from tensorboard.compat.proto.tensor_pb2 import TensorProto
from tensorboard.compat.proto.tensor_shape_pb2 import TensorShapeProto
from tensorboard.plugins.mesh.plugin_data_pb2 import MeshPluginData
from tensorboard.plugins.pr_curve.plugin_data_pb2 import PrCurvePluginData

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from monitor.events.summaries import Value

DT_FLOAT, DT_INT32, DT_UINT8 = 1, 3, 4


def audio(tag: str, encoded: bytes, media_type: str, sample_rate: int, channels: int, frames: int) -> Value:
    """Return a sound."""
    proto = Summary.Audio(
        sample_rate=sample_rate,
        num_channels=channels,
        length_frames=frames,
        encoded_audio_string=encoded,
        content_type=media_type,
    )
    return Summary.Value(tag=tag, audio=proto)


def pr_curve(tag: str, counts: NDArray[Any], precision: NDArray[Any], recall: NDArray[Any]) -> Value:
    """Return 4×K counts, K values of precision, and K values of recall, for the plugin PR CURVES."""
    import numpy as np

    content = PrCurvePluginData(version=0, num_thresholds=len(precision)).SerializeToString()
    return _tensor(tag, np.concatenate([counts, [precision], [recall]]).astype("<f4"), DT_FLOAT, "pr_curves", content)


def mesh(tag: str, vertices: NDArray[Any], faces: NDArray[Any], colors: NDArray[Any]) -> list[Value]:
    """Return the parts of a mesh, for the plugin MESH; `faces` and `colors` may be empty."""
    parts = [(MeshPluginData.VERTEX, vertices.astype("<f4"), DT_FLOAT)]
    parts += [(MeshPluginData.FACE, faces.astype("<i4"), DT_INT32)] if len(faces) else []
    parts += [(MeshPluginData.COLOR, colors.astype("u1"), DT_UINT8)] if len(colors) else []
    components = sum(1 << kind for kind, _, _ in parts)
    values = []
    for kind, array, dtype in parts:
        batch = array[None]
        content = MeshPluginData(version=0, name=tag, content_type=kind, components=components, shape=batch.shape)
        name = f"{tag}_{MeshPluginData.ContentType.Name(kind)}"
        values.append(_tensor(name, batch, dtype, "mesh", content.SerializeToString()))
    return values


def _tensor(tag: str, array: NDArray[Any], dtype: int, plugin: str, content: bytes) -> Value:
    shape = TensorShapeProto(dim=[TensorShapeProto.Dim(size=size) for size in array.shape])
    tensor = TensorProto(dtype=dtype, tensor_shape=shape, tensor_content=array.tobytes())
    data = SummaryMetadata.PluginData(plugin_name=plugin, content=content)
    return Summary.Value(tag=tag, tensor=tensor, metadata=SummaryMetadata(plugin_data=data))
