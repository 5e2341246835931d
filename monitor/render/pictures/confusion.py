"""Draw a confusion matrix as a PNG image."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from monitor.render.images import (
    BACKGROUND_COLOR,
    CORRECT_COLOR,
    DARK_COLOR,
    INCORRECT_COLOR,
    PADDING_PX,
    PngImage,
    encode_png,
    shorten,
)

if TYPE_CHECKING:
    from monitor.records import ConfusionMatrix

CELL_PX, MAX_MATRIX_PX = 36, 720  # width of one cell of a confusion matrix, and of all cells
HEADING_WIDTH_PX = 130  # of the line above a confusion matrix
BLUE = (31, 119, 180)


def confusion_matrix_image(record: ConfusionMatrix) -> PngImage:
    """Draw a confusion matrix with one row per true class.

    Each cell is shaded by its share of the row, in blue on the diagonal and in red elsewhere.
    """
    classes = len(record.counts)
    cell = max(4, min(CELL_PX, MAX_MATRIX_PX // classes))
    numbers = cell == CELL_PX
    names = [shorten(record.label(index)) for index in range(classes)]
    staggered = max(map(len, names)) > 3  # column names take turns in two rows, so that they do not overlap
    left, top = ((5 if staggered else 3) * CELL_PX // 2, (3 if staggered else 2) * CELL_PX - 12) if numbers else (0, 0)
    right_margin = CELL_PX // 2 if numbers and staggered else PADDING_PX
    width = max(left + classes * cell + right_margin, left + HEADING_WIDTH_PX if numbers else 0)
    sheet = Image.new("RGB", (width, top + classes * cell + PADDING_PX), BACKGROUND_COLOR)
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(13)
    shares = record.counts / np.maximum(record.counts.sum(axis=1, keepdims=True), 1)
    for row, column in np.ndindex(classes, classes):
        cell_color = _blend(float(shares[row, column]), BLUE if row == column else INCORRECT_COLOR)
        x, y = left + column * cell, top + row * cell
        draw.rectangle((x, y, x + cell - 2, y + cell - 2), fill=cell_color)
        if numbers and record.counts[row, column]:
            text_color = BACKGROUND_COLOR if sum(cell_color) < 3 * 140 else DARK_COLOR
            count = _format_count(int(record.counts[row, column]))
            draw.text((x + cell // 2, y + cell // 2), count, fill=text_color, font=font, anchor="mm")
    if numbers:
        for index in range(classes):
            middle = index * cell + cell // 2
            draw.text((left - 2 * PADDING_PX, top + middle), names[index], fill=DARK_COLOR, font=font, anchor="rm")
            offset = CELL_PX // 2 * (index % 2) if staggered else 0
            draw.text(
                (left + middle, top - 2 * PADDING_PX - offset), names[index], fill=DARK_COLOR, font=font, anchor="ms"
            )
        draw.text((PADDING_PX, top - 2 * PADDING_PX), "true", fill=CORRECT_COLOR, font=font, anchor="ls")
        draw.text((left, 2 * PADDING_PX), f"predicted · step {record.step}", fill=CORRECT_COLOR, font=font, anchor="lt")
    return encode_png(sheet)


def _blend(share: float, color: tuple[int, int, int]) -> tuple[int, int, int]:
    """Blend a color with the background; even a small share stays visible."""
    weight = math.sqrt(min(max(share, 0.0), 1.0))
    return tuple(round(p + (c - p) * weight) for p, c in zip(BACKGROUND_COLOR, color))  # type: ignore[return-value]


def _format_count(count: int) -> str:
    return str(count) if abs(count) < 10_000 else f"{count:.0e}".replace("e+0", "e")
