"""Charts of curves over the steps, with a band around a curve that stands for several runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from zlib import crc32

import numpy as np

from monitor.render.charts.curves.changes import add_changes
from monitor.render.charts.curves.marks import cut_marks, notes, room_for_flat
from monitor.render.charts.curves.ranges import robust_range
from monitor.render.charts.style import Figure, array, as_text, layout, template_text, with_opacity
from monitor.render.charts.x_axes import STEP_IN_HOVER, add_choices, menu, trace_clock
from monitor.render.text.names import distinct_names

if TYPE_CHECKING:
    from collections.abc import Sequence

    from monitor.render.charts.curves.changes import ChangeMark
    from monitor.render.charts.curves.curve import ChartCurve

MAX_POINTS_WITH_MARKERS = 30  # of a curve
MAX_UNIFIED = 16  # curves whose values one hover label lists; with more, it is the nearest curve's
MAX_LEGEND_ABOVE = 6  # curves whose legend is above the chart; that of more is beside it, and scrolls
MAX_IN_LEGEND = 60  # curves; of more, the nearest one's hover label tells which it is
SIDE_LEGEND = {"x": 1.01, "xanchor": "left", "y": 1, "yanchor": "top", "font": {"size": 10}}
BAND_OPACITY = 0.18
RAW_OPACITY = 0.3  # of a curve behind its smoothed one
DECADES = 100.0  # values whose largest is this many times the smallest get a button for a logarithmic axis
DAY_MS = 86_400_000
SCALE_MENU, SMOOTHING_MENU = "y", "smoothing"


def curve_chart(
    title: str,
    curves: Sequence[ChartCurve],
    x_title: str = "step",
    y_title: str = "",
    changes: Sequence[ChangeMark] = (),
) -> Figure:
    """Return the chart of one metric, with one curve per run, or per split of one run.

    Spikes that would flatten the curves are cut off, and marked. Curves that are the same are dashed, so that each is
    seen, and named. Where it helps, buttons make the y axis logarithmic, show the curves without the smoothed ones, and
    count something else than steps.
    """
    plain_names = distinct_names([curve.name for curve in curves])
    names = [as_text(name) for name in plain_names]
    same = identical(curves)
    metas = [{"run": curve.number, **trace_clock(curve.clock)} for curve in curves]
    traces: list[dict[str, Any]] = []
    for number, (curve, name) in enumerate(zip(curves, names)):
        traces += _band(curve) if curve.band is not None else []
        has_markers = len(curve.x) <= MAX_POINTS_WITH_MARKERS and len(curves) <= MAX_LEGEND_ABOVE
        traces.append(_line(curve, name, metas[number], is_dashed=number in same, has_markers=has_markers))
    traces += [_smooth_line(*own) for own in zip(curves, names, metas) if own[0].smooth is not None]
    for trace in traces:
        trace["legendrank"] = 1000 + names.index(trace["name"]) if "name" in trace else 1000
    figure_layout = layout(title, x_title, y_title)
    figure_layout["hovermode"] = "x unified" if len(curves) <= MAX_UNIFIED else "closest"
    figure_layout["showlegend"] = 1 < len(curves) <= MAX_IN_LEGEND
    if len(curves) > MAX_LEGEND_ABOVE:
        figure_layout["legend"] = SIDE_LEGEND
    limits = robust_range([values for curve in curves for values in _values(curve)])
    figure_layout["meta"] = {"chart": {"range": limits and list(limits)}}  # which a page cannot tell from a zoom
    if limits is not None:
        figure_layout["yaxis"] |= {"range": list(limits), "autorange": False}
        traces += [
            mark for curve, name, own in zip(curves, names, metas) for mark in cut_marks(curve, name, limits, own)
        ]
    traces += room_for_flat(curves, metas)
    menus = [_scale_menu(limits)] if spans_decades(curves) else []
    menus += [_smoothing_menu(traces)] if any(curve.smooth for curve in curves) else []
    if menus:
        figure_layout["updatemenus"] = menus
    figure_layout["annotations"] = notes(curves, names, same)
    figure = {"data": _identified(traces), "layout": figure_layout}
    if curves:
        add_changes(figure, changes, curves[0].clock)
    for curve, name in zip(curves, plain_names):
        who = f"{name}: " if len(curves) > 1 else ""
        own = [mark._replace(text=who + mark.text) for mark in curve.changes]
        add_changes(figure, own, curve.clock, color=curve.color, run=curve.number)
    if x_title == "step":
        add_choices(figure)
    return figure


def spans_decades(curves: Sequence[ChartCurve]) -> bool:
    """Tell whether the values are positive and differ so much that a logarithmic axis helps."""
    finite = [values[np.isfinite(values)] for values in (array(curve.y) for curve in curves)]
    finite = [values for values in finite if len(values)]
    lowest = min((float(values.min()) for values in finite), default=0.0)
    return lowest > 0 and max(float(values.max()) for values in finite) >= DECADES * lowest


def _values(curve: ChartCurve) -> list[Any]:
    return [curve.y] if curve.band is None else [curve.y, curve.band.lower, curve.band.upper]


def identical(curves: Sequence[ChartCurve]) -> dict[int, int]:
    """Return the numbers of curves that are the same as an earlier one, with the number of that one."""
    first: dict[tuple[bytes, bytes], int] = {}
    same: dict[int, int] = {}
    for number, curve in enumerate(curves if len(curves) > 1 else ()):
        points = np.asarray(curve.x).tobytes(), array(curve.y).tobytes()
        if points[0] and first.setdefault(points, number) != number:
            same[number] = first[points]
    return same


def _line(curve: ChartCurve, name: str, meta: dict[str, Any], *, is_dashed: bool, has_markers: bool) -> dict[str, Any]:
    is_behind = curve.smooth is not None
    line: dict[str, Any] = {"color": with_opacity(curve.color, RAW_OPACITY) if is_behind else curve.color}
    line["width"] = min(curve.width, 1.2) if is_behind else curve.width
    trace: dict[str, Any] = {
        "type": "scatter",
        "mode": "markers" if len(curve.x) == 1 else "lines+markers" if has_markers else "lines",
        "name": name,
        "legendgroup": name,
        "showlegend": not is_behind,
        "x": curve.x,
        "y": curve.y,
        "line": {**line, **({"dash": "7px,7px"} if is_dashed else {})},
        "marker": {"color": curve.color, "size": 3 + curve.width, "line": {}},  # Visdom's smoothing needs `line`
        "meta": {**meta, "part": "raw"} if is_behind else meta,
        "hovertemplate": f"%{{y:.5g}}<extra>{template_text(name)}</extra>",
    }
    if curve.times is not None:
        is_one_day = int(curve.times[-1]) // DAY_MS == int(curve.times[0]) // DAY_MS
        moment = f"%{{customdata|{'%H:%M:%S' if is_one_day else '%b %d, %H:%M:%S'}}}"
        trace["customdata"] = curve.times
        trace["hovertemplate"] = f"%{{y:.5g}} · {STEP_IN_HOVER} · {moment}<extra>{template_text(name)}</extra>"
    if curve.band is not None:
        trace["customdata"] = [list(point) for point in zip(curve.band.lower, curve.band.upper, curve.band.counts)]
        detail = "%{y:.5g} (%{customdata[0]:.5g} to %{customdata[1]:.5g}, n=%{customdata[2]})"
        trace["hovertemplate"] = f"{detail}<extra>{template_text(name)}</extra>"
    return trace


def _smooth_line(curve: ChartCurve, name: str, meta: dict[str, Any]) -> dict[str, Any]:
    assert curve.smooth is not None
    times = {} if curve.smooth.times is None else {"times": curve.smooth.times}
    return {
        "type": "scatter",
        "mode": "lines",
        "name": name,
        "legendgroup": name,
        "showlegend": True,
        "x": curve.smooth.x,
        "y": curve.smooth.y,
        "line": {"color": curve.color, "width": max(1.8, curve.width)},
        "marker": {"line": {}},
        "hoverinfo": "skip",
        "meta": {**meta, **times, "part": "smooth"},
    }


def _band(curve: ChartCurve) -> list[dict[str, Any]]:
    assert curve.band is not None
    common: dict[str, Any] = {
        "type": "scatter", "mode": "lines", "x": curve.x, "hoverinfo": "skip", "showlegend": False,
        "line": {"color": curve.color, "width": 0}, "marker": {"line": {}},
    }  # fmt: skip
    fill = {"fill": "tonexty", "fillcolor": with_opacity(curve.color, BAND_OPACITY)}
    return [
        {**common, "y": curve.band.lower, "meta": {"run": curve.number, "part": "band"}},
        {**common, "y": curve.band.upper, "meta": {"run": curve.number, "part": "band"}, **fill},
    ]


def _identified(traces: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Name each trace, so that a page knows it again when there are others: a hidden curve stays hidden.

    Plotly makes a class of the page out of it, so it is a number and no text of the user's.
    """
    seen: dict[str, int] = {}
    for trace in traces:
        name = f"{trace['meta'].get('part', 'line')} {trace.get('name', '')}"
        seen[name] = seen.get(name, 0) + 1
        trace["uid"] = f"t{crc32(f'{name} {seen[name]}'.encode()):08x}"
    return traces


def _scale_menu(limits: tuple[float, float] | None) -> dict[str, Any]:
    """Return the two buttons that make the y axis linear or logarithmic."""
    linear: dict[str, Any] = {"yaxis.type": "linear", "yaxis.autorange": limits is None}
    if limits is not None:
        linear["yaxis.range"] = list(limits)
    buttons = [
        {"label": "linear", "method": "relayout", "args": [linear]},
        {"label": "log", "method": "relayout", "args": [{"yaxis.type": "log", "yaxis.autorange": True}]},
    ]
    return {**menu(SCALE_MENU, buttons), "x": 1, "xanchor": "right"}


def _smoothing_menu(traces: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the two buttons that show the smoothed curves with the raw ones behind, or the raw ones alone.

    They change colors and not the visibility, which is the user's, nor the opacity, which Visdom's page sets.
    """
    of_part = [[at for at, own in enumerate(traces) if own["meta"].get("part") == part] for part in ("raw", "smooth")]
    numbers = [*of_part[0], *of_part[1]]
    color = [traces[at]["line"]["color"] for at in numbers]
    alone = [traces[at]["marker"]["color"] for at in of_part[0]] + ["rgba(0,0,0,0)"] * len(of_part[1])
    is_raw = [True] * len(of_part[0]) + [False] * len(of_part[1])
    smooth = {"line.color": color, "showlegend": [not raw for raw in is_raw]}
    buttons = [
        {"label": "smooth", "method": "restyle", "args": [smooth, numbers]},
        {"label": "raw", "method": "restyle", "args": [{"line.color": alone, "showlegend": is_raw}, numbers]},
    ]
    return {**menu(SMOOTHING_MENU, buttons), "x": 0, "xanchor": "left"}
