"""Draw a confusion matrix as a PNG image, for dashboards that have no heat maps."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from PIL import Image

from monitor.render.charts.confusion import row_shares
from monitor.render.pictures.images import PngImage, encode_png
from monitor.render.pictures.labels import ClassNames, Label, column, paint
from monitor.render.pictures.lettering import Lettering

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from monitor.records import ConfusionMatrix

# In pixels, of which a page has two per pixel.
MAX_CELL_PX, MIN_NAMED_CELL_PX = 72, 22  # a cell; the narrowest whose class is named
MAX_MATRIX_PX = 1440  # all cells, where they need not be wider for the names
FONT_PX, SMALL_FONT_PX = 24, 17
MAX_NAME_PX = 340  # a wider name is a number, which a key explains
MAX_KEY_PX = 1040  # the width for which a picture is made wider than its cells
MAX_NAMED = 100  # classes that all have their names; of more, every n-th has
MAX_CELLS = 2048  # in a row; of more classes, several share a cell
GAP_PX = 12
# A pixel is a number: the shade of its cell times 8, plus the share of ink on it.
INKS, SHADES = 8, 15  # SHADES of blue, after white, and as many of red
BLUE, RED, WHITE, DARK = (31, 119, 180), (208, 0, 0), (255, 255, 255), (32, 32, 32)
DARK_SHADE = 9  # from this one on, ink is white


class ConfusionLayout(NamedTuple):
    """Where everything is in the picture of a confusion matrix, in pixels.

    Attributes:
        width: of the picture.
        height: of the picture.
        left: of the matrix.
        top: of the matrix.
        cell: the width and height of a cell.
        labels: the heading, the names of the classes, and the key.
        counts: the numbers in the cells.
    """

    width: int
    height: int
    left: int
    top: int
    cell: int
    labels: list[Label]
    counts: list[Label]


def confusion_matrix_image(record: ConfusionMatrix) -> PngImage:
    """Draw a confusion matrix with one row per true class.

    Each cell is shaded by its share of the row, in blue on the diagonal and in red elsewhere.
    """
    layout = arrange_confusion_matrix(record)
    sheet = np.zeros((layout.height, layout.width), np.uint8)
    shades = _pooled(_shades(row_shares(record.counts)))
    size = len(shades) * layout.cell
    cells = (shades * INKS).repeat(layout.cell, axis=0).repeat(layout.cell, axis=1)
    if layout.cell >= MIN_NAMED_CELL_PX:  # thin lines between the cells
        cells[layout.cell - 1 :: layout.cell] = 1
        cells[:, layout.cell - 1 :: layout.cell] = 1
    sheet[layout.top : layout.top + size, layout.left : layout.left + size] = cells
    inks = np.round(np.arange(256) * ((INKS - 1) / 255)).astype(np.uint8)
    for label in layout.labels:
        paint(sheet, label, inks)
    for label in layout.counts:
        shade = sheet[label.top + label.ink.shape[0] // 2, label.left]
        paint(sheet, label, shade + inks)
    picture = Image.fromarray(sheet)
    picture.putpalette(_palette())
    return encode_png(picture, 2)


def arrange_confusion_matrix(record: ConfusionMatrix) -> ConfusionLayout:
    """Decide where the cells and their names are; the names above are turned if one is wider than its cell."""
    classes = len(record.counts)
    group = max(1, -(-classes // MAX_CELLS))  # classes per cell
    cells = -(-classes // group)
    cell = min(MAX_CELL_PX, MAX_MATRIX_PX // max(1, cells)) if classes else MAX_CELL_PX
    cell = max(1, cell, MIN_NAMED_CELL_PX if classes <= MAX_NAMED else 1)
    lettering = Lettering(FONT_PX if cell >= Lettering(FONT_PX).line_px else SMALL_FONT_PX)
    every = -(-lettering.line_px // cell) if cell < MIN_NAMED_CELL_PX else 1
    named = range(0, cells, every)
    names = ClassNames(record.label, [place * group for place in named], lettering, MAX_NAME_PX)
    inks = {place: lettering.ink(names[place * group]) for place in named}
    longest = max((ink.shape[1] for ink in inks.values()), default=0)
    is_turned = longest > cell * every - 4
    true = lettering.ink("true")
    left = max(longest, true.shape[1]) + 2 * GAP_PX
    width = left + cells * cell + GAP_PX
    correct, total = int(np.trace(record.counts)), int(record.counts.sum())
    heading = ["rows: true class", "columns: predicted class"]
    heading += [f"{correct:,} of {total:,} correct", f"step {record.step:,}"]
    heading += [f"{group} classes per cell"] if group > 1 else []
    key_px = max((lettering.width(entry) for entry in names.key), default=0)
    width = max(width, *(lettering.width(part) + 2 * GAP_PX for part in heading), min(key_px + 2 * GAP_PX, MAX_KEY_PX))
    lines = lettering.lines(heading, width - 2 * GAP_PX, " · ")
    labels = column(lines, GAP_PX, GAP_PX, lettering, "")
    names_top = 2 * GAP_PX + len(lines) * lettering.line_px
    names_height = max(longest if is_turned else lettering.line_px, lettering.line_px)
    top = names_top + names_height + GAP_PX // 2
    labels.append(Label("true", true, left - GAP_PX - true.shape[1], top - GAP_PX // 2 - lettering.line_px, ""))
    for place, ink in inks.items():
        name = names[place * group]
        across, height = place * cell + cell // 2, ink.shape[0]
        labels.append(Label(name, ink, left - GAP_PX - ink.shape[1], top + across - height // 2, ""))
        above = np.rot90(ink) if is_turned else ink
        from_top = top - GAP_PX // 2 - above.shape[0]
        labels.append(Label(name, above, left + across - above.shape[1] // 2, from_top, ""))
    bottom = top + cells * cell + GAP_PX
    key = lettering.lines(names.key, width - 2 * GAP_PX)
    labels += column(key, GAP_PX, bottom, lettering, "")
    bottom += len(key) * lettering.line_px + (GAP_PX if key else 0)
    counts = _counts(record, left, top, cell, lettering) if group == 1 else []
    return ConfusionLayout(width, bottom, left, top, cell, labels, counts)


def _counts(record: ConfusionMatrix, left: int, top: int, cell: int, lettering: Lettering) -> list[Label]:
    """Place the numbers that are not 0 in the middle of their cells; none if a cell may be too narrow."""
    if lettering.width("8e88") > cell:
        return []
    labels = []
    for row, place in np.argwhere(record.counts).tolist():
        text = _format_count(int(record.counts[row, place]))
        ink = lettering.ink(text)
        x, y = left + place * cell + (cell - ink.shape[1]) // 2, top + row * cell + (cell - ink.shape[0]) // 2
        labels.append(Label(text, ink, x, y, ""))
    return labels


def _format_count(count: int) -> str:
    return str(count) if abs(count) < 10_000 else f"{count:.0e}".replace("e+0", "e").replace("e+", "e")


def _shades(shares: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Return the number of the color of each cell; even a small share is visible."""
    levels = np.ceil(np.sqrt(np.clip(shares, 0, 1)) * SHADES - 1e-9).astype(np.uint8)
    is_wrong = ~np.eye(len(shares), dtype=bool)
    return np.where(is_wrong & (levels > 0), levels + np.uint8(SHADES), levels)


def _pooled(shades: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return one number for several classes that share a cell: that of the worst mistake."""
    group = max(1, -(-len(shades) // MAX_CELLS))
    if group == 1:
        return shades
    starts = np.arange(0, len(shades), group)
    pooled: NDArray[np.uint8] = np.maximum.reduceat(np.maximum.reduceat(shades, starts, axis=0), starts, axis=1)
    return pooled


def _palette() -> bytes:
    """Return the colors of white, the shades of blue, and those of red, each with more and more ink on it."""
    shades = [np.array(WHITE)]
    for color in (BLUE, RED):
        shades += [np.array(WHITE) + (np.array(color) - WHITE) * level / SHADES for level in range(1, SHADES + 1)]
    entries = []
    for number, shade in enumerate(shades):
        ink = np.array(WHITE if number and (number - 1) % SHADES + 1 >= DARK_SHADE else DARK)
        entries += [shade + (ink - shade) * level / (INKS - 1) for level in range(INKS)]
    return np.round(entries).astype(np.uint8).tobytes()
