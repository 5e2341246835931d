"""What can be logged: one immutable tuple type a kind.

`time` is seconds since the epoch, read at the log call. Arrays are NumPy arrays that nobody else holds: what was logged
is a snapshot, and the training loop may go on with its tensors.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Scalar(NamedTuple):
    """One point of the curve `tag`."""

    tag: str
    value: float
    step: int
    time: float


class Images(NamedTuple):
    """Pictures, N×C×H×W uint8 with one or three channels."""

    tag: str
    images: NDArray[np.uint8]
    step: int
    time: float


class Predictions(NamedTuple):
    """Samples with what was predicted and what is true: N integers each; `names` are those of the classes."""

    tag: str
    images: NDArray[np.uint8]
    predicted: NDArray[np.int64]
    target: NDArray[np.int64]
    names: tuple[str, ...]
    step: int
    time: float

    def label(self, index: int) -> str:
        """Return the name of class `index`, or the number itself where the classes have no names."""
        return self.names[index] if 0 <= index < len(self.names) else str(index)


class Text(NamedTuple):
    """A note; plain text, shown as it is."""

    tag: str
    text: str
    step: int
    time: float


class Histogram(NamedTuple):
    """The distribution of `values`, a flat float64 array.

    Where only counts are known, as of one that was read back, `buckets` are those and the edges between them, one more.
    """

    tag: str
    values: NDArray[np.float64]
    step: int
    time: float
    buckets: tuple[NDArray[np.float64], NDArray[np.float64]] | None = None


class ConfusionMatrix(NamedTuple):
    """How often class *row* was taken for class *column*: K×K int64; `names` are those of the classes."""

    tag: str
    counts: NDArray[np.int64]
    names: tuple[str, ...]
    step: int
    time: float

    def label(self, index: int) -> str:
        """Return the name of class `index`, or the number itself where the classes have no names."""
        return self.names[index] if index < len(self.names) else str(index)


class Curve(NamedTuple):
    """An x–y plot, replaced as a whole; `x` and `y` are float64 of one length.

    `level` is a height at which a line is drawn across, `points` are data to show beside the curve, as x and y.
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


class Config(NamedTuple):
    """The run's settings, by name."""

    values: dict[str, Any]
    time: float


class Progress(NamedTuple):
    """How far the training is: `epoch` of `epochs` are done, at `step` of `steps`."""

    epoch: int
    epochs: int
    step: int
    steps: int
    time: float


class Checkpoint(NamedTuple):
    """What was logged before this is on the near side of the checkpoint `name`, which was taken at `step`."""

    name: str
    step: int
    time: float


class Restart(NamedTuple):
    """The run went on from a checkpoint: what was logged before this with `step` or a higher one is superseded."""

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
    | Config
    | Progress
    | Checkpoint
    | Restart
)
RECORD_TYPES: frozenset[type] = frozenset(Record.__args__)
