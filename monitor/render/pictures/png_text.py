"""Text inside of a PNG file, which viewers do not show, for what a program reads back from a picture."""

from __future__ import annotations

import io
import zlib
from typing import TYPE_CHECKING

from PIL import PngImagePlugin

if TYPE_CHECKING:
    from monitor.render.pictures.images import PngImage

CHUNKS_BEGIN = 33  # behind the signature of a PNG file and its first chunk
HEAD_BYTES = 100  # in which the name of the first text is


def with_text(picture: PngImage, key: bytes, text: bytes) -> PngImage:
    """Return the picture with a compressed text, named `key`, in front of its pixels."""
    content = b"zTXt" + key + b"\0\0" + zlib.compress(text)
    chunk = (len(content) - 4).to_bytes(4, "big") + content + zlib.crc32(content).to_bytes(4, "big")
    return picture._replace(png=picture.png[:CHUNKS_BEGIN] + chunk + picture.png[CHUNKS_BEGIN:])


def has_text(png: bytes, key: bytes) -> bool:
    """Tell whether the first text of a picture has this name."""
    return png.startswith(b"\x89PNG") and key in png[:HEAD_BYTES]


def read_text(png: bytes, key: bytes) -> str:
    """Return a text of a picture. Raises many kinds of exceptions where there is none, or a damaged or large one."""
    with PngImagePlugin.PngImageFile(io.BytesIO(png)) as image:
        return str(image.info[key.decode()])
