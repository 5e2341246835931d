"""The chart of a sweep: what each trial is worth and the best so far. And colors that tell good trials from bad."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from monitor.render.charts.style import Figure, as_text, layout

if TYPE_CHECKING:
    from collections.abc import Sequence

BEST_COLOR = "#d62728"
WITHOUT_VALUE = "#c9ced6"
RAMP = ((0xC6, 0xDB, 0xEF), (0x6B, 0xAE, 0xD6), (0x08, 0x51, 0x9C))  # from bad to good: ColorBrewer's Blues
MARKS = {  # by status: symbol and color
    "finished": ("circle", "#1f77b4"),
    "running": ("circle-open", "#2ca02c"),
    "pruned": ("x-thin-open", "#7f8791"),
}
OTHER_MARK = ("square-open", "#ff7f0e")


class TrialPoint(NamedTuple):
    """One trial.

    Attributes:
        number: its place among the trials, from 0.
        name: what the hover label calls it, with its settings.
        value: what it is worth; None leaves it out.
        status: of its run.
    """

    number: int
    name: str
    value: float | None
    status: str


def best_so_far_chart(metric: str, goal: str, trials: Sequence[TrialPoint], note: str = "") -> Figure:
    """Return the chart of the trials' values, in their order, with a line for the best that has finished so far."""
    traces: list[dict[str, Any]] = []
    for status in dict.fromkeys([*MARKS, *(trial.status for trial in trials)]):
        own = [trial for trial in trials if trial.status == status and trial.value is not None]
        if own:
            symbol, color = MARKS.get(status, OTHER_MARK)
            traces.append(
                {
                    "type": "scatter",
                    "mode": "markers",
                    "name": as_text(status),
                    "x": [trial.number for trial in own],
                    "y": [trial.value for trial in own],
                    "text": [as_text(trial.name) for trial in own],
                    "marker": {"symbol": symbol, "color": color, "size": 7, "line": {"width": 1.5, "color": color}},
                    "hovertemplate": "%{y:.5g}<br>%{text}<extra></extra>",
                    "meta": {"part": status},
                }
            )
    x, y = _best_so_far(goal, trials)
    if x:
        traces.append(
            {
                "type": "scatter",
                "mode": "lines",
                "name": "best so far",
                "x": x,
                "y": y,
                "line": {"color": BEST_COLOR, "width": 2.2, "shape": "hv"},
                "hoverinfo": "skip",
                "meta": {"part": "best"},
            }
        )
    figure_layout = layout(" · ".join(["best so far", metric, *([note] if note else [])]), "trial", "")
    figure_layout["legend"] |= {"y": -0.22, "yanchor": "top"}  # the title has counts, and needs the whole line
    figure_layout["margin"] |= {"b": 76}
    figure_layout |= {"hovermode": "closest", "showlegend": True}
    return {"data": traces, "layout": figure_layout}


def _best_so_far(goal: str, trials: Sequence[TrialPoint]) -> tuple[list[int], list[float]]:
    sign = -1 if goal == "max" else 1
    x, y = [], []
    best: float | None = None
    for trial in trials:
        if (
            trial.status == "finished"
            and trial.value is not None
            and (best is None or trial.value * sign < best * sign)
        ):
            best = trial.value
            x.append(trial.number)
            y.append(best)
    if best is not None and trials and x[-1] < trials[-1].number:
        x.append(trials[-1].number)
        y.append(best)
    return x, y


def ramp(places: Sequence[float | None]) -> list[str]:
    """Return colors for places from 0, bad, to 1, good; grey for None."""
    return [WITHOUT_VALUE if place is None else _mixed(place) for place in places]


def _mixed(place: float) -> str:
    at = min(max(place, 0.0), 1.0) * (len(RAMP) - 1)
    low = min(int(at), len(RAMP) - 2)
    parts = (round(a + (b - a) * (at - low)) for a, b in zip(RAMP[low], RAMP[low + 1]))
    return "#" + "".join(f"{part:02x}" for part in parts)
