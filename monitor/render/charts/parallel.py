"""Parallel coordinates: one axis per setting, one line per run, and the metric as the last axis."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

from monitor.render.charts.style import Figure, as_text, layout
from monitor.render.text.names import distinct_names

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MAX_AXES = 12
MAX_CATEGORIES = 20  # labels of an axis
MAX_LABEL_CHARS = 18
LOG_FROM = 50.0  # an axis is logarithmic if its largest value is this many times the smallest


class ParallelRun(NamedTuple):
    """One line of the chart.

    Attributes:
        name: the run's name.
        settings: its settings by name.
        value: the metric.
        color: such as `#1f77b4`.
        number: the number of the run, by which a page shows and hides it.
    """

    name: str
    settings: Mapping[str, Any]
    value: float | None
    color: str
    number: int = 0


def parallel_chart(metric: str, settings: Sequence[str], runs: Sequence[ParallelRun]) -> Figure:
    """Return the chart of `metric` over the settings. Selecting lines on its axes is left to the page."""
    settings = settings[:MAX_AXES]
    columns = [[run.settings.get(name) for run in runs] for name in settings] + [[run.value for run in runs]]
    axes = [_axis(column) for column in columns]
    titles = [*distinct_names(settings, 24), *distinct_names([metric], 24)]
    traces = []
    for number, (run, name) in enumerate(zip(runs, distinct_names([run.name for run in runs]))):
        values = [as_text(_label(column[number])) for column in columns]
        texts = [f"{as_text(title)}: {value}" for title, value in zip(titles, values)]
        traces.append(
            {
                "type": "scatter",
                "mode": "lines+markers",
                "name": as_text(name),
                "x": list(range(len(axes))),
                "y": [heights[number] for heights, _ in axes],
                "text": [f"<b>{as_text(name)}</b><br>" + "<br>".join(texts)] * len(axes),
                "hovertemplate": "%{text}<extra></extra>",
                "line": {"color": run.color, "width": 2, "shape": "spline", "smoothing": 0.6},
                "marker": {"color": run.color, "size": 7, "line": {}},
                "meta": {"run": run.number},
                "connectgaps": False,
            }
        )
    figure_layout = layout(f"{metric} by setting", "", "")
    figure_layout["xaxis"] |= {
        "tickvals": list(range(len(axes))), "ticktext": [as_text(title) for title in titles], "side": "top",
        "range": [-0.25, len(axes) - 0.5], "showgrid": False, "fixedrange": True, "showline": False, "ticks": "",
    }  # fmt: skip
    figure_layout["yaxis"] |= {"visible": False, "range": [-0.16, 1.08], "fixedrange": True}
    figure_layout["margin"] = {"l": 30, "r": 60, "t": 70, "b": 16}
    figure_layout |= {"showlegend": False, "hovermode": "closest", "dragmode": "select", "selectdirection": "d"}
    figure_layout["shapes"] = [
        {"type": "line", "x0": x, "x1": x, "y0": 0, "y1": 1, "line": {"color": "#9aa1ab", "width": 1}, "layer": "below"}
        for x in range(len(axes))
    ]
    figure_layout["annotations"] = [
        {
            "x": x, "y": height, "text": as_text(text), "showarrow": False, "xanchor": "left", "xshift": 8,
            "font": {"size": 11, "color": "#444"}, "bgcolor": "rgba(255,255,255,0.75)",
        }
        for x, (_, labels) in enumerate(axes)
        for height, text in labels
    ]  # fmt: skip
    return {"data": traces, "layout": figure_layout}


def _axis(values: Sequence[Any]) -> tuple[list[float | None], list[tuple[float, str]]]:
    """Return the height of each value, from 0 to 1, and the labels of the axis; what is missing is below it."""
    present = [value for value in values if value is not None]
    if not present or not all(_is_number(value) for value in present):
        return _categories(values)
    low, high = min(present), max(present)
    is_log = low > 0 and high / low >= LOG_FROM
    scale = math.log if is_log else float
    start, span = scale(low), scale(high) - scale(low)
    missing = [(-0.12, "none")] if len(present) < len(values) else []

    def height(value: float | None) -> float:
        return -0.12 if value is None else 0.5 if not span else (scale(value) - start) / span

    ticks = [low] if not span else [low, math.sqrt(low * high) if is_log else low + (high - low) / 2, high]
    ticks = sorted(set(present)) if len(set(present)) <= 5 else ticks
    labels = [(height(tick), _label(tick)) for tick in ticks]
    kept = [label for number, label in enumerate(labels) if not number or label[0] - labels[number - 1][0] > 0.04]
    return [height(value) for value in values], missing + kept


def _categories(values: Sequence[Any]) -> tuple[list[float | None], list[tuple[float, str]]]:
    texts = [None if value is None else _label(value) for value in values]
    known = sorted({text for text in texts if text is not None})
    heights = {text: 0.5 if len(known) == 1 else place / (len(known) - 1) for place, text in enumerate(known)}
    labels = [(heights[text], text) for text in known] if len(known) <= MAX_CATEGORIES else []
    missing = [(-0.12, "none")] if None in texts else []
    short = distinct_names([text for _, text in labels], MAX_LABEL_CHARS)
    return (
        [-0.12 if text is None else heights[text] for text in texts],
        missing + [(height, text) for (height, _), text in zip(labels, short)],
    )


def _is_number(value: Any) -> bool:
    return (
        isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and abs(value) < 1e150
    )


def _label(value: Any) -> str:
    if value is None:
        return "none"
    return f"{value:.4g}" if isinstance(value, float) else str(value)[:200]
