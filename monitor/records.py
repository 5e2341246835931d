"""What can be logged: one immutable tuple type per kind.

`time` is in seconds since the epoch, read at the log call. Arrays are NumPy arrays that only the record holds: they are
copies, so the training loop may change its tensors afterwards.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from monitor.media_records import Audio as Audio
from monitor.media_records import Detections as Detections
from monitor.media_records import Embedding as Embedding
from monitor.media_records import Figure as Figure
from monitor.media_records import MediaRecord
from monitor.media_records import Mesh as Mesh
from monitor.media_records import PRCurve as PRCurve
from monitor.media_records import Table as Table
from monitor.media_records import Video as Video

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from monitor.prediction_timeline import PredictionTimeline


class Scalar(NamedTuple):
    """One point of a curve.

    Attributes:
        tag: names the curve.
        value: may be NaN or infinite.
        step: the x value.
        time: seconds since the epoch.
    """

    tag: str
    value: float
    step: int
    time: float


class Images(NamedTuple):
    """Images to show in a grid.

    Attributes:
        tag: names the grid.
        images: N×C×H×W, uint8, with 1, 3, or 4 channels: gray, RGB, or RGBA.
        step: when they were logged.
        time: seconds since the epoch.
    """

    tag: str
    images: NDArray[np.uint8]
    step: int
    time: float


class Predictions(NamedTuple):
    """Images with their predicted and true classes.

    Attributes:
        tag: names the grid.
        images: N×C×H×W, uint8, with 1, 3, or 4 channels.
        predicted: the N predicted classes, int64.
        target: the N true classes, int64.
        names: the names of the classes; may be empty.
        step: when they were logged.
        time: seconds since the epoch.
        timeline: what was predicted for these samples at this and earlier tests; None if they are others each time.
        first_test: the timeline that begins here if the next test has the same samples; None if `timeline` is there.
    """

    tag: str
    images: NDArray[np.uint8]
    predicted: NDArray[np.int64]
    target: NDArray[np.int64]
    names: tuple[str, ...]
    step: int
    time: float
    timeline: PredictionTimeline | None = None
    first_test: PredictionTimeline | None = None

    def label(self, index: int) -> str:
        """Return the name of class `index`, or its number if it has no name."""
        return self.names[index] if 0 <= index < len(self.names) else str(index)


class Text(NamedTuple):
    """A note.

    Attributes:
        tag: names the notes that belong together.
        text: plain text, or Markdown if `markdown` is true.
        step: when it was logged.
        time: seconds since the epoch.
        markdown: whether a page renders the text as Markdown. HTML in it is text in either case.
    """

    tag: str
    text: str
    step: int
    time: float
    markdown: bool = False


class Histogram(NamedTuple):
    """A distribution of values.

    Attributes:
        tag: names the histogram.
        values: a flat array, float64; empty if only `buckets` are known.
        step: when it was logged.
        time: seconds since the epoch.
        buckets: K counts and their K + 1 edges, for a histogram that was read back from an event file; otherwise None.
    """

    tag: str
    values: NDArray[np.float64]
    step: int
    time: float
    buckets: tuple[NDArray[np.float64], NDArray[np.float64]] | None = None


class ConfusionMatrix(NamedTuple):
    """How often samples of each class were predicted as each class.

    Attributes:
        tag: names the matrix.
        counts: K×K, int64; the rows are the true classes, the columns the predicted ones.
        names: the names of the classes; may be empty.
        step: when it was logged.
        time: seconds since the epoch.
    """

    tag: str
    counts: NDArray[np.int64]
    names: tuple[str, ...]
    step: int
    time: float

    def label(self, index: int) -> str:
        """Return the name of class `index`, or its number if it has no name."""
        return self.names[index] if index < len(self.names) else str(index)


class Curve(NamedTuple):
    """An x–y plot, which replaces the previous one with the same tag.

    Attributes:
        tag: names the plot.
        x: a flat array, float64.
        y: a flat array of the same length, float64.
        step: when it was logged.
        time: seconds since the epoch.
        x_title: the label of the x axis.
        y_title: the label of the y axis.
        level: the height of a horizontal line, or None.
        points: x and y of data points to show with the curve, or None.
    """

    tag: str
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    step: int
    time: float
    x_title: str = "x"
    y_title: str = "y"
    level: float | None = None
    points: tuple[NDArray[np.float64], NDArray[np.float64]] | None = None


class Summary(NamedTuple):
    """What TensorBoard shows in a plugin of its own, encoded as its event files hold it, such as a mesh or a graph.

    Attributes:
        tag: names what is shown.
        event: a serialized `Event` with the same step and time.
        step: when it was logged.
        time: seconds since the epoch.
    """

    tag: str
    event: bytes
    step: int
    time: float


class Config(NamedTuple):
    """The settings of the run.

    Attributes:
        values: the settings by name.
        time: seconds since the epoch.
    """

    values: dict[str, Any]
    time: float


class Progress(NamedTuple):
    """How far the training is.

    Attributes:
        epoch: the number of completed epochs.
        epochs: the number of epochs in all.
        step: the number of completed steps.
        steps: the number of steps in all.
        time: seconds since the epoch.
    """

    epoch: int
    epochs: int
    step: int
    steps: int
    time: float

    def epoch_at(self, step: int) -> int:
        """Return the number of epochs completed at a later step: of very many, only every few are reported."""
        return max(self.epoch, min(self.epochs, step * self.epochs // self.steps)) if self.steps > 0 else self.epoch


class Checkpoint(NamedTuple):
    """The position of a checkpoint: it includes everything logged before this record.

    Attributes:
        name: the name of the checkpoint.
        step: the step of the checkpoint.
        time: seconds since the epoch.
    """

    name: str
    step: int
    time: float


class Restart(NamedTuple):
    """The run was resumed from a checkpoint: everything logged before at `step` and above is superseded.

    Attributes:
        step: the first step that is logged again.
        time: seconds since the epoch.
    """

    step: int
    time: float


Record = (
    Scalar
    | Images
    | Predictions
    | ConfusionMatrix
    | Text
    | Histogram
    | Curve
    | MediaRecord
    | Summary
    | Config
    | Progress
    | Checkpoint
    | Restart
)
RECORD_TYPES: frozenset[type] = frozenset(Record.__args__)
