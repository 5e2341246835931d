"""Text in pictures: drawn in a font that has its characters, and short enough for its place."""

from __future__ import annotations

from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from monitor.render.text.escaping import escape_control_chars

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

MAX_CHARS = 200  # of a text; longer ones are cut
MAX_KEPT_CHARS = 40  # of a text whose drawing is kept, because names and numbers come again with the next picture
LINE_HEIGHT = 1.3  # of a line, in font sizes
BASELINE = 0.77  # of a line, as a share of its height
# Fonts to look for where Pillow's lacks a character: Matplotlib's, then those that systems have for other scripts.
OTHER_FONTS = (
    "DejaVuSans.ttf", "NotoSansCJK-Regular.ttc", "wqy-microhei.ttc", "wqy-zenhei.ttc", "DroidSansFallback.ttf",
    "PingFang.ttc", "AppleSDGothicNeo.ttc", "Arial Unicode.ttf", "msyh.ttc", "malgun.ttf", "seguisym.ttf",
)  # fmt: skip
PROBE_PX = 24  # the font size at which two glyphs are compared
NO_CHARACTER = "\uffff"  # for which every font has the glyph of a missing character


def one_line(text: str) -> str:
    """Return text as one line, with control characters spelled out, and cut after `MAX_CHARS` characters."""
    line = " ".join(escape_control_chars(text[: MAX_CHARS + 1]).split())
    return line if len(line) <= MAX_CHARS else line[: MAX_CHARS - 1] + "…"


def can_be_drawn(text: str) -> bool:
    """Tell whether there is a font that has all characters of a text."""
    return text.isascii() or any(_has_all(number, text) for number in range(len(OTHER_FONTS) + 1))


class Lettering:
    """Draws text of one size.

    Attributes:
        line_px: the height of a line.
    """

    def __init__(self, size_px: int) -> None:
        self._size = size_px
        self.line_px = round(size_px * LINE_HEIGHT)

    def ink(self, text: str) -> NDArray[np.uint8]:
        r"""Return one line of text as H×W shares of ink, 0 to 255; H is `line_px`.

        Characters that no font has are spelled out, as in `\u732b`.
        """
        draw = _ink if len(text) <= MAX_KEPT_CHARS else _ink.__wrapped__  # which keeps nothing
        return draw(text, self._size, self.line_px)

    def width(self, text: str) -> int:
        """Return the width of a text in pixels."""
        return max(1, _extent(text, self._size)[1])

    def shorten(self, text: str, max_px: int) -> str:
        """Leave out the middle of a text so that it is at most `max_px` wide."""
        if self.width(text) <= max_px:
            return text
        low, high = 0, len(text) - 1  # numbers of characters to keep: of those, `low` fit
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if self.width(_cut(text, middle)) <= max_px else (low, middle - 1)
        return _cut(text, low)

    def lines(self, entries: Iterable[str], max_px: int, separator: str = "   ") -> list[str]:
        """Distribute entries over lines at most `max_px` wide; an entry that is wider is shortened."""
        lines: list[str] = []
        for entry in entries:
            joined = f"{lines[-1]}{separator}{entry}" if lines else ""
            if lines and self.width(joined) <= max_px:
                lines[-1] = joined
            else:
                lines.append(self.shorten(entry, max_px))
        return lines


def _cut(text: str, count: int) -> str:
    return f"{text[: (count + 1) // 2]}…{text[len(text) - count // 2 :]}"


@lru_cache(512)
def _ink(text: str, size: int, height: int) -> NDArray[np.uint8]:
    text, font = _drawable(text, size)
    left, width = _extent(text, size)
    line = Image.new("L", (max(1, width), height))
    ImageDraw.Draw(line).text((-left, round(height * BASELINE)), text, fill=255, font=font, anchor="ls")
    ink = np.asarray(line)
    ink.flags.writeable = False
    return ink


@lru_cache(4096)
def _extent(text: str, size: int) -> tuple[int, int]:
    """Return where the ink of a text begins, from its origin, and how wide it is."""
    text, font = _drawable(text, size)
    left, _, right, _ = font.getbbox(text, anchor="ls")
    return int(left), int(right - left)


def _drawable(text: str, size: int) -> tuple[str, ImageFont.FreeTypeFont]:
    """Return the first font that has all characters of a text; without one, the main font, and a text that it has."""
    numbers = range(len(OTHER_FONTS) + 1)
    number = 0 if text.isascii() else next((number for number in numbers if _has_all(number, text)), None)
    if number is None:
        number, text = 0, "".join(c if _has_glyph(0, c) else f"\\u{ord(c):04x}" for c in text)
    font = _font(number, size)
    assert font is not None
    return text, font


def _has_all(number: int, text: str) -> bool:
    return all(_has_glyph(number, character) for character in text)


@lru_cache(4096)
def _has_glyph(number: int, character: str) -> bool:
    if character.isspace():
        return True
    font = _font(number, PROBE_PX)
    return font is not None and _glyph(font, character) != _glyph(font, NO_CHARACTER)


def _glyph(font: ImageFont.FreeTypeFont, character: str) -> bytes:
    image = Image.new("L", (2 * PROBE_PX, 2 * PROBE_PX))
    ImageDraw.Draw(image).text((PROBE_PX // 2, PROBE_PX // 4), character, fill=255, font=font)
    return image.tobytes()


@lru_cache(64)
def _font(number: int, size: int) -> ImageFont.FreeTypeFont | None:
    """Return Pillow's own font for 0, for n the n-th of the others; None if this machine does not have it."""
    if number == 0:
        font = ImageFont.load_default(size)
        assert isinstance(font, ImageFont.FreeTypeFont)
        return font
    path = _font_path(OTHER_FONTS[number - 1])
    return None if path is None else ImageFont.truetype(path, size)


@lru_cache(len(OTHER_FONTS))
def _font_path(name: str) -> str | None:
    spec = find_spec("matplotlib")
    if spec is not None and spec.origin:  # a requirement, which is looked up without its import
        bundled = Path(spec.origin).parent / "mpl-data" / "fonts" / "ttf" / name
        if bundled.is_file():
            return str(bundled)
    try:
        return str(ImageFont.truetype(name, PROBE_PX).path)  # looks into the folders of the system
    except OSError:
        return None
