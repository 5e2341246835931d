"""The methods of a `SummaryWriter` for graphs of models and for embeddings."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from monitor.integrations.writer.methods.base import WriterMethods
from monitor.integrations.writer.methods.projector import Projector
from monitor.integrations.writer.records import ProjectorFiles
from monitor.integrations.writer.summaries import capture
from monitor.integrations.writer.summaries.builders import TORCH
from monitor.records import Embedding

if TYPE_CHECKING:
    from collections.abc import Sequence

    from monitor.capture.encode import Entries


class ModelMethods(WriterMethods):
    """Graphs are built during the call, because the model may change afterwards; embeddings by a worker."""

    def add_graph(
        self, model: Any, input_to_model: Any = None, verbose: bool = False, use_strict_trace: bool = True
    ) -> None:
        """Add the graph of a torch model, traced with an input. Takes as long as the tracing does.

        Args:
            model: a `torch.nn.Module`.
            input_to_model: a tensor or a tuple of tensors.
            verbose: whether to print the graph.
            use_strict_trace: passed to `torch.jit.trace` as `strict`.
        """
        from torch.utils.tensorboard import _pytorch_graph

        build: Any = _pytorch_graph.graph
        self._get_file_writer().add_graph(build(model, input_to_model, verbose, use_strict_trace))

    def add_onnx_graph(self, prototxt: Any = None, onnx_model_file: Any = None) -> None:
        """Add the graph of an ONNX file. Needs onnx."""
        file = onnx_model_file if prototxt is None else prototxt
        is_torch = self._builders.main == TORCH
        module: Any = import_module("torch.utils.tensorboard._onnx_graph" if is_torch else "tensorboardX.onnx_graph")
        self._get_file_writer().add_onnx_graph(module.load_onnx_graph(file))

    def add_openvino_graph(self, xmlname: Any) -> None:
        """Add the graph of an OpenVINO model, from its XML file."""
        from tensorboardX.openvino_graph import load_openvino_graph

        self._get_file_writer().add_openvino_graph(load_openvino_graph(xmlname))

    def add_embedding(
        self,
        mat: Any,
        metadata: Any = None,
        label_img: Any = None,
        global_step: Any = None,
        tag: Any = "default",
        metadata_header: Sequence[str] | None = None,
    ) -> None:
        """Add points for TensorBoard's projector, in files beside the event files; other sinks show a scatter plot.

        Args:
            mat: N×D.
            metadata: N labels, or N rows of labels if there is a header.
            label_img: N×C×H×W, an image for each point.
            global_step: the step; 0 by default.
            tag: names the embedding.
            metadata_header: the titles of the columns of `metadata`.

        Raises:
            AssertionError: if the shapes do not fit together.
        """
        writer = self._get_file_writer()
        step = 0 if global_step is None else global_step
        projector = Projector(
            writer.get_logdir(), f"{str(step).zfill(5)}/{self._encode(tag)}", self._builders, metadata_header
        )
        nbytes = projector.capture(mat, metadata, label_img)
        previous = self.__dict__.setdefault("_embeddings", [])
        projector.describe(tag, step, previous)
        number, now = writer.step_and_time(global_step, None)

        name = str(tag)

        def entries(known_tags: set[str]) -> Entries:
            files = capture.later(
                known_tags, ProjectorFiles, name, nbytes, lambda: ProjectorFiles(name, projector.write, number, now)
            )
            if not len(mat):
                return files
            points = capture.later(known_tags, Embedding, name, nbytes, lambda: projector.record(name, number, now))
            return (*files, *points)

        writer.put(entries)

    @staticmethod
    def _encode(rawstr: str) -> str:
        """Return a tag as the name of a directory."""
        for character in "%/\\":
            rawstr = rawstr.replace(character, f"%{ord(character):02x}")
        return rawstr
