"""Draw an x–y plot as a PNG image, for dashboards that have no such plots."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from monitor.render.pictures.figures import drawing_lock
from monitor.render.pictures.images import PngImage, encode_png

if TYPE_CHECKING:
    from monitor.records import Curve

MAX_PLOT_VALUE = 1e150  # Matplotlib cannot draw axes for larger values


def curve_image(record: Curve) -> PngImage:
    """Plot a curve."""
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
