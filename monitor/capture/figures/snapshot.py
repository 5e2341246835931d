"""Copy a figure of Matplotlib or Plotly during a log call, so that what the loop does to it afterwards changes nothing.

A figure of Matplotlib is pickled, which takes a fraction of the time of drawing it. A worker draws the copy.
"""

from __future__ import annotations

import copy
import sys
from typing import TYPE_CHECKING, Any, Protocol

from monitor.capture.figures.copying import copy_figure, restore_figure

if TYPE_CHECKING:
    from collections.abc import Mapping


class FigureSnapshot(Protocol):
    """A copy of a figure."""

    @property
    def nbytes(self) -> int:
        """Bytes of memory, roughly."""
        ...

    def content(self) -> tuple[bytes, str]:
        """Return the PNG file and Plotly's JSON, of which one is empty. Takes long; for workers only."""
        ...


def snapshot_figure(figure: Any, tag: str) -> FigureSnapshot:
    """Copy a figure. Does not draw it, unless it is one of Matplotlib that cannot be pickled.

    Args:
        figure: a `matplotlib.figure.Figure`, a `plotly.graph_objects.Figure`, or a mapping with Plotly's `data`.
        tag: for messages.

    Raises:
        TypeError: for anything else.
    """
    kind = getattr(sys.modules.get("matplotlib.figure"), "Figure", None)
    if kind is not None and isinstance(figure, kind):
        return _Matplotlib(figure)
    if isinstance(figure, dict) and "data" in figure:
        return _Plotly(copy.deepcopy(figure))
    if callable(getattr(figure, "to_plotly_json", None)):
        return _Plotly(figure.to_dict())  # a deep copy
    name = type(figure).__name__
    raise TypeError(f"{' '.join(tag.split())}: a figure must be one of Matplotlib or Plotly, not {name}")


class _Matplotlib:
    def __init__(self, figure: Any) -> None:
        self._copied, self._png = b"", b""
        try:
            self._copied = copy_figure(figure)
        except Exception:  # a lambda as a formatter, or an artist of the user that has no pickle
            from monitor.render.pictures.figures import draw

            self._png = draw(figure)
        self.nbytes = len(self._copied) + len(self._png)

    def content(self) -> tuple[bytes, str]:
        from monitor.render.pictures.figures import draw

        if self._copied:
            copied, self._copied = self._copied, b""
            self._png = draw(restore_figure(copied))
        return self._png, ""


class _Plotly:
    def __init__(self, figure: Mapping[str, Any]) -> None:
        self._figure = figure
        self.nbytes = _array_bytes(figure)

    def content(self) -> tuple[bytes, str]:
        from monitor.render.plotly_json import encode_figure

        return b"", encode_figure(self._figure)


def _array_bytes(value: Any) -> int:
    """Return about how many bytes the texts and arrays of a figure take."""
    if isinstance(value, dict):
        return sum(map(_array_bytes, value.values()))
    if isinstance(value, list | tuple):
        return 8 * len(value) if value and isinstance(value[0], float) else sum(map(_array_bytes, value))
    nbytes = getattr(value, "nbytes", None)
    return int(nbytes) if nbytes is not None else len(value) if isinstance(value, str) else 8
