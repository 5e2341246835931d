"""Charts of curves over the steps, with a band around a curve that stands for several runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from monitor.render.charts.ranges import robust_range
from monitor.render.charts.style import Figure, as_text, distinct_names, layout, with_opacity

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_POINTS_WITH_MARKERS = 30  # of a curve
MAX_UNIFIED = 16  # curves whose values one hover label lists; with more, it is the nearest curve's
MAX_MARKS = 8  # of a curve, where it is cut
MARK_INSET = 0.002  # of the range, by which a mark is inside it
MAX_LEGEND_ABOVE = 6  # curves whose legend is above the chart; that of more is beside it, and scrolls
SIDE_LEGEND = {"x": 1.01, "xanchor": "left", "y": 1, "yanchor": "top", "font": {"size": 10}}
MAX_NOTES = 4
MAX_LISTED_CHARS = 60  # of names in a note
BAND_OPACITY = 0.18
DECADES = 100.0  # values whose largest is this many times the smallest get a button for a logarithmic axis


class Band(NamedTuple):
    """What surrounds a curve that stands for several runs, by point.

    Attributes:
        lower: the lower end.
        upper: the upper end.
        counts: how many runs have a value.
    """

    lower: list[float | None]
    upper: list[float | None]
    counts: list[int]


class ChartCurve(NamedTuple):
    """One curve of a chart.

    Attributes:
        name: what the legend calls it.
        x: the steps.
        y: the values; None is a gap.
        color: such as `#1f77b4`.
        number: the number of the run, by which a page shows and hides it.
        band: what surrounds it, if it stands for several runs.
        first_non_finite: step and value of the first NaN or infinity.
    """

    name: str
    x: list[int]
    y: list[float | None]
    color: str
    number: int = 0
    band: Band | None = None
    first_non_finite: tuple[int, float] | None = None


def curve_chart(title: str, curves: Sequence[ChartCurve]) -> Figure:
    """Return the chart of one metric, with one curve per run.

    Spikes that would flatten the curves are cut off, and marked. Curves that are the same are dashed, so that each is
    seen, and named.
    """
    names = [as_text(name) for name in distinct_names([curve.name for curve in curves])]
    same = identical(curves)
    traces: list[dict[str, Any]] = []
    for number, (curve, name) in enumerate(zip(curves, names)):
        traces += _band(curve) if curve.band is not None else []
        traces.append(_line(curve, name, is_dashed=number in same))
    figure_layout = layout(title, "step", "")
    figure_layout["hovermode"] = "x unified" if len(curves) <= MAX_UNIFIED else "closest"
    figure_layout["showlegend"] = len(curves) > 1
    if len(curves) > MAX_LEGEND_ABOVE:
        figure_layout["legend"] = SIDE_LEGEND
    limits = robust_range([values for curve in curves for values in _values(curve)])
    if limits is not None:
        figure_layout["yaxis"] |= {"range": list(limits), "autorange": False}
        traces += [mark for curve, name in zip(curves, names) for mark in _cut_marks(curve, name, limits)]
    if spans_decades(curves):
        figure_layout["updatemenus"] = [_scale_buttons(limits)]
    figure_layout["annotations"] = _notes(curves, names, same)
    return {"data": traces, "layout": figure_layout}


def spans_decades(curves: Sequence[ChartCurve]) -> bool:
    """Tell whether the values are positive and differ so much that a logarithmic axis helps."""
    finite = [value for curve in curves for value in curve.y if value is not None]
    return bool(finite) and min(finite) > 0 and max(finite) >= DECADES * min(finite)


def _values(curve: ChartCurve) -> list[list[float | None]]:
    return [curve.y] if curve.band is None else [curve.y, curve.band.lower, curve.band.upper]


def identical(curves: Sequence[ChartCurve]) -> dict[int, int]:
    """Return the numbers of curves that are the same as an earlier one, with the number of that one."""
    first: dict[tuple[tuple[int, ...], tuple[float | None, ...]], int] = {}
    same: dict[int, int] = {}
    for number, curve in enumerate(curves):
        points = tuple(curve.x), tuple(curve.y)
        if points[0] and first.setdefault(points, number) != number:
            same[number] = first[points]
    return same


def _line(curve: ChartCurve, name: str, *, is_dashed: bool) -> dict[str, Any]:
    has_markers = len(curve.x) <= MAX_POINTS_WITH_MARKERS
    trace: dict[str, Any] = {
        "type": "scatter",
        "mode": ("lines+markers" if len(curve.x) > 1 else "markers") if has_markers else "lines",
        "name": name,
        "x": curve.x,
        "y": curve.y,
        "line": {"color": curve.color, "width": 1.8, **({"dash": "7px,7px"} if is_dashed else {})},
        "marker": {"color": curve.color, "size": 5, "line": {}},  # Visdom's smoothing needs `line`
        "meta": {"run": curve.number},
        "hovertemplate": f"%{{y:.5g}}<extra>{_template_text(name)}</extra>",
    }
    if curve.band is not None:
        trace["customdata"] = [list(point) for point in zip(curve.band.lower, curve.band.upper, curve.band.counts)]
        detail = "%{y:.5g} (%{customdata[0]:.5g} to %{customdata[1]:.5g}, n=%{customdata[2]})"
        trace["hovertemplate"] = f"{detail}<extra>{_template_text(name)}</extra>"
    return trace


def _band(curve: ChartCurve) -> list[dict[str, Any]]:
    assert curve.band is not None
    common = {
        "type": "scatter", "mode": "lines", "x": curve.x, "hoverinfo": "skip", "showlegend": False,
        "line": {"color": curve.color, "width": 0}, "marker": {"line": {}},
    }  # fmt: skip
    fill = {"fill": "tonexty", "fillcolor": with_opacity(curve.color, BAND_OPACITY)}
    return [
        {**common, "y": curve.band.lower, "meta": {"run": curve.number, "part": "band"}},
        {**common, "y": curve.band.upper, "meta": {"run": curve.number, "part": "band"}, **fill},
    ]


def _cut_marks(curve: ChartCurve, name: str, limits: tuple[float, float]) -> list[dict[str, Any]]:
    """Return the triangles at the edges of the chart where the curve leaves it, with the values on hover."""
    low, high = limits
    inset = MARK_INSET * (high - low)
    marks = []
    for edge, symbol, sign in ((high, "triangle-up", 1), (low, "triangle-down", -1)):
        outside = [(x, y) for x, y in zip(curve.x, curve.y) if y is not None and (y - edge) * sign > 0]
        outside = sorted(sorted(outside, key=lambda point: -sign * point[1])[:MAX_MARKS])
        if outside:
            marks.append(
                {
                    "type": "scatter",
                    "mode": "markers",
                    "x": [x for x, _ in outside],
                    "y": [edge - sign * inset] * len(outside),
                    "customdata": [y for _, y in outside],
                    "marker": {"color": curve.color, "size": 10, "symbol": symbol, "line": {}},
                    "cliponaxis": False,
                    "showlegend": False,
                    "name": name,
                    "meta": {"run": curve.number, "part": "cut"},
                    "hovertemplate": f"cut off: %{{customdata:.5g}}<extra>{_template_text(name)}</extra>",
                }
            )
    return marks


def _scale_buttons(limits: tuple[float, float] | None) -> dict[str, Any]:
    """Return the two buttons that make the y axis linear or logarithmic."""
    linear: dict[str, Any] = {"yaxis.type": "linear", "yaxis.autorange": limits is None}
    if limits is not None:
        linear["yaxis.range"] = list(limits)
    return {
        "type": "buttons",
        "direction": "right",
        "x": 1,
        "xanchor": "right",
        "y": -0.11,  # beside the title of the x axis, where there is room whatever the legend holds
        "yanchor": "top",
        "pad": {"t": 0},
        "font": {"size": 9},
        "showactive": True,
        "buttons": [
            {"label": "linear", "method": "relayout", "args": [linear]},
            {"label": "log", "method": "relayout", "args": [{"yaxis.type": "log", "yaxis.autorange": True}]},
        ],
    }


def _notes(curves: Sequence[ChartCurve], names: Sequence[str], same: dict[int, int]) -> list[dict[str, Any]]:
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


def _template_text(name: str) -> str:
    """Return text for a hover template, in which `%{` begins a variable."""
    return name.replace("%{", "%&#123;")
