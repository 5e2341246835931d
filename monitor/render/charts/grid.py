"""Several charts as one figure, for pages that show one figure at a time, such as a notebook's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from monitor.render.charts.style import Figure, as_text

if TYPE_CHECKING:
    from collections.abc import Mapping

COLUMNS = 3
CHART_HEIGHT_PX = 230
MAX_NAMED = 4  # curves whose names are beside the title of their chart
GAP = 0.07  # between two columns, as a share of the width
GAP_PX = 62  # between two rows


def chart_grid(charts: Mapping[str, Figure]) -> Figure:
    """Return one figure with the charts in rows of three, each under its title."""
    columns = max(1, min(COLUMNS, len(charts)))
    rows = max(1, -(-len(charts) // columns))
    height = rows * (CHART_HEIGHT_PX + GAP_PX)
    width = (1 - GAP * (columns - 1)) / columns
    traces: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    layout: dict[str, Any] = {
        "height": height + 20,
        "margin": {"l": 50, "r": 14, "t": 30, "b": 20},
        "showlegend": False,
    }
    for number, (title, figure) in enumerate(charts.items()):
        suffix = str(number + 1) if number else ""
        row, column = divmod(number, columns)
        left, top = column * (width + GAP), 1 - row * (CHART_HEIGHT_PX + GAP_PX) / height
        bottom = top - CHART_HEIGHT_PX / height
        own = figure["layout"]
        x_axis = {**own["xaxis"], "domain": [left, left + width], "anchor": f"y{suffix}"}
        y_axis = {**own["yaxis"], "domain": [max(0.0, bottom), top], "anchor": f"x{suffix}"}
        layout |= {f"xaxis{suffix}": x_axis, f"yaxis{suffix}": y_axis}
        layout |= {key: own[key] for key in ("font", "plot_bgcolor", "paper_bgcolor", "uirevision", "hoverlabel")}
        layout["hovermode"] = "closest"
        for trace in figure["data"]:
            named = {**trace, "xaxis": f"x{suffix}", "yaxis": f"y{suffix}"}
            traces.append({key: value for key, value in named.items() if key != "uid"})  # which is the chart's own
        place = {"xref": "paper", "yref": "paper", "x": left, "y": top, "xanchor": "left", "yanchor": "bottom"}
        annotations.append({"text": f"<b>{as_text(title)}</b>{_legend(figure)}", "showarrow": False, **place})
        annotations += [
            {**note, "x": left + width, "y": top, "xref": "paper", "yref": "paper"} for note in own["annotations"]
        ]
    return {"data": traces, "layout": {**layout, "annotations": annotations}}


def _legend(figure: Figure) -> str:
    """Return the names of several curves in their colors; that of one is the chart's."""
    colors = {trace["name"]: trace["marker"]["color"] for trace in figure["data"] if "color" in trace.get("marker", ())}
    if not 1 < len(colors) <= MAX_NAMED:
        return ""
    return "".join(f' <span style="color:{color}">{name}</span>' for name, color in colors.items())
