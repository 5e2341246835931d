"""The log calls for figures, sound, film, detections, classifier curves, embeddings, meshes, tables, and models."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from monitor.capture import media_encode, model_graph
from monitor.capture.calls.measured_calls import MeasuredCalls

if TYPE_CHECKING:
    from collections.abc import Sequence


class MediaMethods(MeasuredCalls):
    """The log calls for media: like the others, they check, copy, and enqueue. A worker draws and encodes.

    The values of arrays on the host are checked at the call. Those on a GPU are checked by a worker: a wrong one costs
    its record, with a line in the log.
    """

    def figure(self, tag: str, figure: Any, step: int | None = None) -> None:
        """Show a figure of Matplotlib or Plotly. Does not block.

        The figure is copied, not drawn, and stays open; later changes of it have no effect. A figure of Matplotlib that
        cannot be pickled is drawn during the call.

        Args:
            tag: names the figure.
            figure: a figure of Matplotlib or Plotly, or a mapping with Plotly's `data` and `layout`.
            step: as in `images`.

        Raises:
            TypeError: if `figure` is neither.
        """
        self._measure(media_encode.figure, tag, figure, step)

    def audio(self, tag: str, samples: Any, step: int | None = None, sample_rate: int = 44100) -> None:
        """Add a sound to listen to. Does not block.

        Args:
            tag: names the sound.
            samples: an array or tensor, T, T×C, or C×T with 1 or 2 channels; int16, or float in [-1, 1]. Floats are
                clipped to that range, and NaN is silence.
            step: as in `images`.
            sample_rate: samples per second and channel.

        Raises:
            TypeError: if `samples` is not an array or has another dtype.
            ValueError: if it has another shape or is empty, or `sample_rate` is not positive.
        """
        self._measure(media_encode.audio, tag, samples, step, sample_rate)

    def video(self, tag: str, frames: Any, step: int | None = None, fps: float = 4) -> None:
        """Show a film, as an animated GIF. Does not block.

        Args:
            tag: names the film.
            frames: an array or tensor, T×C×H×W with 1, 3, or 4 channels or T×H×W; values as in `images`. The first
                1024 frames are shown.
            step: as in `images`.
            fps: frames per second, at most 100.

        Raises:
            TypeError: if `frames` is not an array or has another dtype.
            ValueError: if it has another shape or is empty, or `fps` is out of range.
        """
        self._measure(media_encode.video, tag, frames, step, fps)

    def detections(
        self,
        tag: str,
        image: Any,
        step: int | None = None,
        boxes: Any = None,
        labels: Sequence[str] = (),
        masks: Any = None,
    ) -> None:
        """Show an image with boxes and masks drawn into it. Does not block.

        Args:
            tag: names the image.
            image: an array or tensor, C×H×W or H×W; values as in `images`.
            step: as in `images`.
            boxes: N×4 finite numbers: left, top, right, and bottom in pixels. The first 256 are shown.
            labels: a text for each box.
            masks: bool or integers: K×H×W, not 0 where the image belongs to the region; or H×W, the class of each
                pixel, where 0 is the background. The first 256 are shown.

        Raises:
            TypeError: if an argument has another dtype, or a label is not text.
            ValueError: if an argument has another shape or other values.
        """
        self._measure(media_encode.detections, tag, image, step, boxes, labels, masks)

    def pr_curve(self, tag: str, target: Any, scores: Any, step: int | None = None, thresholds: int = 127) -> None:
        """Show the precision of a binary classifier over its recall. Does not block.

        Args:
            tag: names the curve.
            target: the N true classes, 0 or 1.
            scores: the N predicted probabilities of class 1, in [0, 1].
            step: as in `images`.
            thresholds: how many thresholds to count at, from 2 to 127, evenly spaced in [0, 1].

        Raises:
            TypeError: if an argument does not contain numbers.
            ValueError: if `target` and `scores` are empty or differ in shape, or hold other values.
        """
        self._measure(media_encode.pr_curve, tag, target, scores, step, thresholds)

    def roc_curve(self, tag: str, target: Any, scores: Any, step: int | None = None) -> None:
        """Show the true positive rate of a binary classifier over its false positive rate, with the area below it.

        Does not block. The record is a `Curve`; all thresholds are used.

        Args:
            tag: names the curve.
            target: the N true classes, 0 or 1.
            scores: the N scores of class 1, of any scale, finite. If only one class occurs, the area is undefined.
            step: as in `images`.

        Raises:
            TypeError: if an argument does not contain numbers.
            ValueError: if `target` and `scores` are empty or differ in shape, or hold other values.
        """
        self._measure(media_encode.roc_curve, tag, target, scores, step)

    def embedding(
        self,
        tag: str,
        vectors: Any,
        step: int | None = None,
        labels: Any = None,
        columns: Sequence[str] = (),
        images: Any = None,
    ) -> None:
        """Show points of a high-dimensional space: in TensorBoard's projector, and as a scatter plot. Does not block.

        Args:
            tag: names the embedding.
            vectors: an array or tensor, N×D, finite: one row per point. The first 10,000 points are shown.
            step: as in `images`.
            labels: for each point an integer, a text, or a row of texts and numbers.
            columns: the names of the columns of `labels`, if they are rows.
            images: for each point a small picture, as in `images`; only TensorBoard shows them.

        Raises:
            TypeError: if an argument has another dtype.
            ValueError: if an argument has another shape or other values.
        """
        self._measure(media_encode.embedding, tag, vectors, step, labels, columns, images)

    def mesh(self, tag: str, vertices: Any, step: int | None = None, faces: Any = None, colors: Any = None) -> None:
        """Show triangles in space, or a cloud of points. Does not block.

        Args:
            tag: names the mesh.
            vertices: an array or tensor, V×3: x, y, and z.
            step: as in `images`.
            faces: F×3 integers: the vertices of each triangle, by their numbers. Without any, the vertices are points.
            colors: V×3: red, green, and blue of each vertex; integers in [0, 255], or float in [0, 1].

        Raises:
            TypeError: if an argument does not contain numbers, or `faces` no integers.
            ValueError: if an argument has another shape or other values.
        """
        self._measure(media_encode.mesh, tag, vertices, step, faces, colors)

    def table(self, tag: str, rows: Any, step: int | None = None, columns: Sequence[str] = ()) -> None:
        """Show a table. Does not block.

        Args:
            tag: names the table.
            rows: lists of cells; or mappings of columns to cells; or one mapping of columns to lists of cells of the
                same length; or a data frame of pandas or polars. A cell is text, shown as it is, or a number, a bool,
                or None. The first 1000 rows are shown.
            step: as in `images`.
            columns: the names of the columns; by default those of the mappings or of the data frame. Of mappings, they
                choose the columns.

        Raises:
            TypeError: if `rows` is none of these, or a cell is something else.
            ValueError: if rows or columns differ in length, a column is missing, or there are more than 100 columns.
        """
        self._measure(media_encode.table, tag, rows, step, columns)

    def graph(self, model: Any, inputs: Any) -> None:
        """Show the graph of a model of PyTorch, in TensorBoard alone. Blocks: it runs the model to trace it.

        The model is run in evaluation mode and without gradients; its mode and the state of the random numbers stay as
        they are. TensorBoard shows one graph of a run.

        Args:
            model: a `torch.nn.Module`.
            inputs: what the model takes, on its device; several as a tuple.

        Raises:
            TypeError: if `model` is something else.
            ValueError: if it cannot be traced.
        """
        self._measure(model_graph.graph, model, inputs)
