"""Records of media and of plots: figures, sound, film, detections, precision–recall curves, embeddings, meshes, tables.

Like all records, they are immutable tuples, imported from `monitor.records`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Figure(NamedTuple):
    """A figure of Matplotlib or Plotly.

    Attributes:
        tag: names the figure.
        png: the drawn figure as a PNG file; empty for a figure of Plotly.
        step: when it was logged.
        time: seconds since the epoch.
        plotly: the figure as Plotly's JSON, an object with `data` and `layout`; empty for a figure of Matplotlib.
    """

    tag: str
    png: bytes
    step: int
    time: float
    plotly: str = ""


class Audio(NamedTuple):
    """A sound.

    Attributes:
        tag: names the sound.
        encoded: the sound file.
        step: when it was logged.
        time: seconds since the epoch.
        media_type: the MIME type of the file.
        sample_rate: samples per second and channel; 0 if only the file knows.
        channels: 1 for mono, 2 for stereo; 0 if only the file knows.
        frames: samples per channel; 0 if only the file knows.
    """

    tag: str
    encoded: bytes
    step: int
    time: float
    media_type: str = "audio/wav"
    sample_rate: int = 0
    channels: int = 0
    frames: int = 0


class Video(NamedTuple):
    """A film without sound.

    Attributes:
        tag: names the film.
        gif: an animated GIF file.
        width: pixels.
        height: pixels.
        step: when it was logged.
        time: seconds since the epoch.
    """

    tag: str
    gif: bytes
    width: int
    height: int
    step: int
    time: float


class Detections(NamedTuple):
    """An image with boxes and masks.

    Attributes:
        tag: names the image.
        image: C×H×W, uint8, with 1, 3, or 4 channels.
        boxes: N×4, float64: left, top, right, and bottom in pixels.
        labels: a text for each box; may be empty.
        masks: K×H×W, uint8, not 0 where the image belongs to the region.
        step: when it was logged.
        time: seconds since the epoch.
    """

    tag: str
    image: NDArray[np.uint8]
    boxes: NDArray[np.float64]
    labels: tuple[str, ...]
    masks: NDArray[np.uint8]
    step: int
    time: float


class PRCurve(NamedTuple):
    """Precision and recall of a binary classifier at rising thresholds.

    Attributes:
        tag: names the curve.
        counts: 4×K, float64: true positives, false positives, true negatives, and false negatives.
        precision: K values, float64.
        recall: K values, float64.
        step: when it was logged.
        time: seconds since the epoch.
    """

    tag: str
    counts: NDArray[np.float64]
    precision: NDArray[np.float64]
    recall: NDArray[np.float64]
    step: int
    time: float


class Embedding(NamedTuple):
    """Points of a high-dimensional space, to look at in few dimensions.

    Attributes:
        tag: names the embedding.
        vectors: N×D, float32: one row per point.
        step: when it was logged.
        time: seconds since the epoch.
        labels: for each point, a text per column; may be empty.
        columns: the names of the columns of `labels`; may be empty if there is only one.
        images: for each point a picture, N×C×H×W, uint8; or None.
    """

    tag: str
    vectors: NDArray[np.float32]
    step: int
    time: float
    labels: tuple[tuple[str, ...], ...] = ()
    columns: tuple[str, ...] = ()
    images: NDArray[np.uint8] | None = None


class Mesh(NamedTuple):
    """Triangles in space; without faces, a cloud of points.

    Attributes:
        tag: names the mesh.
        vertices: V×3, float32: x, y, and z.
        faces: F×3, int64: the vertices of each triangle, by their numbers; may be empty.
        colors: V×3, uint8: red, green, and blue of each vertex; may be empty.
        step: when it was logged.
        time: seconds since the epoch.
    """

    tag: str
    vertices: NDArray[np.float32]
    faces: NDArray[np.int64]
    colors: NDArray[np.uint8]
    step: int
    time: float


class Table(NamedTuple):
    """A table of texts.

    Attributes:
        tag: names the table.
        columns: the names of the columns; may be empty.
        rows: rows of cells, all of the same length.
        step: when it was logged.
        time: seconds since the epoch.
    """

    tag: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    step: int
    time: float


MediaRecord = Figure | Audio | Video | Detections | PRCurve | Embedding | Mesh | Table
