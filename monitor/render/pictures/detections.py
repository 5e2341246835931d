"""Draw boxes, masks, and labels into an image."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageColor, ImageDraw, ImageFont

from monitor.render.escaping import PALETTE, escape_control_chars
from monitor.render.images import PngImage, encode_png, to_rgb

if TYPE_CHECKING:
    from monitor.records import Detections

MIN_WIDTH_PX, MAX_HEIGHT_PX = 320, 1024  # smaller images are enlarged, so that their labels can be read
MASK_OPACITY = 0.45
MAX_LABEL_CHARS = 60
FONT_PX, LINE_PX = 13, 2
COLORS = tuple(ImageColor.getrgb(color) for color in PALETTE)


def detection_image(record: Detections) -> PngImage:
    """Draw the masks and the boxes of an image, each in the next color, with its label at the upper left corner."""
    _, height, width = record.image.shape
    scale = max(1, min(math.ceil(MIN_WIDTH_PX / width), MAX_HEIGHT_PX // height))
    array = to_rgb(record.image[None])[0].repeat(scale, axis=0).repeat(scale, axis=1)
    for number, mask in enumerate(record.masks):
        region = (mask != 0).repeat(scale, axis=0).repeat(scale, axis=1)
        shade = np.array(COLORS[number % len(COLORS)])
        array[region] = np.round(array[region] * (1 - MASK_OPACITY) + shade * MASK_OPACITY)
    sheet = Image.fromarray(array)
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(FONT_PX)
    limit = [sheet.width - 1, sheet.height - 1] * 2
    for number, box in enumerate(record.boxes):
        if not np.isfinite(box).all():
            continue
        left, top, right, bottom = (int(side) for side in np.clip(np.round(np.clip(box, -1e6, 1e6) * scale), 0, limit))
        left, right, top, bottom = min(left, right), max(left, right), min(top, bottom), max(top, bottom)
        color = COLORS[number % len(COLORS)]
        draw.rectangle((left, top, right, bottom), outline=color, width=LINE_PX)
        if number < len(record.labels):
            label = escape_control_chars(record.labels[number], MAX_LABEL_CHARS)
            text_width, text_height = (math.ceil(size) for size in draw.textbbox((0, 0), label, font)[2:])
            above = max(0, top - text_height - 2 * LINE_PX)
            start = max(0, min(left, sheet.width - text_width - 2 * LINE_PX))
            draw.rectangle(
                (start, above, start + text_width + 2 * LINE_PX, above + text_height + 2 * LINE_PX), fill=color
            )
            draw.text((start + LINE_PX, above + LINE_PX), label, fill="white", font=font)
    return encode_png(sheet)
