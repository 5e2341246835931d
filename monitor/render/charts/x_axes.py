"""What the x axis of a chart counts: steps, epochs, the time of day, or the time since the start.

A figure holds the steps of its points and their times, and each trace what maps them, so that a page can change the
axis without asking for other data. Times are in milliseconds as Plotly reads them, as numbers of the local time.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from monitor.render.charts.style import Figure

MENU = "x"  # the name of the menu, by which the page's script finds it
STEP_IN_HOVER = "step %{x:,d}"
UNITS = ((300.0, 1.0, "seconds"), (5 * 3600.0, 60.0, "minutes"), (float("inf"), 3600.0, "hours"))
MENUS_ABOVE = ("smoothing", "y")  # which have no room beside it
LEGEND_HEIGHT_PX = 22
MENU_HEIGHT_PX = 36  # of a row of Plotly's own buttons


class Clock(NamedTuple):
    """What maps the points of a run to other x axes.

    Attributes:
        start: when the run started, in seconds since the epoch; None if that is not known.
        epochs: ascending steps and the epochs that are then done, for interpolation; None if they are not known.
    """

    start: float | None = None
    epochs: tuple[Sequence[float], Sequence[float]] | None = None


def local_ms(times: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return times, in seconds since the epoch, as milliseconds of the local time of day."""
    offset = time.localtime(float(times[-1])).tm_gmtoff if len(times) else 0
    return np.round((times + offset) * 1000).astype(np.int64)


def trace_clock(clock: Clock) -> dict[str, Any]:
    """Return a clock for the `meta` of a trace."""
    meta: dict[str, Any] = {}
    if clock.start is not None:
        meta["start"] = int(local_ms(np.array([clock.start]))[0])
    if clock.epochs is not None:
        meta["epochs"] = [list(clock.epochs[0]), list(clock.epochs[1])]
    return meta


def add_choices(figure: Figure) -> None:
    """Add a menu with the x axes that the traces of a figure know, if there are several. It has no data yet."""
    traces, layout = figure["data"], figure["layout"]
    spans = [(times[-1] - trace["meta"]["start"]) / 1000 for trace in traces if len(times := _times(trace))]
    choices = {"step": layout["xaxis"]["title"]["text"]}
    if any("epochs" in trace["meta"] for trace in traces):
        choices["epoch"] = "epoch"
    if spans:
        divisor, unit = next((divisor, unit) for limit, divisor, unit in UNITS if max(spans) <= limit)
        choices |= {"time": "time", "relative": f"{unit} since start"}
        layout["meta"]["chart"]["relative_ms"] = 1000 * divisor
    if len(choices) > 1:
        buttons = [
            {"label": name, "method": "update", "args": [{}, _axis(name, title)]} for name, title in choices.items()
        ]
        layout.setdefault("updatemenus", []).append({**menu(MENU, buttons), "x": 0, "xanchor": "left"})


def menu(name: str, buttons: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return a row of buttons below the chart."""
    return {
        "name": name, "type": "buttons", "direction": "right", "y": 0, "yanchor": "top", "pad": {"t": 42},
        "font": {"size": 9}, "showactive": True, "active": 0, "buttons": list(buttons),
    }  # fmt: skip


def fill_choices(figure: Figure) -> None:
    """Put the data of each x axis into the buttons, for a page without our scripts, and make room for them."""
    traces, layout = figure["data"], figure["layout"]
    meta = layout.get("meta")
    if not isinstance(meta, dict) or "chart" not in meta:
        return  # a user's own figure
    margin = {"t": 40, "b": 42, **(layout.get("margin") or {})}
    above = [own for own in layout.get("updatemenus") or () if own.get("name") in MENUS_ABOVE]
    for own in above:
        own |= {"y": 1, "yanchor": "bottom", "pad": {"b": LEGEND_HEIGHT_PX if layout.get("showlegend") else 4}}
    margin["t"] += MENU_HEIGHT_PX if above else 0
    for own in layout.get("updatemenus") or ():
        if own.get("name") == MENU:
            for button in own["buttons"]:
                placed = [_placed(trace, button["label"], meta["chart"]) for trace in traces]
                button["args"][0] = {key: [trace[key] for trace in placed] for key in ("x", "text", "hovertemplate")}
            margin["b"] += MENU_HEIGHT_PX
    for trace in traces:
        if len(_times(trace)) and "customdata" in trace and "times" not in trace["meta"]:  # hover labels read texts
            trace["customdata"] = np.asarray(trace["customdata"], "datetime64[ms]").astype(str).tolist()
    layout["margin"] = margin


def _axis(name: str, title: str) -> dict[str, Any]:
    kind = "date" if name == "time" else "linear"
    return {"xaxis.type": kind, "xaxis.title.text": title, "xaxis.autorange": True}


def _placed(trace: dict[str, Any], name: str, chart: dict[str, Any]) -> dict[str, Any]:
    """Return the x values of a trace on an axis, and what its hover labels need there."""
    meta, steps, times = trace.get("meta") or {}, trace.get("x", ()), _times(trace)
    template = trace.get("hovertemplate")
    if name == "step":
        return {"x": steps, "text": None, "hovertemplate": template}
    x: Any = []
    if name == "epoch" and "epochs" in meta:
        known, epochs = meta["epochs"]
        x = np.round(np.interp(np.asarray(steps, np.float64), known, epochs), 4)
    elif name == "time":
        x = times
    elif name == "relative" and len(times):
        x = np.round((np.asarray(times) - meta["start"]) / chart["relative_ms"], 4)
    template = template and template.replace(STEP_IN_HOVER, "step %{text:,d}")
    return {"x": x, "text": steps, "hovertemplate": template}


def _times(trace: dict[str, Any]) -> Any:
    """Return the times of the points of a trace; those of a part such as a mark are in its `meta`."""
    meta = trace.get("meta") or {}
    if "start" not in meta:
        return ()
    times = meta.get("times", trace.get("customdata"))
    return () if times is None else times
