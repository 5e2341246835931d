"""The chart of a timeline of predictions: a row per sample, a column per test."""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from monitor.prediction_timeline import FORGOTTEN, RIGHT, WRONG, PredictionTimeline
from monitor.render.charts.style import Figure, as_text, layout
from monitor.render.pictures.images import encode_png, to_rgb
from monitor.render.reduction.prediction_timeline import COLORS, MAX_ROWS, STATE_NAMES, heading, row_label

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

TILE_PX = 40  # the longer side of a picture that is shown on hover; larger ones are reduced
SHEET_COLUMNS = 10
MAX_NAME_CHARS = 30
OUTCOMES = {RIGHT: "right", WRONG: "wrong", FORGOTTEN: "wrong: forgotten"}


def timeline_chart(timeline: PredictionTimeline, images: NDArray[np.uint8]) -> Figure:
    """Return the chart; those samples come first that were forgotten most often.

    Hovering tells the classes. `layout.meta` has the pictures, as one, for a page whose script shows them too.

    Args:
        timeline: the tests.
        images: the pictures of the N samples, N×C×H×W, uint8.
    """
    rows = timeline.order()[:MAX_ROWS]
    names = {number: as_text(_short(timeline.label(number))) for number in np.unique(timeline.predicted).tolist()}
    outcomes = [
        [f"{names[predicted]}, {OUTCOMES[state]}" for predicted, state in zip(classes, states)]
        for classes, states in zip(timeline.predicted[:, rows].T.tolist(), timeline.states[:, rows].T.tolist())
    ]
    trace = {
        "type": "heatmap",
        "x": [str(step) for step in timeline.steps.tolist()],
        "y": [as_text(row_label(timeline, sample)) for sample in rows],
        "z": timeline.states[:, rows].T.tolist(),
        "text": outcomes,
        "hovertemplate": "%{y}<br>step %{x}: predicted %{text}<extra></extra>",
        "zmin": WRONG,
        "zmax": FORGOTTEN,
        "colorscale": _steps([COLORS[state] for state in (WRONG, RIGHT, FORGOTTEN)]),
        "showscale": False,
        "xgap": 1,
        "ygap": 1,
    }
    figure_layout = layout(heading(timeline), "step of the test", "")
    figure_layout["xaxis"] |= {"type": "category", "showgrid": False, "nticks": 8, "tickangle": 0}
    figure_layout["yaxis"] |= {
        "type": "category", "showgrid": False, "autorange": "reversed", "tickfont": {"size": 9}, "fixedrange": False,
    }  # fmt: skip
    figure_layout["margin"] = {"l": 40, "r": 10, "t": 62, "b": 36}
    figure_layout["annotations"] = [_note(_legend(timeline, len(rows)))]
    figure_layout["showlegend"] = False
    figure_layout["meta"] = {"timeline": {"samples": rows, **_sheet(images[rows])}}
    return {"data": [trace], "layout": figure_layout}


def _legend(timeline: PredictionTimeline, rows: int) -> str:
    """Return what the colors mean."""
    colors = "  ".join(f'<span style="color:{COLORS[state]}">■</span> {name}' for state, name in STATE_NAMES.items())
    left_out = len(timeline.target) - rows
    return colors + (f"  (and {left_out} more samples)" if left_out else "")


def _note(text: str) -> dict[str, Any]:
    place = {"xref": "paper", "yref": "paper", "x": 0, "y": 1, "xanchor": "left", "yanchor": "bottom"}
    return {"text": text, "showarrow": False, "align": "left", "font": {"size": 11, "color": "#555"}, **place}


def _steps(colors: Sequence[str]) -> list[list[Any]]:
    """Return a color scale without transitions."""
    count = len(colors)
    return [[edge / count, color] for number, color in enumerate(colors) for edge in (number, number + 1)]


def _sheet(images: NDArray[np.uint8]) -> dict[str, Any]:
    """Return the pictures as one of several columns, reduced to `TILE_PX`, and where they are in it."""
    tiles = to_rgb(images)
    count, height, width, _ = tiles.shape
    scale = min(1.0, TILE_PX / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    columns = min(SHEET_COLUMNS, count)
    sheet = Image.new("RGB", (columns * size[0], -(-count // columns) * size[1]))
    for number, tile in enumerate(tiles):
        place = number % columns * size[0], number // columns * size[1]
        sheet.paste(Image.fromarray(tile).resize(size, Image.Resampling.BOX), place)
    source = f"data:image/png;base64,{b64encode(encode_png(sheet).png).decode()}"
    return {"source": source, "width": size[0], "height": size[1], "columns": columns}


def _short(name: str) -> str:
    return name if len(name) <= MAX_NAME_CHARS else f"{name[: MAX_NAME_CHARS - 1]}…"
