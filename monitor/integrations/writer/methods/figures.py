"""Take a copy of a matplotlib figure during the call, and draw it on a worker."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from monitor.capture.figures.copying import copy_figure, restore_figure
from monitor.render.pictures.figures import drawing_lock

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray


def capture(figure: Any, close: bool, draw_now: Callable[..., Any]) -> tuple[int, Callable[[], NDArray[np.uint8]]]:
    """Copy a figure, or a list of figures; return the bytes that the copy takes, and what draws it.

    The drawing is 3×H×W, or N×3×H×W for a list. A figure that cannot be copied is drawn now.

    Args:
        figure: a figure or a list of figures.
        close: whether pyplot forgets it.
        draw_now: the package's own function, `figure_to_image(figures, close)`. It raises for anything else.
    """
    from matplotlib.figure import Figure

    figures = figure if isinstance(figure, list) else [figure]
    copies = [_copy(item) if isinstance(item, Figure) else None for item in figures]
    if not copies or None in copies:
        drawn = draw_now(figure, close)
        return drawn.nbytes, lambda: drawn
    if close:
        from matplotlib import pyplot

        for item in figures:
            pyplot.close(item)

    def draw() -> NDArray[np.uint8]:
        import numpy as np

        images = [_draw(copied) for copied in copies if copied is not None]
        return np.stack(images) if isinstance(figure, list) else images[0]

    return sum(len(copied) for copied in copies if copied is not None), draw


def _copy(figure: Any) -> bytes | None:
    """Return a copy of a figure; None if it cannot be pickled, such as one with a formatter that is a lambda."""
    try:
        return copy_figure(figure)
    except Exception:
        return None


def _draw(copied: bytes) -> NDArray[np.uint8]:
    """Draw as the packages' `figure_to_image` does."""
    import numpy as np
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    with drawing_lock:
        canvas = FigureCanvasAgg(restore_figure(copied))
        canvas.draw()
    pixels: NDArray[np.uint8] = np.asarray(canvas.buffer_rgba())[:, :, :3]
    return np.moveaxis(pixels, source=2, destination=0)
