"""Pictures for the dashboards: grids of samples, captioned predictions, plotted curves, all as PNG bytes."""

from __future__ import annotations

import io
import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from monitor.records import ConfusionMatrix, Curve, Images, Predictions

PAD = 2  # pixels between pictures
DRAWABLE = 1e150  # what Matplotlib can lay an axis out for
SMALLEST = 56  # pixels; smaller samples are enlarged to this width before they get a caption
TALLEST = 512  # pixels; they are not enlarged beyond this height
CAPTION = 20  # pixels
CELL, LARGEST = 36, 720  # pixels of a confusion matrix's cell, and of all of them
HEADING = 130  # pixels of the line above it
BLUE = (31, 119, 180)
RIGHT, WRONG, PAPER, GROUND = (96, 96, 96), (208, 0, 0), (255, 255, 255), (32, 32, 32)


class Picture(NamedTuple):
    """A PNG picture and its size in pixels."""

    png: bytes
    width: int
    height: int


def of_images(record: Images) -> Picture:
    """Lay N×C×H×W pictures out in a grid about twice as wide as high."""
    tiles = _rgb(record.images)
    count, height, width, _ = tiles.shape
    columns = _columns(count, height, width)
    rows = math.ceil(count / columns)
    sheet = np.full((rows * (height + PAD) + PAD, columns * (width + PAD) + PAD, 3), GROUND, np.uint8)
    for index, tile in enumerate(tiles):
        top, left = PAD + index // columns * (height + PAD), PAD + index % columns * (width + PAD)
        sheet[top : top + height, left : left + width] = tile
    return _png(Image.fromarray(sheet))


def of_predictions(record: Predictions) -> Picture:
    """Lay samples out in a grid, each captioned *predicted / true*; wrong ones have a red frame and caption."""
    tiles = _rgb(record.images)
    count, height, width, _ = tiles.shape
    scale = max(1, min(math.ceil(SMALLEST / width), TALLEST // height))
    tile_width, tile_height = width * scale + 2 * PAD, height * scale + 2 * PAD + CAPTION
    columns = _columns(count, tile_height, tile_width)
    rows = math.ceil(count / columns)
    sheet = Image.new("RGB", (columns * (tile_width + PAD) + PAD, rows * (tile_height + PAD) + PAD), PAPER)
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(16)
    for index, tile in enumerate(tiles):
        left, top = PAD + index % columns * (tile_width + PAD), PAD + index // columns * (tile_height + PAD)
        wrong = record.predicted[index] != record.target[index]
        frame = (left, top, left + tile_width - 1, top + tile_height - CAPTION - 1)
        draw.rectangle(frame, fill=WRONG if wrong else PAPER)
        picture = Image.fromarray(tile).resize((width * scale, height * scale), Image.Resampling.NEAREST)
        sheet.paste(picture, (left + PAD, top + PAD))
        said, true = (_short(record.label(int(n))) for n in (record.predicted[index], record.target[index]))
        draw.text(
            (left + tile_width // 2, top + tile_height - CAPTION // 2),
            f"{said} / {true}",
            fill=WRONG if wrong else RIGHT,
            font=font,
            anchor="mm",
        )
    return _png(sheet)


def of_confusion(record: ConfusionMatrix) -> Picture:
    """Draw a confusion matrix: a row a true class, shaded by its share of the row; what is off the diagonal is red."""
    classes = len(record.counts)
    cell = max(4, min(CELL, LARGEST // classes))
    numbers = cell == CELL
    names = [_short(record.label(index)) for index in range(classes)]
    wide = max(map(len, names)) > 3  # then the names above stand in two rows, so that they do not meet
    left, top = ((5 if wide else 3) * CELL // 2, (3 if wide else 2) * CELL - 12) if numbers else (0, 0)
    right = CELL // 2 if numbers and wide else PAD
    width = max(left + classes * cell + right, left + HEADING if numbers else 0)
    sheet = Image.new("RGB", (width, top + classes * cell + PAD), PAPER)
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(13)
    shares = record.counts / np.maximum(record.counts.sum(axis=1, keepdims=True), 1)
    for row, column in np.ndindex(classes, classes):
        ground = _shade(float(shares[row, column]), BLUE if row == column else WRONG)
        x, y = left + column * cell, top + row * cell
        draw.rectangle((x, y, x + cell - 2, y + cell - 2), fill=ground)
        if numbers and record.counts[row, column]:
            ink = PAPER if sum(ground) < 3 * 140 else GROUND
            count = _compact(int(record.counts[row, column]))
            draw.text((x + cell // 2, y + cell // 2), count, fill=ink, font=font, anchor="mm")
    if numbers:
        for index in range(classes):
            middle = index * cell + cell // 2
            draw.text((left - 2 * PAD, top + middle), names[index], fill=GROUND, font=font, anchor="rm")
            lift = CELL // 2 * (index % 2) if wide else 0
            draw.text((left + middle, top - 2 * PAD - lift), names[index], fill=GROUND, font=font, anchor="ms")
        draw.text((PAD, top - 2 * PAD), "true", fill=RIGHT, font=font, anchor="ls")
        draw.text((left, 2 * PAD), f"predicted · step {record.step}", fill=RIGHT, font=font, anchor="lt")
    return _png(sheet)


def _shade(share: float, colour: tuple[int, int, int]) -> tuple[int, int, int]:
    """Mix a colour with the paper; small shares still show."""
    weight = math.sqrt(min(max(share, 0.0), 1.0))
    return tuple(round(p + (c - p) * weight) for p, c in zip(PAPER, colour))  # type: ignore[return-value]


def _compact(count: int) -> str:
    return str(count) if abs(count) < 10_000 else f"{count:.0e}".replace("e+0", "e")


def of_curve(record: Curve) -> Picture:
    """Plot a curve, for dashboards that show no x–y plots of their own."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 4), dpi=100, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.plot(*(np.clip(values, -DRAWABLE, DRAWABLE) for values in (record.x, record.y)))
    if record.points is not None:
        axes.plot(*(np.clip(values, -DRAWABLE, DRAWABLE) for values in record.points), "o", color="#d62728")
    if record.level is not None:
        axes.axhline(float(np.clip(record.level, -DRAWABLE, DRAWABLE)), color="#7f7f7f", linestyle="--")
    titles = (_drawable(text) for text in (f"{record.tag} · step {record.step}", record.x_title, record.y_title))
    axes.set(**dict(zip(("title", "xlabel", "ylabel"), titles)))
    axes.grid(alpha=0.3)
    canvas.draw()
    return _png(Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3].copy()))


def _drawable(text: str) -> str:
    """Return text as Matplotlib can draw it: without formulas, and without characters that its font has not got."""
    from matplotlib.font_manager import findfont, get_font

    known = get_font(findfont("DejaVu Sans")).get_charmap()
    # A lone $ would start a formula, and an unfinished formula is an error.
    return "".join(c if ord(c) in known and c.isprintable() else "\ufffd" for c in text).replace("$", r"\$")


def labels(record: Predictions) -> str:
    """Write predicted and true classes as text, and how many agree."""
    right = int((record.predicted == record.target).sum())
    rows = [
        f"{index}: {record.label(int(said))} / {record.label(int(true))}" + ("" if said == true else "  wrong")
        for index, (said, true) in enumerate(zip(record.predicted, record.target))
    ]
    head = f"step {record.step}: {right} of {len(rows)} right; sample: predicted / true"
    return "\n".join([head, *rows])


def _columns(count: int, height: int, width: int) -> int:
    return max(1, min(count, round(math.sqrt(2 * count * height / width))))


def _rgb(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Turn N×C×H×W into N×H×W×3."""
    tiles = images.transpose(0, 2, 3, 1)
    return np.repeat(tiles, 3, axis=3) if tiles.shape[3] == 1 else tiles


def _short(label: str) -> str:
    return label if len(label) <= 8 else label[:7] + "…"


def _png(picture: Image.Image) -> Picture:
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", compress_level=6)
    return Picture(buffer.getvalue(), *picture.size)
