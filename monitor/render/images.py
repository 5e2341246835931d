"""Encode PNG images, and arrange images in a grid."""

from __future__ import annotations

import io
import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from monitor.records import Images

PADDING_PX = 2  # between images
BACKGROUND_COLOR, DARK_COLOR = (255, 255, 255), (32, 32, 32)
CORRECT_COLOR, INCORRECT_COLOR = (96, 96, 96), (208, 0, 0)


class PngImage(NamedTuple):
    """An encoded image.

    Attributes:
        png: the bytes of the PNG file.
        width: pixels.
        height: pixels.
        channels: 3 for RGB, 4 for RGBA.
    """

    png: bytes
    width: int
    height: int
    channels: int = 3


def image_grid(record: Images) -> PngImage:
    """Arrange N×C×H×W images in a grid about twice as wide as high. Transparent ones stay transparent."""
    tiles = record.images.transpose(0, 2, 3, 1) if record.images.shape[1] == 4 else to_rgb(record.images)
    count, height, width, channels = tiles.shape
    columns = column_count(count, height, width)
    rows = math.ceil(count / columns)
    sheet = np.full(
        (rows * (height + PADDING_PX) + PADDING_PX, columns * (width + PADDING_PX) + PADDING_PX, channels),
        (*DARK_COLOR, 255)[:channels],
        np.uint8,
    )
    for index, tile in enumerate(tiles):
        top, left = (
            PADDING_PX + index // columns * (height + PADDING_PX),
            PADDING_PX + index % columns * (width + PADDING_PX),
        )
        sheet[top : top + height, left : left + width] = tile
    return encode_png(Image.fromarray(sheet))


def column_count(count: int, height: int, width: int) -> int:
    """Return the number of columns of a grid about twice as wide as high."""
    return max(1, min(count, round(math.sqrt(2 * count * height / width))))


def to_rgb(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Convert N×C×H×W images, gray, RGB, or RGBA, to N×H×W×3; transparent ones get a white background."""
    tiles = images.transpose(0, 2, 3, 1)
    if tiles.shape[3] == 4:
        opacity = tiles[..., 3:].astype(np.uint16)
        tiles = ((tiles[..., :3] * opacity + 255 * (255 - opacity) + 127) // 255).astype(np.uint8)
    return np.repeat(tiles, 3, axis=3) if tiles.shape[3] == 1 else tiles


def shorten(label: str) -> str:
    """Return the name of a class, cut off after seven characters."""
    return label if len(label) <= 8 else label[:7] + "…"


def encode_png(image: Image.Image) -> PngImage:
    """Encode an RGB or RGBA image."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=6)
    return PngImage(buffer.getvalue(), *image.size, len(image.getbands()))
