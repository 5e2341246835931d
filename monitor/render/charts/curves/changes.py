"""Marks in charts where somebody changed the training: a thin line over the whole height, with what was changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from monitor.render.charts.style import as_text
from monitor.render.charts.x_axes import Clock, local_ms, trace_clock

if TYPE_CHECKING:
    from collections.abc import Sequence

    from monitor.render.charts.style import Figure

COLOR = "#8a6d3b"
AXIS = "yaxis2"  # an axis of their own, so that they keep their height whatever the scale of the chart


class ChangeMark(NamedTuple):
    """A change to mark.

    Attributes:
        step: the first step that has it.
        time: seconds since the epoch; 0 if it is not known.
        text: what was changed.
    """

    step: int
    time: float
    text: str


def add_changes(
    figure: Figure, changes: Sequence[ChangeMark], clock: Clock, *, color: str = COLOR, run: int | None = None
) -> None:
    """Add the marks to a chart over steps; those of the same step are one.

    Args:
        figure: the chart.
        changes: what is marked.
        clock: what maps the marks to other x axes.
        color: of the marks.
        run: the number of the run that was changed, by which a page shows and hides them; None for all of the chart.
    """
    by_step: dict[int, list[ChangeMark]] = {}
    for change in changes:
        by_step.setdefault(change.step, []).append(change)
    if not by_step:
        return
    meta: dict[str, Any] = {**trace_clock(clock), "part": "change", **({} if run is None else {"run": run})}
    if clock.start is not None:
        times = np.array([max(own[-1].time, clock.start) for own in by_step.values()])
        meta["times"] = local_ms(times).tolist()
    count = len(by_step)
    down = {"type": "data", "symmetric": False, "array": [0] * count, "arrayminus": [1] * count}
    figure["layout"][AXIS] = {"overlaying": "y", "range": [0, 1], "fixedrange": True, "visible": False}
    figure["data"].append(
        {
            "type": "scatter",
            "mode": "markers",
            "x": list(by_step),
            "y": [1] * count,
            "yaxis": AXIS.replace("axis", ""),
            "error_y": {**down, "thickness": 1, "width": 0, "color": color},
            "marker": {"color": color, "size": 7, "symbol": "triangle-down", "line": {}},
            "cliponaxis": False,
            "showlegend": False,
            "customdata": ["<br>".join(as_text(change.text) for change in own) for own in by_step.values()],
            "hovertemplate": "%{customdata}<extra></extra>",
            "uid": "changes" if run is None else f"changes{run}",
            "meta": meta,
        }
    )
