"""One chart that shows any of several steps, chosen with a slider: Plotly's own, so that it works on every page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from monitor.render.charts.style import Figure

SLIDER_PX = 62  # below the chart
PLACE = {"xref": "x", "yref": "y", "x": 0, "y": 0, "sizing": "stretch", "layer": "below"}
UNUSED_TOOLS = ["zoom2d", "pan2d", "select2d", "lasso2d", "zoomIn2d", "zoomOut2d", "autoScale2d"]  # they hide a picture
_MISSING = object()


class Picture(NamedTuple):
    """A picture of a chart.

    Attributes:
        source: its address, such as `data:image/png;base64,…`.
        width: pixels.
        height: pixels.
    """

    source: str
    width: float
    height: float


def with_slider(figures: Sequence[tuple[int, Figure]]) -> Figure:
    """Return the chart of the newest step with a slider, which replaces what differs in the charts of the others.

    There is no slider for a single step, but room for one, and the step is written there.

    Args:
        figures: steps and charts, the newest last. All of them have the same traces as the newest one; those that do
            not are left out.
    """
    newest = figures[-1][1]
    kinds = [trace.get("type") for trace in newest["data"]]
    figures = [pair for pair in figures if [trace.get("type") for trace in pair[1]["data"]] == kinds]
    margin = newest["layout"].get("margin") or {}
    bottom = margin.get("b", 0)
    layout = {**newest["layout"], "margin": {**margin, "b": bottom + SLIDER_PX}}
    if len(figures) == 1:
        layout["annotations"] = [*(layout.get("annotations") or ()), _note(f"step {figures[0][0]}", bottom)]
        return {"data": newest["data"], "layout": layout}
    layout["sliders"] = [_slider(figures, bottom)]
    return {"data": newest["data"], "layout": layout}


def picture_charts(pictures: Sequence[Picture]) -> list[Figure]:
    """Return a chart for each picture, which shows it alone, and can be zoomed.

    All of them hold all pictures, so that one chart with a slider holds each picture once.
    """
    places = [{**PLACE, "source": source, "sizex": width, "sizey": height} for source, width, height in pictures]
    charts = []
    for shown, (_, width, height) in enumerate(pictures):
        corners = {"x": [0, width], "y": [height, 0], "mode": "markers", "marker": {"opacity": 0, "line": {}}}
        layout = {
            "images": [{**place, "visible": number == shown} for number, place in enumerate(places)],
            "xaxis": {"visible": False, "range": [0, width], "constrain": "domain"},
            "yaxis": {"visible": False, "range": [height, 0], "scaleanchor": "x", "constrain": "domain"},
            "margin": {"l": 0, "r": 0, "t": 0, "b": 0},
            "modebar": {"remove": UNUSED_TOOLS},
            "hovermode": False,
            "showlegend": False,
            "uirevision": "keep",
        }
        charts.append({"data": [{"type": "scatter", **corners, "hoverinfo": "skip"}], "layout": layout})
    return charts


def _slider(figures: Sequence[tuple[int, Figure]], bottom: float) -> dict[str, Any]:
    changes = _changes([figure["layout"] for _, figure in figures])
    traces = [
        _changes([figure["data"][number] for _, figure in figures]) for number in range(len(figures[0][1]["data"]))
    ]
    keys = sorted({key for trace in traces for key in trace[0]})
    numbers = [number for number, trace in enumerate(traces) if trace[0]]
    steps = []
    for place, (step, _) in enumerate(figures):
        # A list of values is one value a trace, so each value is in a list, also one that is a list.
        data = {key: [traces[number][place].get(key) for number in numbers] for key in keys}
        args = [data, changes[place], numbers] if numbers else [changes[place]]
        method = "update" if numbers else "relayout"
        steps.append({"label": str(step), "value": str(step), "method": method, "args": args})
    return {
        "active": len(steps) - 1,
        "steps": steps,
        "currentvalue": {"prefix": "step ", "font": {"size": 11, "color": "#555"}, "offset": 2},
        "font": {"size": 9, "color": "#777"},
        "len": 1,
        "x": 0,
        "y": 0,
        "yanchor": "top",
        "pad": {"t": bottom + 2, "b": 0, "l": 12, "r": 28},  # the corner of a window is for resizing it
        "ticklen": 3,
        "minorticklen": 2,
        "transition": {"duration": 0},
    }


def _note(text: str, bottom: float) -> dict[str, Any]:
    """Return a text in the place where a slider shows its step."""
    return {
        "text": text, "showarrow": False, "font": {"size": 11, "color": "#555"}, "xref": "paper", "yref": "paper",
        "x": 0, "y": 0, "xanchor": "left", "yanchor": "top", "xshift": 12, "yshift": -bottom,
    }  # fmt: skip


def _changes(objects: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return, for each object, the values that are not the same in all of them, by their paths; None is no value."""
    flat = [dict(_leaves(item, "")) for item in objects]
    paths = dict.fromkeys(path for leaves in flat for path in leaves)
    first = flat[0]
    differing = [
        path
        for path in paths
        if any(not _is_same(leaves.get(path, _MISSING), first.get(path, _MISSING)) for leaves in flat[1:])
    ]
    return [{path: leaves.get(path) for path in differing} for leaves in flat]


def _leaves(value: dict[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    """Yield the values of nested objects with their paths, such as `images[0].visible`. Other lists are values."""
    for name, item in value.items():
        path = f"{prefix}{name}"
        if isinstance(item, dict):
            yield from _leaves(item, f"{path}.")
        elif name == "images" and isinstance(item, list):
            for number, part in enumerate(item):
                yield from _leaves(part, f"{path}[{number}].")
        else:
            yield path, item


def _is_same(a: Any, b: Any) -> bool:
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        return isinstance(a, np.ndarray) and isinstance(b, np.ndarray) and np.array_equal(a, b)
    return bool(a is b or (type(a) is type(b) and a == b))
