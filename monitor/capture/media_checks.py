"""Check and convert the arrays of log calls for media.

The checks are made during a call, as those of `validation`; the conversions, by a worker.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from monitor.capture import validation
from monitor.capture.snapshot import ArraySnapshot
from monitor.capture.table_cells import mistake, read_table

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

MAX_POINTS = 10_000  # of an embedding; TensorBoard's projector lays out no more
MAX_REGIONS = 256  # boxes or masks of one image


def classifier_output(target: Any, scores: Any, tag: str) -> tuple[ArraySnapshot, ArraySnapshot]:
    """Copy the true classes and the scores of N samples."""
    target, scores = validation.numbers(target, f"{tag}: target"), validation.numbers(scores, f"{tag}: scores")
    if len(target.shape) != 1 or list(target.shape) != list(scores.shape):
        shapes = f"{list(target.shape)} and {list(scores.shape)}"
        raise mistake(ValueError, tag, f"target and scores must have the same shape [N], not {shapes}")
    return ArraySnapshot(target), ArraySnapshot(scores)


def output_of(pair: tuple[ArraySnapshot, ArraySnapshot]) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Return the true classes and the scores, after `check_output`."""
    return pair[0].numpy().astype(bool), pair[1].numpy().astype("float64")


def check_output(pair: tuple[ArraySnapshot, ArraySnapshot], tag: str, *, are_probabilities: bool) -> None:
    """Raise `ValueError` for other classes than 0 and 1, scores that are not finite, and wrong probabilities."""
    import numpy as np

    target, scores = pair[0].numpy(), pair[1].numpy().astype("float64")
    wrong = target[(target != 0) & (target != 1)]
    if len(wrong):
        raise mistake(ValueError, f"{tag}: target", f"the true classes must be 0 or 1, not {wrong[0]}")
    wrong = scores[~((scores >= 0) & (scores <= 1))] if are_probabilities else scores[~np.isfinite(scores)]
    if len(wrong):
        accepted = "probabilities in [0, 1]" if are_probabilities else "finite"
        raise mistake(ValueError, f"{tag}: scores", f"the scores must be {accepted}, not {wrong[0]:g}")


def check_finite(copy: ArraySnapshot, name: str) -> None:
    """Raise `ValueError` for NaN and infinity, naming the row."""
    import numpy as np

    rows = np.flatnonzero(~np.isfinite(copy.numpy().astype("float64")).all(axis=1))
    if len(rows):
        raise mistake(ValueError, name, f"must be finite; row {rows[0]} has NaN or infinity")


def check_faces(copy: ArraySnapshot, vertex_count: int, tag: str) -> None:
    """Raise `ValueError` for a face with a vertex that is not there."""
    faces = copy.numpy()
    wrong = faces[(faces < 0) | (faces >= vertex_count)]
    if len(wrong):
        reason = f"must be numbers of vertices, from 0 to {vertex_count - 1}, not {wrong[0]}"
        raise mistake(ValueError, f"{tag}: faces", reason)


def check_now(check: Callable[[], None], *copies: ArraySnapshot) -> Callable[[], None]:
    """Make a check of values at once if that waits for no GPU; return what is left to check, for a worker."""
    if all(copy.is_on_host for copy in copies):
        check()
        return lambda: None
    return check


def label_rows(labels: Any, count: int, columns: tuple[str, ...], tag: str) -> Any:
    """Return the labels of the points as rows of texts, or a function that returns them for an array, for a worker."""
    if labels is None:
        return ()
    if hasattr(labels, "dtype") and hasattr(labels, "shape"):
        copy = ArraySnapshot(validation.labels(labels, count, f"{tag}: labels"), MAX_POINTS)
        return lambda: tuple((str(label),) for label in copy.numpy().tolist())
    if len(labels) != count:
        raise mistake(ValueError, f"{tag}: labels", f"needs one label per point, {count}, not {len(labels)}")
    rows = [row if isinstance(row, tuple | list) else (row,) for row in labels[:MAX_POINTS]]
    _, cells = read_table(rows, columns, f"{tag}: labels", MAX_POINTS)
    return cells


def triples(value: Any, tag: str, name: str) -> Any:
    """Return an N×3 array; one of 1×N×3, as `SummaryWriter.add_mesh` takes it, is accepted."""
    array = validation.numbers(value, f"{tag}: {name}")
    if len(array.shape) == 3 and array.shape[0] == 1:
        array = array[0]
    if len(array.shape) != 2 or array.shape[1] != 3:
        raise mistake(ValueError, f"{tag}: {name}", f"must be N×3, not {list(array.shape)}")
    return array


def to_colors(colors: NDArray[Any]) -> NDArray[np.uint8]:
    """Convert floats in [0, 1] to bytes; integers are clipped to [0, 255]."""
    import numpy as np

    if colors.dtype.kind == "f":
        colors = np.round(np.nan_to_num(np.clip(colors, 0, 1), nan=0) * 255)
    return np.asarray(np.clip(colors, 0, 255), np.uint8)


def regions_of(masks: NDArray[Any]) -> NDArray[np.uint8]:
    """Return K×H×W masks; H×W integers are the class of each pixel, where 0 is the background."""
    import numpy as np

    if masks.ndim == 3:
        return np.asarray(masks != 0, np.uint8)
    classes = np.unique(masks[masks != 0])[:MAX_REGIONS]
    return np.array([masks == number for number in classes], np.uint8).reshape(len(classes), *masks.shape)


def add_axis(image: Any, dimensions: int) -> Any:
    """Return C×H×W as 1×C×H×W, and H×W as 1×H×W."""
    image = image if hasattr(image, "shape") else validation.numbers(image, "an image")
    return image[None] if len(image.shape) <= dimensions else image


def dtype_name(value: Any) -> str:
    """Return the name of a dtype of NumPy or torch."""
    return str(value.dtype).removeprefix("torch.")
