"""Draw boxes, masks, and labels into an image."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from PIL import Image, ImageColor, ImageDraw

from monitor.render.pictures.images import PngImage, encode_png, enlarge, to_rgb
from monitor.render.pictures.lettering import Lettering, one_line
from monitor.render.text.escaping import PALETTE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from monitor.records import Detections

MIN_WIDTH_PX, MAX_HEIGHT_PX = 640, 2048  # smaller images are enlarged, so that their labels can be read
MASK_OPACITY = 0.45
MAX_LABEL_CHARS = 60
PAGE_WIDTH_PX = 800  # at which a page shows a wide image
FONT_PX = 13  # there
MAX_PLACED = 300  # labels for which room is looked for; a page shows no more that can be read
MAX_LINES = 4  # of labels below the image, for which it has no room
COLORS = tuple(ImageColor.getrgb(color)[:3] for color in PALETTE)
WHITE, DARK = (255, 255, 255), (32, 32, 32)
MAX_TRIES = 40  # lines above and below a box, at which there may be room for its label


class BoxLabel(NamedTuple):
    """Where the label of a box is, in pixels.

    Attributes:
        text: what fits into the image.
        left: of its background.
        top: of its background.
        width: of its background.
        height: of its background.
        color: of its background.
    """

    text: str
    left: int
    top: int
    width: int
    height: int
    color: tuple[int, ...]


def detection_image(record: Detections) -> PngImage:
    """Draw the masks and the boxes of an image, each in the next color, with its label at the upper left corner.

    A label moves down or up until it hides no other one. Those that have no room are listed below the image.
    """
    _, height, width = record.image.shape
    scale = max(1, min(math.ceil(MIN_WIDTH_PX / width), MAX_HEIGHT_PX // height))
    array = enlarge(to_rgb(record.image[None])[0], scale).copy()
    for number, mask in enumerate(record.masks):
        region = enlarge(mask != 0, scale)
        shade = np.array(COLORS[number % len(COLORS)])
        array[region] = np.round(array[region] * (1 - MASK_OPACITY) + shade * MASK_OPACITY)
    sheet = Image.fromarray(array)
    density = 2 if scale > 1 else 1
    unit = max(density, sheet.width / PAGE_WIDTH_PX)  # pixels per pixel of the page
    lettering = Lettering(round(FONT_PX * unit))
    draw = ImageDraw.Draw(sheet)
    boxes = boxes_in_pixels(record, scale, sheet.size)
    for number, (left, top, right, bottom) in boxes.items():
        draw.rectangle((left, top, right, bottom), outline=COLORS[number % len(COLORS)], width=round(2 * unit))
    drawn = np.asarray(sheet).copy()
    labels, left_out = place_labels(record, boxes, sheet.size, lettering)
    for label in labels:
        ink = lettering.ink(label.text)[..., None] / 255
        text_color = DARK if _lightness(label.color) > 150 else WHITE
        area = drawn[label.top : label.top + label.height, label.left : label.left + label.width]
        area[:] = label.color
        padding = (label.width - ink.shape[1]) // 2
        inner = area[:, padding : padding + ink.shape[1]]
        inner[:] = np.round(inner + (np.array(text_color) - inner) * ink[: len(inner)])
    return encode_png(Image.fromarray(np.concatenate([drawn, _strip(left_out, sheet.width, lettering)])), density)


def place_labels(
    record: Detections, boxes: dict[int, tuple[int, int, int, int]], size: tuple[int, int], lettering: Lettering
) -> tuple[list[BoxLabel], list[str]]:
    """Find a place for the label of each box in an image of `size`, width and height; return also those without one."""
    width, height = size
    padding = lettering.line_px // 5
    taken = np.zeros((height, width), bool)
    placed: list[BoxLabel] = []
    left_out: list[str] = []
    for number, (left, top, _, bottom) in boxes.items():
        text = one_line(record.labels[number][: MAX_LABEL_CHARS + 1]) if number < len(record.labels) else ""
        text = text if len(text) <= MAX_LABEL_CHARS else text[: MAX_LABEL_CHARS - 1] + "…"
        if not text:
            continue
        if len(placed) == MAX_PLACED:
            left_out.append(text)
            continue
        color = COLORS[number % len(COLORS)]
        shown = lettering.shorten(text, width - 2 * padding)
        label_width, label_height = lettering.width(shown) + 2 * padding, lettering.line_px
        start = max(0, min(left, width - label_width))
        for place in _tries(top, bottom, label_height, height):
            area = taken[place : place + label_height, start : start + label_width]
            if label_width <= width and not area.any():
                area[:] = True
                placed.append(BoxLabel(shown, start, place, label_width, label_height, color))
                break
        else:
            left_out.append(text)
    return placed, left_out


def _strip(texts: list[str], width: int, lettering: Lettering) -> NDArray[np.uint8]:
    """Return lines of text in dark on white, as wide as the image; none if there are no texts."""
    lines = lettering.lines(texts[:MAX_PLACED], width, " · ")
    if len(lines) > MAX_LINES:
        lines = [*lines[: MAX_LINES - 1], lettering.shorten("… and more", width)]
    strip = np.full((len(lines) * lettering.line_px, width, 3), 255, np.uint8)
    for number, line in enumerate(lines):
        ink = lettering.ink(line)[:, :width, None] / 255
        strip[number * lettering.line_px : (number + 1) * lettering.line_px, : ink.shape[1]] = np.round(
            255 - ink * (255 - np.array(DARK))
        )
    return strip


def _tries(top: int, bottom: int, label_height: int, height: int) -> Iterator[int]:
    """Yield where a label may be: above the box, at its top, below it, and then further and further away."""
    last = height - label_height
    yield from (place for place in (top - label_height, top, bottom + 1) if 0 <= place <= last)
    for distance in range(1, MAX_TRIES):
        both = top + distance * label_height, top - (distance + 1) * label_height
        yield from (place for place in both if 0 <= place <= last)
    if last >= 0:
        yield from (0, last)


def boxes_in_pixels(record: Detections, scale: int, size: tuple[int, int]) -> dict[int, tuple[int, int, int, int]]:
    """Return left, top, right, and bottom of the boxes that are finite, in pixels of the enlarged image."""
    limit = np.array([size[0] - 1, size[1] - 1] * 2)
    boxes = {}
    for number, box in enumerate(record.boxes):
        if np.isfinite(box).all():
            sides: NDArray[np.int64] = np.clip(np.round(np.clip(box, -1e6, 1e6) * scale), 0, limit).astype(np.int64)
            (left, right), (top, bottom) = sorted(sides[[0, 2]].tolist()), sorted(sides[[1, 3]].tolist())
            boxes[number] = left, top, right, bottom
    return boxes


def _lightness(color: tuple[int, ...]) -> float:
    red, green, blue = color
    return 0.299 * red + 0.587 * green + 0.114 * blue
