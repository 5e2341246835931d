"""How all charts look: layout and colors."""

from __future__ import annotations

import colorsys
from typing import TYPE_CHECKING, Any

import numpy as np

from monitor.render.text.escaping import PALETTE, escape_html

if TYPE_CHECKING:
    from numpy.typing import NDArray

Figure = dict[str, Any]  # `data`, a list of traces, and `layout`

GOLDEN_RATIO = 0.618034
GRID = {"gridcolor": "#ebedf0", "zeroline": False, "linecolor": "#c8ccd2", "automargin": True}


def color(index: int) -> str:
    """Return the color of curve `index`: the palette's, then others that are never the same."""
    if index < len(PALETTE):
        return PALETTE[index]
    number = index - len(PALETTE)
    hue, lightness = (0.08 + number * GOLDEN_RATIO) % 1, (0.42, 0.6, 0.3)[number % 3]
    red, green, blue = (round(255 * part) for part in colorsys.hls_to_rgb(hue, lightness, 0.6))
    return f"#{red:02x}{green:02x}{blue:02x}"


def with_opacity(hex_color: str, opacity: float) -> str:
    """Return a color such as `#1f77b4` as `rgba(…)`."""
    red, green, blue = (int(hex_color[at : at + 2], 16) for at in (1, 3, 5))
    return f"rgba({red},{green},{blue},{opacity:g})"


def as_text(text: object) -> str:
    """Escape text for Plotly, which reads tags of HTML in titles, names, and labels."""
    return escape_html(str(text))


def template_text(name: str) -> str:
    """Return text for a hover template, in which `%{` begins a variable."""
    return name.replace("%{", "%&#123;")


def array(values: Any) -> NDArray[np.float64]:
    """Return values as an array, with NaN for None."""
    if isinstance(values, np.ndarray):
        return values.astype(np.float64, copy=False)
    return np.array([np.nan if value is None else value for value in values], np.float64)


def layout(title: str, x: str, y: str) -> dict[str, Any]:
    """Return the layout of a chart with a title and labels for its axes."""
    return {
        "title": {
            "text": as_text(title), "font": {"size": 13}, "x": 0.03, "xanchor": "left", "y": 0.98, "yanchor": "top",
        },
        "font": {"family": "system-ui, sans-serif", "size": 12, "color": "#333"},
        "xaxis": {"title": {"text": as_text(x), "standoff": 6}, **GRID},
        "yaxis": {"title": {"text": as_text(y), "standoff": 6}, **GRID},
        "margin": {"l": 52, "r": 14, "t": 40, "b": 42},
        "plot_bgcolor": "#fff",
        "paper_bgcolor": "#fff",
        "legend": {"orientation": "h", "y": 1.0, "yanchor": "bottom", "x": 0, "xanchor": "left"},
        "hoverlabel": {"bgcolor": "rgba(255,255,255,0.9)", "font": {"size": 11, "color": "#222"}, "namelength": 40},
        "uirevision": "keep",  # an update does not change the user's zoom
    }  # fmt: skip
