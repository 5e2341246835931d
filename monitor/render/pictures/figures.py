"""Draw figures of Matplotlib as PNG files."""

from __future__ import annotations

import io
import os
import struct
import threading
from typing import Any

MAX_SIDE_PX = 4096  # of a drawn figure; larger ones are drawn smaller


class _DrawingLock:
    """Lets one thread draw at a time, because Matplotlib's parser of formulas is shared by all figures."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._renew)  # another thread may have held it

    def _renew(self) -> None:
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()


drawing_lock = _DrawingLock()


def draw(figure: Any) -> bytes:
    """Return a figure of Matplotlib as a PNG file. Changes its canvas, so pass a copy."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    with drawing_lock:
        canvas = figure.canvas
        try:
            width, height = figure.get_size_inches()
            dpi = min(float(figure.dpi), MAX_SIDE_PX / max(float(width), float(height)))
            file = io.BytesIO()
            FigureCanvasAgg(figure).print_figure(
                file, format="png", dpi=dpi, facecolor=figure.get_facecolor(), edgecolor=figure.get_edgecolor()
            )
        finally:
            figure.set_canvas(canvas)
    return file.getvalue()


def png_size(png: bytes) -> tuple[int, int]:
    """Return the width and height in the header of a PNG file. Raises `ValueError` for another file."""
    if png[:8] != b"\x89PNG\r\n\x1a\n" or len(png) < 24:
        raise ValueError("this is not a PNG file")
    width, height = struct.unpack(">II", png[16:24])
    return width, height
