"""Draw predictions: images with their predicted and true classes in words."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from PIL import Image

from monitor.render.pictures.images import PngImage, encode_png, enlarge, to_rgb
from monitor.render.pictures.labels import ClassNames, Label, column, paint
from monitor.render.pictures.lettering import Lettering

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from monitor.records import Predictions

TILE_PX, MAX_TILE_PX = 112, 224  # the width to which narrower images are enlarged, also where captions are wider
MAX_TILE_HEIGHT_PX = 1024  # but not beyond this height
FONT_PX = 26  # of captions under enlarged images, which have two pixels per pixel of the page
FONT_SHARE, MIN_FONT_PX, MAX_FONT_PX = 12, 16, 96  # under other images, the font grows with their width
MAX_NAME_PX = 9  # the widest name, in font sizes; a wider one is a number, which a key explains
MAX_NAMES = 256  # that are looked at for the widest one
ONE_LINE = "predicted / true"
MAX_FONTS_PER_ROW = 60  # the widest row, in font sizes: in a window 800 pixels wide, their letters keep their size
ASPECT = 1.5  # of the grid, about
MAX_KEY_PX = 1040  # the width for which a picture is made wider than its images
FRAME_PX, GAP_PX = 4, 8  # around an image, and between two
COLORS = {"heading": (32, 32, 32), "correct": (90, 90, 90), "incorrect": (208, 0, 0)}
GRAYS = 240  # of the palette of gray images; the rest is the color of what is incorrect, from white on
WHITE = (255, 255, 255)


class PredictionLayout(NamedTuple):
    """Where everything is in a picture of predictions, in pixels.

    Attributes:
        width: of the picture.
        height: of the picture.
        scale: by which each image is enlarged.
        density: pixels per pixel of a page.
        places: left and top of each image.
        labels: the heading, the captions, and the key.
    """

    width: int
    height: int
    scale: int
    density: int
    places: list[tuple[int, int]]
    labels: list[Label]


def prediction_grid(record: Predictions) -> PngImage:
    """Arrange images in a grid, each above its predicted class, and its true class; incorrect predictions are red."""
    layout = arrange_predictions(record)
    is_gray = record.images.shape[1] == 1
    if is_gray:
        sheet = np.full((layout.height, layout.width), GRAYS - 1, np.uint8)
        levels = np.round(np.arange(256) * ((GRAYS - 1) / 255)).astype(np.uint8)
        tiles = levels[record.images[:, 0]]
    else:
        sheet = np.full((layout.height, layout.width, 3), 255, np.uint8)
        tiles = to_rgb(record.images)
    pixels = _gray_pixels() if is_gray else {name: _blend(color, 256) for name, color in COLORS.items()}
    for (left, top), tile, is_correct in zip(layout.places, tiles, record.predicted == record.target):
        image = enlarge(tile, layout.scale)
        bottom, right = top + image.shape[0], left + image.shape[1]
        if not is_correct:
            frame = slice(top - FRAME_PX, bottom + FRAME_PX), slice(left - FRAME_PX, right + FRAME_PX)
            sheet[frame] = pixels["incorrect"][-1]
        sheet[top:bottom, left:right] = image
    for label in layout.labels:
        paint(sheet, label, pixels[label.color])
    picture = Image.fromarray(sheet)
    if is_gray:
        picture.putpalette(_palette())
    return encode_png(picture, layout.density, is_enlarged=layout.scale > 1 and not is_gray)


def arrange_predictions(record: Predictions) -> PredictionLayout:
    """Decide where the images and their captions are."""
    count, _, height, width = record.images.shape
    scale = max(1, min(math.ceil(TILE_PX / width), MAX_TILE_HEIGHT_PX // height))
    density = 2 if scale > 1 else 1
    font_px = FONT_PX if scale > 1 else min(max(MIN_FONT_PX, width // FONT_SHARE), MAX_FONT_PX)
    lettering = Lettering(font_px)
    pairs = [(int(predicted), int(target)) for predicted, target in zip(record.predicted, record.target)]
    names = ClassNames(record.label, [number for pair in pairs for number in pair], lettering, MAX_NAME_PX * font_px)
    widest = _widest_name(record.names, font_px)
    how, captions = _captions(pairs, names, lettering, width * scale + 2 * FRAME_PX, widest)
    # As many lines, and as wide, as they can become: at each step, the images are in the same places.
    caption_lines = 1 if how == ONE_LINE else 2
    longest = [f"{widest} / {widest}"] if how == ONE_LINE else [widest, f"true: {widest}"]
    text_px = max(map(lettering.width, [*longest, *(line for lines in captions for line in lines)]))
    if density == 2:  # images become as wide as their captions, within limits
        scale = max(scale, min(MAX_TILE_PX, text_px) // width if height <= width else 1)
    height, width = height * scale, width * scale
    cell_width = max(width + 2 * FRAME_PX, text_px + GAP_PX) + GAP_PX
    cell_height = height + 2 * FRAME_PX + caption_lines * lettering.line_px + GAP_PX
    columns = round(math.sqrt(ASPECT * count * cell_height / cell_width))
    columns = max(1, min(columns, count, MAX_FONTS_PER_ROW * font_px // cell_width))
    correct = sum(predicted == target for predicted, target in pairs)
    facts = [f"{correct:,} of {count:,} correct", f"step {record.step:,}"]
    sheet_width = max(columns * cell_width + GAP_PX, *(lettering.width(fact) + 2 * GAP_PX for fact in facts))
    key_width = max((lettering.width(entry) + 2 * GAP_PX for entry in names.key), default=0)
    sheet_width = max(sheet_width, min(key_width, MAX_KEY_PX))
    text_width = sheet_width - 2 * GAP_PX
    lines = lettering.lines([how, *facts], text_width, " · ")
    if lettering.width(how) > text_width:
        lines = [*lettering.lines(how.split(), text_width, " "), *lettering.lines(facts, text_width, " · ")]
    labels = column(lines, GAP_PX, GAP_PX, lettering, "heading")
    first_top = 2 * GAP_PX + len(lines) * lettering.line_px
    places = []
    for index, ((predicted, target), caption) in enumerate(zip(pairs, captions)):
        left = GAP_PX // 2 + index % columns * cell_width
        top = first_top + index // columns * cell_height
        places.append((left + (cell_width - width) // 2, top + FRAME_PX))
        for number, line in enumerate(caption):
            color = "correct" if predicted == target or number else "incorrect"
            line_left = left + (cell_width - lettering.width(line)) // 2
            line_top = top + height + 2 * FRAME_PX + number * lettering.line_px
            labels.append(Label(line, lettering.ink(line), line_left, line_top, color))
    bottom = first_top + math.ceil(count / columns) * cell_height
    key = lettering.lines(names.key, text_width)
    labels += column(key, GAP_PX, bottom, lettering, "heading")
    bottom += len(key) * lettering.line_px + (GAP_PX if key else 0)
    return PredictionLayout(sheet_width, bottom, scale, density, places, labels)


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


def _captions(
    pairs: Sequence[tuple[int, int]], names: ClassNames, lettering: Lettering, room_px: int, widest: str
) -> tuple[str, list[list[str]]]:
    """Return what the captions say, for the heading, and the lines of each.

    A caption is `predicted / true` if there is room for any two names in one line. Otherwise it is the predicted class,
    and where that is incorrect, `true:` and the true class below it.
    """
    captions = [[f"{names[predicted]} / {names[target]}"] for predicted, target in pairs]
    if all(lettering.width(line) <= room_px for (line,) in [*captions, [f"{widest} / {widest}"]]):
        return ONE_LINE, captions
    captions = [
        [names[predicted]] if predicted == target else [names[predicted], f"true: {names[target]}"]
        for predicted, target in pairs
    ]
    return "predicted class, and the true one where it differs", captions


@lru_cache(64)
def _widest_name(names: tuple[str, ...], font_px: int) -> str:
    """Return the widest of what stands for the first 256 classes: a name, or its number. Empty without names."""
    lettering = Lettering(font_px)
    numbers = range(min(len(names), MAX_NAMES))
    shown = ClassNames(names.__getitem__, numbers, lettering, MAX_NAME_PX * font_px)
    return max(map(shown.__getitem__, numbers), key=lettering.width, default="")


def _blend(color: tuple[int, int, int], levels: int) -> NDArray[np.uint8]:
    """Return pixels from white to a color."""
    weights = np.linspace(0, 1, levels)[:, None]
    return np.round(np.array(WHITE) * (1 - weights) + np.array(color) * weights).astype(np.uint8)


def _palette() -> bytes:
    """Return the colors of a picture of gray images: the grays, then those from white to red."""
    grays = np.round(np.arange(GRAYS) * (255 / (GRAYS - 1))).astype(np.uint8)
    return grays.repeat(3).tobytes() + _blend(COLORS["incorrect"], 256 - GRAYS).tobytes()


def _gray_pixels() -> dict[str, NDArray[np.uint8]]:
    """Return the number in the palette for each share of ink, by the name of the color."""
    ink = np.arange(256) / 255
    pixels = {
        name: np.round((GRAYS - 1) * (1 - ink * (1 - color[0] / 255))).astype(np.uint8)
        for name, color in COLORS.items()
    }
    return {**pixels, "incorrect": (GRAYS + np.round(ink * (255 - GRAYS))).astype(np.uint8)}
