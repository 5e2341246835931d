"""Build films without moviepy, which both packages need for them, and without which theirs are empty."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

AXES = "NTCHW"


def is_moviepy_there() -> bool:
    """Tell whether the packages can build films themselves."""
    return find_spec("moviepy") is not None


def video(tag: str, array: NDArray[Any], fps: float = 4, dataformats: str = AXES) -> Any:
    """Return the summary of a film as an animated GIF; several films run side by side.

    Args:
        tag: names the film.
        array: N×T×C×H×W, uint8, or float in [0, 1].
        fps: frames per second.
        dataformats: the order of the axes.

    Raises:
        AssertionError: for an array that does not have these axes.
    """
    import numpy as np
    from tensorboard.compat.proto.summary_pb2 import Summary

    from monitor.events.summaries import image
    from monitor.render.pictures.media import encode_gif

    order = [dataformats.upper().find(axis) for axis in AXES]
    if sorted(order) != list(range(5)) or len(dataformats) != 5 or array.ndim != 5:
        raise AssertionError(
            f"a film has the axes {AXES} in any order, not {dataformats!r}; its shape is {array.shape}"
        )
    array = array.transpose(order)
    count, frames, channels, height, width = array.shape
    if array.size == 0 or channels not in (1, 3, 4):
        raise AssertionError(f"a film has frames of 1, 3, or 4 channels, not the shape {array.shape}")
    if array.dtype != np.uint8:
        array = (np.nan_to_num(array.clip(0, 1)) * 255).astype(np.uint8)
    rows = 2 ** ((count.bit_length() - 1) // 2)
    columns = -(-count // rows)
    grid = np.zeros((rows * columns, *array.shape[1:]), np.uint8)
    grid[:count] = array
    grid = grid.reshape(rows, columns, frames, channels, height, width).transpose(2, 3, 0, 4, 1, 5)
    film = grid.reshape(frames, channels, rows * height, columns * width)
    value = image(tag, encode_gif(film, fps), columns * width, rows * height, channels)
    return Summary(value=[value])
