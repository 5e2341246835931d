"""The heat map of a confusion matrix, with counts, shares, and full names on hover."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np

from monitor.render.charts.style import Figure, as_text, layout
from monitor.render.text.names import distinct_names

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from monitor.records import ConfusionMatrix

MAX_CLASSES = 150  # more cells than these classes have make a page slow; the picture shows more
MAX_COUNTED = 20  # classes whose cells show their count
MAX_TICK_CHARS, MAX_HOVER_CHARS = 24, 80  # of a class's name beside the cells, and on hover
MAX_HOVERED = 50  # classes whose long names are there on hover
CELL_PX, SMALL_CELL_PX, MIN_MATRIX_PX, MAX_MATRIX_PX = 36, 13, 240, 720
CHAR_PX = 6.2  # of a name beside the cells, about
# From a row's mistakes, in red, to its correct predictions, in blue.
NAMES_ON_HOVER = "true: <b>%{y}</b><br>predicted: <b>%{x}</b>"
LINES = "#e4e6ea"  # between the cells
COLORS = [[0, "rgb(208,0,0)"], [0.5, "#fff"], [1, "rgb(31,119,180)"]]


def confusion_chart(record: ConfusionMatrix) -> Figure:
    """Return the heat map of a confusion matrix, with one row per true class and the first at the top.

    A cell is colored by its share of the row, in blue on the diagonal and in red elsewhere.
    """
    counts, classes = record.counts, len(record.counts)
    shares = row_shares(counts)
    heights = np.round(np.sqrt(np.clip(shares, 0, 1)), 3)
    full = [" ".join(record.label(number)[:MAX_HOVER_CHARS].split()) for number in range(classes)]
    names = _tick_names(full)
    has_long_names = any(len(name) > MAX_TICK_CHARS for name in full)
    gap = 1 if classes <= MAX_COUNTED else 0
    trace: dict[str, Any] = {
        "type": "heatmap",
        "x": names,
        "y": names,
        "z": np.where(np.eye(classes, dtype=bool), heights, 0 - heights),
        "zmin": -1,
        "zmax": 1,
        "colorscale": COLORS,
        "showscale": False,
        "xgap": gap,
        "ygap": gap,
        "customdata": _numbers(counts, shares),
        "hovertemplate": (
            NAMES_ON_HOVER + "<br>%{customdata[0]:,} of %{customdata[1]:,} (%{customdata[2]:.3~g}%)<extra></extra>"
        ),
    }
    if classes <= MAX_COUNTED:
        trace["text"] = [[f"{count:,}" if count else "" for count in row] for row in counts.tolist()]
        trace["texttemplate"] = "%{text}"
    if has_long_names and classes <= MAX_HOVERED:  # each cell has its two names in full
        trace["hovertext"] = [
            [f"true: <b>{as_text(true)}</b><br>predicted: <b>{as_text(predicted)}</b>" for predicted in full]
            for true in full
        ]
        trace["hovertemplate"] = trace["hovertemplate"].replace(NAMES_ON_HOVER, "%{hovertext}")
    correct, total = int(np.trace(counts)), int(counts.sum())
    share = f" ({correct / total:.1%})" if total else ""
    figure_layout = layout(f"step {record.step} · {correct:,} of {total:,} correct{share}", "predicted", "true")
    axis = {"type": "category", "showgrid": False, "tickfont": {"size": 11}}
    is_wide = max(map(len, names), default=0) * CHAR_PX > CELL_PX or classes > MAX_COUNTED
    figure_layout["xaxis"] |= {**axis, "tickangle": -90 if is_wide else 0}
    figure_layout["yaxis"] |= {**axis, "autorange": "reversed"}
    if is_wide:  # room for the turned names, so that what is below the chart, such as a slider, is below them
        longest = max((len(name) for name in names), default=0)
        figure_layout["margin"] = {**figure_layout["margin"], "b": figure_layout["margin"]["b"] + _names_px(longest)}
    figure_layout |= {"showlegend": False, "hovermode": "closest"}
    if gap:
        figure_layout["plot_bgcolor"] = LINES
    return {"data": [trace], "layout": figure_layout}


def confusion_size(record: ConfusionMatrix) -> tuple[int, int]:
    """Return the natural width and height of the heat map in pixels, at which all names have room, within limits."""
    classes = len(record.counts)
    cell = CELL_PX if classes <= MAX_COUNTED else SMALL_CELL_PX
    matrix = min(max(classes * cell, MIN_MATRIX_PX), MAX_MATRIX_PX)
    longest = max((len(record.label(number)) for number in range(classes)), default=0)
    names = _names_px(longest)
    return matrix + names + 70, matrix + names + 90


def _names_px(chars: int) -> int:
    """Return the length of the longest name beside the cells, in pixels, about."""
    return round(min(chars, MAX_TICK_CHARS) * CHAR_PX)


def _tick_names(names: Sequence[str]) -> list[str]:
    """Return names for the axes, of which no two are the same: those that were get the number of their class."""
    short = [as_text(name) or f"#{number}" for number, name in enumerate(distinct_names(names, MAX_TICK_CHARS))]
    uses = Counter(short)
    taken = {name for name, count in uses.items() if count == 1}
    for number, name in enumerate(short):
        while uses[name] > 1 and short[number] in taken | uses.keys():
            short[number] += f" #{number}"
        taken.add(short[number])
    return short


def _numbers(counts: NDArray[np.int64], shares: NDArray[np.float64]) -> list[list[tuple[int, int, float]]]:
    """Return for each cell its count, the sum of its row, and its share of it in percent."""
    percent = np.round(100 * shares, 2).tolist()
    return [
        [(count, total, share) for count, share in zip(row, row_percent)]
        for row, row_percent, total in zip(counts.tolist(), percent, counts.sum(axis=1).tolist())
    ]


def row_shares(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return each count divided by the sum of its row; 0 in a row without samples."""
    shares: NDArray[np.float64] = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    return shares
