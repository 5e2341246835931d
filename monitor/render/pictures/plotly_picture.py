"""Draw figures of Plotly with Matplotlib, for dashboards that show pictures only.

Lines, points, bars, histograms, and heat maps are drawn, plainly. What else there is, the picture names.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from monitor.render.pictures.curve import MAX_PLOT_VALUE, escape_for_matplotlib
from monitor.render.pictures.figures import draw
from monitor.render.plotly_json import decode_figure

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_TRACES = 100
MAX_TITLE_CHARS = 200
TEXT_TAG = re.compile(r"</?(b|i|em|sub|sup|br|span|a)\b[^>]*>")  # of Plotly's texts
MAX_NAMES = 10  # of traces that are not drawn


def plotly_picture(content: str, title: str) -> bytes:
    """Return a figure, given as Plotly's JSON, as a PNG file. Raises `ValueError` for other JSON."""
    from matplotlib.figure import Figure

    data, layout = decode_figure(content)
    figure = Figure(figsize=(6.4, 4), dpi=100, layout="constrained")
    axes = figure.add_subplot()
    not_drawn: list[str] = []
    for trace in data[:MAX_TRACES]:
        kind = str(trace.get("type", "scatter"))
        try:
            _DRAWERS[kind](axes, trace, {"label": escape_for_matplotlib(str(trace.get("name") or ""))})
        except Exception:  # a kind that is not drawn here, or values that Matplotlib does not take
            not_drawn.append(kind)
    if any(trace.get("name") for trace in data) and axes.get_legend_handles_labels()[0]:
        axes.legend(fontsize="small")
    names = ", ".join(sorted(set(not_drawn))[:MAX_NAMES])
    note = f"\n{escape_for_matplotlib(f'not drawn here: {names}')}" if names else ""
    if names and not axes.has_data():
        axes.set_axis_off()
    axes.set_title(escape_for_matplotlib(_text(layout.get("title")) or title) + note, fontsize=10)
    axes.set_xlabel(escape_for_matplotlib(_axis_title(layout, "xaxis")))
    axes.set_ylabel(escape_for_matplotlib(_axis_title(layout, "yaxis")))
    return draw(figure)


def _scatter(axes: Any, trace: dict[str, Any], style: dict[str, Any]) -> None:
    y = _values(trace["y"])
    x = _values(trace["x"]) if trace.get("x") is not None else range(len(y))
    mode = str(trace.get("mode", "lines"))
    axes.plot(x, y, "-" if "lines" in mode else "", marker="o" if "markers" in mode else "", markersize=4, **style)


def _bar(axes: Any, trace: dict[str, Any], style: dict[str, Any]) -> None:
    if trace.get("orientation") == "h":
        axes.barh(_values(trace["y"]), _values(trace["x"]), **style)
    else:
        y = _values(trace["y"])
        axes.bar(_values(trace["x"]) if trace.get("x") is not None else range(len(y)), y, **style)


def _histogram(axes: Any, trace: dict[str, Any], style: dict[str, Any]) -> None:
    axes.hist([value for value in _values(trace["x"]) if value == value], bins=30, **style)


def _heatmap(axes: Any, trace: dict[str, Any], _style: dict[str, Any]) -> None:
    image = axes.imshow([_values(row) for row in trace["z"]], aspect="auto", origin="lower")
    axes.figure.colorbar(image, ax=axes)


_DRAWERS: dict[str, Callable[[Any, dict[str, Any], dict[str, Any]], None]] = {
    "scatter": _scatter,
    "scattergl": _scatter,
    "bar": _bar,
    "histogram": _histogram,
    "heatmap": _heatmap,
}


def _values(values: list[Any]) -> list[Any]:
    """Return numbers as floats that Matplotlib can draw, null as NaN; or all as texts, if some are texts."""
    if any(isinstance(value, str) for value in values):
        return [escape_for_matplotlib(str(value)) for value in values]
    limit = MAX_PLOT_VALUE
    return [float("nan") if value is None else max(-limit, min(limit, float(value))) for value in values]


def _axis_title(layout: dict[str, Any], axis: str) -> str:
    described = layout.get(axis)
    return _text(described.get("title")) if isinstance(described, dict) else ""


def _text(title: Any) -> str:
    """Return a title, which is text or has a text, without its tags."""
    text = title.get("text") if isinstance(title, dict) else title
    return TEXT_TAG.sub("", text[:MAX_TITLE_CHARS]) if isinstance(text, str) else ""
