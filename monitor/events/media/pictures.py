"""Decode the pictures in event files, within bounds that do not depend on what the files claim."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image

MAX_PIXELS = 4096 * 4096  # of all pictures of one value
MAX_SIDE_PX = 2**14  # a longer strip takes several times its size to show
MAX_PICTURES = 4096  # of one value
BAND_PIXELS = 2**18  # converted at a time
GRAY_MODES = ("1", "L", "I", "I;16", "F")
ALPHA_MODES = ("RGBA", "LA", "PA")
MODES = {1: "L", 3: "RGB", 4: "RGBA"}  # by channels


def decode_images(encoded: Sequence[bytes]) -> NDArray[np.uint8]:
    """Decode pictures to N×C×H×W: gray, RGB, or RGBA, as the first one is. Those of another shape are left out.

    PNG, JPEG, GIF, and BMP are accepted. Raises `ValueError` for another format, for more pixels in all than 4096 ×
    4096, for a side of more than 16,384, and for more than 4096 pictures, before anything is decoded; other exceptions
    for damaged pictures.
    """
    import numpy as np

    if not 0 < len(encoded) <= MAX_PICTURES:
        raise ValueError(f"{len(encoded)} pictures are not accepted")
    shapes = [_shape(picture) for picture in encoded]
    count, (channels, height, width) = shapes.count(shapes[0]), shapes[0]
    if count * height * width > MAX_PIXELS or max(height, width) > MAX_SIDE_PX:
        raise ValueError(f"{count} pictures of {width}×{height} pixels are too large")
    decoded = np.empty((count, channels, height, width), np.uint8)
    same_shape = (picture for picture, shape in zip(encoded, shapes) if shape == shapes[0])
    for target, picture in zip(decoded, same_shape):
        with _open(picture) as image:
            for rows, band in _bands(image, MODES[channels]):
                target[:, rows] = band[None] if channels == 1 else np.moveaxis(band, 2, 0)
    return decoded


def gif_size(picture: bytes) -> tuple[int, int] | None:
    """Return the width and height of a GIF of several frames, of which no frame is decoded; None for other pictures.

    Raises `ValueError` if the frames are too large, and other exceptions for damaged pictures.
    """
    if not picture.startswith(b"GIF8"):
        return None
    with _open(picture) as image:
        if image.width * image.height > MAX_PIXELS or max(image.size) > MAX_SIDE_PX:
            raise ValueError(f"a film of {image.width}×{image.height} pixels is too large")
        return image.size if image.is_animated else None  # type: ignore[attr-defined]


def _shape(picture: bytes) -> tuple[int, int, int]:
    """Return channels, height, and width of a picture, which is not decoded."""
    with _open(picture) as image:
        channels = 1 if image.mode in GRAY_MODES else 4 if image.mode in ALPHA_MODES else 3
        return channels, image.height, image.width


def _open(picture: bytes) -> Image.Image:
    """Return a picture that is not decoded yet.

    `Image.open` would try some forty formats, of which one runs another program, and warn about large pictures.
    """
    for start, opener in _openers():
        if picture.startswith(start):
            return opener(io.BytesIO(picture))
    raise ValueError("a picture is neither PNG, JPEG, GIF, nor BMP")


def _openers() -> tuple[tuple[bytes, Callable[[Any], Image.Image]], ...]:
    from PIL import BmpImagePlugin, GifImagePlugin, JpegImagePlugin, PngImagePlugin

    return (
        (b"\x89PNG", PngImagePlugin.PngImageFile),
        (b"\xff\xd8\xff", JpegImagePlugin.JpegImageFile),
        (b"GIF8", GifImagePlugin.GifImageFile),
        (b"BM", BmpImagePlugin.BmpImageFile),
    )


def _bands(image: Image.Image, mode: str) -> Iterator[tuple[slice, NDArray[np.uint8]]]:
    """Yield a few rows at a time, so that there is no second copy of a large picture."""
    import numpy as np

    step = max(1, BAND_PIXELS // image.width)
    for top in range(0, image.height, step):
        bottom = min(top + step, image.height)
        yield slice(top, bottom), np.asarray(image.crop((0, top, image.width, bottom)).convert(mode))
