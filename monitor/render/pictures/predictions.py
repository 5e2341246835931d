"""Draw predictions: images with their predicted and true classes."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from PIL import Image, ImageDraw, ImageFont

from monitor.render.images import (
    BACKGROUND_COLOR,
    CORRECT_COLOR,
    INCORRECT_COLOR,
    PADDING_PX,
    PngImage,
    column_count,
    encode_png,
    shorten,
    to_rgb,
)

if TYPE_CHECKING:
    from monitor.records import Predictions

MIN_TILE_WIDTH_PX = 56  # narrower images are enlarged, so that their caption fits
MAX_TILE_HEIGHT_PX = 512  # but not beyond this height
CAPTION_HEIGHT_PX = 20


def prediction_grid(record: Predictions) -> PngImage:
    """Arrange images in a grid, each captioned *predicted / true*; incorrect predictions are red."""
    tiles = to_rgb(record.images)
    count, height, width, _ = tiles.shape
    scale = max(1, min(math.ceil(MIN_TILE_WIDTH_PX / width), MAX_TILE_HEIGHT_PX // height))
    tile_width, tile_height = width * scale + 2 * PADDING_PX, height * scale + 2 * PADDING_PX + CAPTION_HEIGHT_PX
    columns = column_count(count, tile_height, tile_width)
    rows = math.ceil(count / columns)
    sheet = Image.new(
        "RGB",
        (columns * (tile_width + PADDING_PX) + PADDING_PX, rows * (tile_height + PADDING_PX) + PADDING_PX),
        BACKGROUND_COLOR,
    )
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(16)
    for index, tile in enumerate(tiles):
        left, top = (
            PADDING_PX + index % columns * (tile_width + PADDING_PX),
            PADDING_PX + index // columns * (tile_height + PADDING_PX),
        )
        is_incorrect = record.predicted[index] != record.target[index]
        frame = (left, top, left + tile_width - 1, top + tile_height - CAPTION_HEIGHT_PX - 1)
        draw.rectangle(frame, fill=INCORRECT_COLOR if is_incorrect else BACKGROUND_COLOR)
        image = Image.fromarray(tile).resize((width * scale, height * scale), Image.Resampling.NEAREST)
        sheet.paste(image, (left + PADDING_PX, top + PADDING_PX))
        predicted, target = (shorten(record.label(int(n))) for n in (record.predicted[index], record.target[index]))
        draw.text(
            (left + tile_width // 2, top + tile_height - CAPTION_HEIGHT_PX // 2),
            f"{predicted} / {target}",
            fill=INCORRECT_COLOR if is_incorrect else CORRECT_COLOR,
            font=font,
            anchor="mm",
        )
    return encode_png(sheet)


def prediction_labels(record: Predictions) -> str:
    """Return the predicted and true classes as text, and how many predictions are correct."""
    correct = int((record.predicted == record.target).sum())
    rows = [
        f"{index}: {record.label(int(predicted))} / {record.label(int(target))}"
        + ("" if predicted == target else "  wrong")
        for index, (predicted, target) in enumerate(zip(record.predicted, record.target))
    ]
    head = f"step {record.step}: {correct} of {len(rows)} correct; sample: predicted / true"
    return "\n".join([head, *rows])
