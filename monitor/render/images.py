"""Draw records as PNG images: grids, captioned predictions, confusion matrices, plotted curves."""

from __future__ import annotations

import io
import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from monitor.render.figures import drawing_lock

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from monitor.records import ConfusionMatrix, Curve, Images, Predictions

PADDING_PX = 2  # between images
MAX_PLOT_VALUE = 1e150  # Matplotlib cannot draw axes for larger values
MIN_TILE_WIDTH_PX = 56  # narrower images are enlarged, so that their caption fits
MAX_TILE_HEIGHT_PX = 512  # but not beyond this height
CAPTION_HEIGHT_PX = 20
CELL_PX, MAX_MATRIX_PX = 36, 720  # width of one cell of a confusion matrix, and of all cells
HEADING_WIDTH_PX = 130  # of the line above a confusion matrix
BLUE = (31, 119, 180)
CORRECT_COLOR, INCORRECT_COLOR, BACKGROUND_COLOR, DARK_COLOR = (96, 96, 96), (208, 0, 0), (255, 255, 255), (32, 32, 32)


class PngImage(NamedTuple):
    """An encoded image.

    Attributes:
        png: the bytes of the PNG file.
        width: pixels.
        height: pixels.
        channels: 3 for RGB, 4 for RGBA.
    """

    png: bytes
    width: int
    height: int
    channels: int = 3


def image_grid(record: Images) -> PngImage:
    """Arrange N×C×H×W images in a grid about twice as wide as high. Transparent ones stay transparent."""
    tiles = record.images.transpose(0, 2, 3, 1) if record.images.shape[1] == 4 else to_rgb(record.images)
    count, height, width, channels = tiles.shape
    columns = _column_count(count, height, width)
    rows = math.ceil(count / columns)
    sheet = np.full(
        (rows * (height + PADDING_PX) + PADDING_PX, columns * (width + PADDING_PX) + PADDING_PX, channels),
        (*DARK_COLOR, 255)[:channels],
        np.uint8,
    )
    for index, tile in enumerate(tiles):
        top, left = (
            PADDING_PX + index // columns * (height + PADDING_PX),
            PADDING_PX + index % columns * (width + PADDING_PX),
        )
        sheet[top : top + height, left : left + width] = tile
    return encode_png(Image.fromarray(sheet))


def prediction_grid(record: Predictions) -> PngImage:
    """Arrange images in a grid, each captioned *predicted / true*; incorrect predictions are red."""
    tiles = to_rgb(record.images)
    count, height, width, _ = tiles.shape
    scale = max(1, min(math.ceil(MIN_TILE_WIDTH_PX / width), MAX_TILE_HEIGHT_PX // height))
    tile_width, tile_height = width * scale + 2 * PADDING_PX, height * scale + 2 * PADDING_PX + CAPTION_HEIGHT_PX
    columns = _column_count(count, tile_height, tile_width)
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
        predicted, target = (_shorten(record.label(int(n))) for n in (record.predicted[index], record.target[index]))
        draw.text(
            (left + tile_width // 2, top + tile_height - CAPTION_HEIGHT_PX // 2),
            f"{predicted} / {target}",
            fill=INCORRECT_COLOR if is_incorrect else CORRECT_COLOR,
            font=font,
            anchor="mm",
        )
    return encode_png(sheet)


def confusion_matrix_image(record: ConfusionMatrix) -> PngImage:
    """Draw a confusion matrix with one row per true class.

    Each cell is shaded by its share of the row, in blue on the diagonal and in red elsewhere.
    """
    classes = len(record.counts)
    cell = max(4, min(CELL_PX, MAX_MATRIX_PX // classes))
    numbers = cell == CELL_PX
    names = [_shorten(record.label(index)) for index in range(classes)]
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


def curve_image(record: Curve) -> PngImage:
    """Plot a curve, for dashboards that have no x–y plots."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 4), dpi=100, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.plot(*(np.clip(values, -MAX_PLOT_VALUE, MAX_PLOT_VALUE) for values in (record.x, record.y)))
    if record.points is not None:
        axes.plot(*(np.clip(values, -MAX_PLOT_VALUE, MAX_PLOT_VALUE) for values in record.points), "o", color="#d62728")
    if record.level is not None:
        axes.axhline(float(np.clip(record.level, -MAX_PLOT_VALUE, MAX_PLOT_VALUE)), color="#7f7f7f", linestyle="--")
    titles = (
        escape_for_matplotlib(text) for text in (f"{record.tag} · step {record.step}", record.x_title, record.y_title)
    )
    axes.set(**dict(zip(("title", "xlabel", "ylabel"), titles)))
    axes.grid(alpha=0.3)
    with drawing_lock:
        canvas.draw()
    return encode_png(Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3].copy()))


def escape_for_matplotlib(text: str) -> str:
    """Escape formulas, and replace characters that are missing in Matplotlib's font."""
    from matplotlib.font_manager import findfont, get_font

    charmap = get_font(findfont("DejaVu Sans")).get_charmap()
    # A single $ starts a formula, and an unfinished formula raises an error.
    return "".join(c if ord(c) in charmap and c.isprintable() else "\ufffd" for c in text).replace("$", r"\$")


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


def _column_count(count: int, height: int, width: int) -> int:
    return max(1, min(count, round(math.sqrt(2 * count * height / width))))


def to_rgb(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Convert N×C×H×W images, gray, RGB, or RGBA, to N×H×W×3; transparent ones get a white background."""
    tiles = images.transpose(0, 2, 3, 1)
    if tiles.shape[3] == 4:
        opacity = tiles[..., 3:].astype(np.uint16)
        tiles = ((tiles[..., :3] * opacity + 255 * (255 - opacity) + 127) // 255).astype(np.uint8)
    return np.repeat(tiles, 3, axis=3) if tiles.shape[3] == 1 else tiles


def _shorten(label: str) -> str:
    return label if len(label) <= 8 else label[:7] + "…"


def encode_png(image: Image.Image) -> PngImage:
    """Encode an RGB or RGBA image."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=6)
    return PngImage(buffer.getvalue(), *image.size, len(image.getbands()))
