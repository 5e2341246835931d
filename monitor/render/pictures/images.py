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
MIN_TILE_PX = 56  # smaller images are enlarged: an MNIST digit is 28 pixels wide
Z_RLE = 3  # zlib's strategy for runs, of which its Python module has no name
DARK_COLOR = (32, 32, 32)


class PngImage(NamedTuple):
    """An encoded image.

    Attributes:
        png: the bytes of the PNG file.
        width: pixels.
        height: pixels.
        channels: 1 for gray, 3 for colors, 4 for RGBA.
        density: its pixels per pixel of a page that shows it in its natural size.
    """

    png: bytes
    width: int
    height: int
    channels: int = 3
    density: int = 1


def image_grid(record: Images) -> PngImage:
    """Arrange N×C×H×W images in a grid about twice as wide as high; small ones are enlarged by a whole factor.

    Gray images make a gray grid, and transparent ones stay transparent.
    """
    tiles = record.images.transpose(0, 2, 3, 1)
    count, height, width, channels = tiles.shape
    scale = max(1, math.ceil(MIN_TILE_PX / max(height, width)))
    height, width = height * scale, width * scale
    columns = max(1, min(count, round(math.sqrt(2 * count * height / width))))
    rows = math.ceil(count / columns)
    sheet = np.full(
        (rows * (height + PADDING_PX) + PADDING_PX, columns * (width + PADDING_PX) + PADDING_PX, channels),
        (*DARK_COLOR, 255)[:channels],
        np.uint8,
    )
    for index, tile in enumerate(tiles):
        row, column = divmod(index, columns)
        top, left = PADDING_PX + row * (height + PADDING_PX), PADDING_PX + column * (width + PADDING_PX)
        sheet[top : top + height, left : left + width] = enlarge(tile, scale)
    return encode_png(Image.fromarray(sheet[..., 0] if channels == 1 else sheet), is_enlarged=scale > 1)


def enlarge(image: NDArray[np.uint8], factor: int) -> NDArray[np.uint8]:
    """Return an H×W or H×W×C image with each pixel as a square of `factor`×`factor` pixels."""
    return image if factor == 1 else image.repeat(factor, axis=0).repeat(factor, axis=1)


def to_rgb(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Convert N×C×H×W images, gray, RGB, or RGBA, to N×H×W×3; transparent ones get a white background."""
    tiles = images.transpose(0, 2, 3, 1)
    if tiles.shape[3] == 4:
        opacity = tiles[..., 3:].astype(np.uint16)
        tiles = ((tiles[..., :3] * opacity + 255 * (255 - opacity) + 127) // 255).astype(np.uint8)
    return np.repeat(tiles, 3, axis=3) if tiles.shape[3] == 1 else tiles


def encode_png(image: Image.Image, density: int = 1, *, is_enlarged: bool = False) -> PngImage:
    """Encode a gray image, one with a palette of colors, an RGB, or an RGBA image.

    In one that is enlarged, pixels repeat those beside and above them. Looking for nothing else makes files of the same
    size in a fifth of the time.
    """
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=6, compress_type=Z_RLE if is_enlarged else -1)
    channels = 3 if image.mode == "P" else len(image.getbands())
    return PngImage(buffer.getvalue(), *image.size, channels, density)
