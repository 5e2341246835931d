"""What a chart says beside its lines: where they are cut off, where they hide each other, and what is not finite."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from monitor.render.charts.style import array, template_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from monitor.render.charts.curves.curve import ChartCurve

MAX_MARKS = 8  # of a curve, where it is cut
MARK_INSET = 0.002  # of the range, by which a mark is inside it
MAX_NOTES = 4
MAX_LISTED_CHARS = 60  # of names in a note
FLAT_ROOM = 0.1  # of a value that does not change, above and below it


def cut_marks(curve: ChartCurve, name: str, limits: tuple[float, float], meta: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the triangles at the edges of the chart where the curve leaves it, with the values on hover."""
    low, high = limits
    inset = MARK_INSET * (high - low)
    x, y = np.asarray(curve.x), array(curve.y)
    marks = []
    for edge, symbol, sign in ((high, "triangle-up", 1), (low, "triangle-down", -1)):
        outside = np.flatnonzero((y - edge) * sign > 0)
        outside = np.sort(outside[np.argsort(-sign * y[outside], kind="stable")[:MAX_MARKS]])
        if len(outside):
            times = {} if curve.times is None else {"times": np.asarray(curve.times)[outside].tolist()}
            marks.append(
                {
                    "type": "scatter",
                    "mode": "markers",
                    "x": x[outside].tolist(),
                    "y": [edge - sign * inset] * len(outside),
                    "customdata": y[outside].tolist(),
                    "marker": {"color": curve.color, "size": 10, "symbol": symbol, "line": {}},
                    "cliponaxis": False,
                    "showlegend": False,
                    "name": name,
                    "meta": {**meta, **times, "part": "cut"},
                    "hovertemplate": f"cut off: %{{customdata:.5g}}<extra>{template_text(name)}</extra>",
                }
            )
    return marks


def room_for_flat(curves: Sequence[ChartCurve], meta: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return an invisible trace around curves that all have one value, which Plotly would draw at 0 otherwise.

    A range of the axis would do the same, but Visdom's page takes one that was sent for a user's zoom, and keeps it.
    """
    finite = [values[np.isfinite(values)] for values in (array(curve.y) for curve in curves)]
    at = next((number for number, values in enumerate(finite) if len(values)), None)
    if at is None or any(np.any(values != finite[at][0]) for values in finite):
        return []
    curve, own, value = curves[at], meta[at], float(finite[at][0])
    room, middle = FLAT_ROOM * abs(value) or 1.0, len(curve.x) // 2  # at an end, it would make the x axis longer
    times = {} if curve.times is None else {"times": [int(curve.times[middle])] * 2}
    return [
        {
            "type": "scatter", "mode": "markers", "x": [int(curve.x[middle])] * 2, "y": [value - room, value + room],
            "name": "", "marker": {"opacity": 0, "line": {}}, "hoverinfo": "skip", "showlegend": False,
            "meta": {**own, **times, "part": "room"},
        }
    ]  # fmt: skip


def notes(curves: Sequence[ChartCurve], names: Sequence[str], same: dict[int, int]) -> list[dict[str, Any]]:
    """Return what the lines do not show: values that are not finite, and curves that hide each other."""
    lines = [
        f'<span style="color:#c00000">{name} is {curve.first_non_finite[1]} at step {curve.first_non_finite[0]}</span>'
        for curve, name in zip(curves, names)
        if curve.first_non_finite is not None
    ]
    by_first: dict[int, list[str]] = {}
    for number, first in same.items():
        by_first.setdefault(first, [names[first]]).append(names[number])
    lines += [_identical_note(group, len(curves)) for group in by_first.values()]
    if len(lines) > MAX_NOTES:
        lines = [*lines[: MAX_NOTES - 1], f"… and {len(lines) - MAX_NOTES + 1:,} more"]
    if not lines:
        return []
    corner = {"xref": "paper", "yref": "paper", "x": 1, "y": 1, "xanchor": "right", "yanchor": "top", "align": "right"}
    style = {"showarrow": False, "font": {"size": 10, "color": "#666"}, "bgcolor": "rgba(255,255,255,0.7)"}
    return [{"text": "<br>".join(lines), **corner, **style}]


def _identical_note(names: Sequence[str], count: int) -> str:
    """Return a line about curves that are the same, out of `count`."""
    listed = ", ".join(names)
    if len(listed) <= MAX_LISTED_CHARS:
        return f"identical: {listed}"
    return f"all {count} curves are identical" if len(names) == count else f"{len(names)} identical curves (dashed)"
