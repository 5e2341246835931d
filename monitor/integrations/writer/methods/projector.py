"""The files of an embedding, as TensorBoard's projector reads them, written by either package's functions."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from monitor.capture.media_checks import MAX_POINTS
from monitor.capture.snapshot import ArraySnapshot, is_tensor, to_uint8
from monitor.integrations.writer.summaries.builders import TORCH
from monitor.integrations.writer.summaries.capture import as_array
from monitor.machine.files import atomic_write
from monitor.records import Embedding

if TYPE_CHECKING:
    from collections.abc import Sequence

    from monitor.integrations.writer.summaries.builders import Builders

CONFIG_FILE = "projector_config.pbtxt"


class Projector:
    """Copies of one embedding, and how they are written."""

    def __init__(
        self, directory: str, subdirectory: str, builders: Builders, metadata_header: Sequence[str] | None
    ) -> None:
        """Write into `subdirectory` of `directory`."""
        self._directory, self._subdirectory, self._builders = directory, subdirectory, builders
        self._header = list(metadata_header) if metadata_header else None
        self._is_torch = builders.main == TORCH
        self._points: ArraySnapshot | None = None
        self._labels: list[Any] | ArraySnapshot | None = None
        self._images: ArraySnapshot | None = None
        self._config = b""

    def capture(self, mat: Any, metadata: Any, label_img: Any) -> int:
        """Check the arguments of `add_embedding` and copy them; return the bytes of the copies."""
        mat = as_array(mat, self._builders)
        if metadata is not None:
            _demand(mat.shape[0] == len(metadata), "#labels should equal with #data points")
            if self._header is not None:
                _demand(
                    len(self._header) == len(metadata[0]),
                    "len of header must be equal to the number of columns in metadata",
                )
                self._labels = [[str(field) for field in row] for row in metadata]
            else:
                self._labels = ArraySnapshot(metadata) if is_tensor(metadata) else [str(label) for label in metadata]
        if label_img is not None:
            _demand(mat.shape[0] == label_img.shape[0], "#images should equal with #data points")
            if not self._is_torch:
                _demand(
                    label_img.shape[2] == label_img.shape[3],
                    "Image should be square, see tensorflow/tensorboard#670",
                )
            self._images = ArraySnapshot(label_img)
        _demand(mat.ndim == 2, "mat should be 2D, where mat.size(0) is the number of data points")
        path = Path(self._directory, self._subdirectory)
        if path.exists() and not path.is_dir():
            raise NotADirectoryError(f"Path: `{path}` exists, but is a file. Cannot proceed.")
        self._points = ArraySnapshot(mat)
        return sum(copy.nbytes for copy in (self._points, self._images) if copy is not None)

    def describe(self, tag: Any, step: Any, earlier: list[Any]) -> None:
        """Prepare the entry of the configuration file.

        PyTorch writes the whole file for each embedding of a writer; tensorboardX appends to the file that is there.

        Args:
            tag: names the embedding.
            step: its step.
            earlier: the entries of this writer so far; the new one is appended.
        """
        from google.protobuf import text_format
        from tensorboard.plugins.projector.projector_config_pb2 import EmbeddingInfo, ProjectorConfig

        below = self._subdirectory
        entry = EmbeddingInfo(tensor_name=f"{tag}:{str(step).zfill(5)}", tensor_path=f"{below}/tensors.tsv")
        if self._labels is not None:
            entry.metadata_path = f"{below}/metadata.tsv"
        if self._images is not None:
            entry.sprite.image_path = f"{below}/sprite.png"
            entry.sprite.single_image_dim.extend([self._images.shape[3], self._images.shape[2]])
        earlier.append(entry)
        config = ProjectorConfig(embeddings=earlier if self._is_torch else [entry])
        self._config = text_format.MessageToString(config).encode()

    def record(self, tag: str, step: int, time: float) -> Embedding:
        """Return the first points for sinks that show embeddings and read no files; for workers only."""
        assert self._points is not None
        points = self._points.numpy()[:MAX_POINTS].astype("float32")
        images = None if self._images is None else to_uint8(self._images.numpy()[: len(points)])
        found = self._labels.numpy().tolist() if isinstance(self._labels, ArraySnapshot) else self._labels or []
        rows = [label if self._header else [str(label)] for label in found[: len(points)]]
        return Embedding(tag, points, step, time, tuple(map(tuple, rows)), tuple(self._header or ()), images)

    def write(self) -> None:
        """Write the files. Blocks; raises `OSError`. A second call writes the same ones."""
        path = Path(self._directory, self._subdirectory)
        path.mkdir(parents=True, exist_ok=True)
        files: Any = import_module("torch.utils.tensorboard._embedding" if self._is_torch else "tensorboardX.embedding")
        if self._labels is not None:
            labels = list(_tensor(self._labels)) if isinstance(self._labels, ArraySnapshot) else list(self._labels)
            files.make_tsv(labels, str(path), metadata_header=self._header)
        if self._images is not None:
            files.make_sprite(_tensor(self._images) if self._is_torch else self._images.numpy(), str(path))
        assert self._points is not None
        files.make_mat(self._points.numpy(), str(path))
        file = Path(self._directory, CONFIG_FILE)
        before = b"" if self._is_torch or not file.exists() else file.read_bytes()
        if not before.endswith(self._config):
            atomic_write(file, before + self._config)


def _tensor(copy: ArraySnapshot) -> Any:
    import torch

    return torch.from_numpy(copy.numpy())


def _demand(condition: bool, message: str) -> None:
    if not condition:
        raise AssertionError(message)
