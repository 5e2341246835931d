"""Draw records of media as windows of Visdom's page, as `windows` does for the others.

Everything is bounded, because the server and the page hold each window as a whole: what is too large is thinned out, or
replaced by a line that says so.
"""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING, Any

import numpy as np

from monitor.render.pictures import detections
from monitor.render.pictures.figures import png_size
from monitor.render.pictures.images import PngImage
from monitor.render.plotly_json import decode_figure
from monitor.render.reduction.projection import project
from monitor.render.text.escaping import PALETTE, escape_control_chars, escape_html
from monitor.sinks.visdom.windows import PLOT_SIZE_PX, Message, html_window, image_window, layout

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from monitor.records import Audio, Detections, Embedding, Figure, Mesh, PRCurve, Table, Video

MAX_MEDIA_BYTES = 2**23  # of a sound, a film, or a figure of Plotly
MAX_POINTS = 2000  # of an embedding: a page draws no more without getting slow
MAX_GROUPS = 20  # labels that get a color and a line in the legend
MAX_VERTICES, MAX_FACES = 20_000, 40_000  # of a mesh
MAX_ROWS, MAX_COLUMNS = 200, 30  # of a table
LIGHT = {"ambient": 0.7, "diffuse": 0.5, "specular": 0.1}
SPACE_SIZE_PX = {"width": 500, "height": 460}


def figure(record: Figure) -> Message:
    """Show a figure: one of Plotly as it is, one of Matplotlib as a picture."""
    title = f"{record.tag} · step {record.step}"
    if not record.plotly:
        return image_window(record.tag, PngImage(record.png, *png_size(record.png)))
    if len(record.plotly) > MAX_MEDIA_BYTES:
        return _too_large(record.tag, title, "figure", len(record.plotly))
    data, own_layout = decode_figure(record.plotly)
    data = data or [{"y": []}]
    for trace in data:
        if trace.setdefault("type", "scatter") == "scatter":  # the server needs the type, the page's smoothing the rest
            trace["marker"] = {"line": {}} | (trace.get("marker") or {})
    size = {name: _pixels(own_layout.pop(name, None), PLOT_SIZE_PX[name]) for name in ("width", "height")}
    own_layout = {"margin": {"l": 45, "r": 15, "t": 55, "b": 35}, "uirevision": "keep", **own_layout}
    return {"data": data, "layout": own_layout, "opts": {"title": escape_control_chars(record.tag), **size}}


def audio(record: Audio) -> Message:
    """Show a player of a sound."""
    title = f"step {record.step}"
    if len(record.encoded) > MAX_MEDIA_BYTES:
        return _too_large(record.tag, title, "sound", len(record.encoded))
    source = f"data:{escape_html(record.media_type)};base64,{b64encode(record.encoded).decode()}"
    player = f'<p>{title}</p><audio controls style="width:100%" src="{source}"></audio>'
    return _html_window(record.tag, player, 330, 130)


def video(record: Video) -> Message:
    """Show a film, which plays by itself."""
    if len(record.gif) > MAX_MEDIA_BYTES:
        return _too_large(record.tag, f"step {record.step}", "film", len(record.gif))
    return image_window(record.tag, PngImage(record.gif, record.width, record.height))


def detected(record: Detections) -> Message:
    """Show an image with its boxes and masks."""
    return image_window(record.tag, detections.detection_image(record))


def pr_curve(record: PRCurve) -> Message:
    """Plot precision over recall, without the thresholds at which nothing is positive."""
    is_defined = record.counts[0] + record.counts[1] > 0
    recall, precision = record.recall[is_defined], record.precision[is_defined]
    area = float(((recall[:-1] - recall[1:]) * precision[:-1]).sum()) + float((recall[-1:] * precision[-1:]).sum())
    thresholds = np.linspace(0, 1, len(record.recall))[is_defined]
    trace = {
        "type": "scatter",
        "mode": "lines+markers",
        "name": escape_html(record.tag),
        "x": recall,
        "y": precision,
        "text": [f"threshold {threshold:.3f}" for threshold in thresholds],
        "marker": {"size": 4, "line": {}},
    }
    figure_layout = layout(f"{record.tag} · step {record.step} · average precision {area:.4f}", "recall", "precision")
    for axis in ("xaxis", "yaxis"):
        figure_layout[axis]["range"] = [-0.02, 1.02]
    figure_layout["showlegend"] = False
    return {
        "data": [trace],
        "layout": figure_layout,
        "opts": {"title": escape_control_chars(record.tag), **PLOT_SIZE_PX},
    }


def embedding(record: Embedding) -> Message:
    """Plot points in two or three dimensions: their own, or those in which they differ most."""
    count, dimensions = record.vectors.shape
    chosen = _evenly(count, MAX_POINTS)
    points = project(record.vectors[chosen])
    names = [" · ".join(record.labels[index]) for index in chosen] if record.labels else []
    groups = [record.labels[index][0] for index in chosen] if record.labels else [""] * len(chosen)
    distinct = list(dict.fromkeys(groups))
    if len(distinct) > MAX_GROUPS:
        groups, distinct = [""] * len(chosen), [""]
    axes = "xyz"[: points.shape[1]]
    data: list[Message] = []
    for number, group in enumerate(sorted(distinct)):
        members = [place for place, name in enumerate(groups) if name == group]
        data.append(
            {
                "type": "scatter3d" if len(axes) == 3 else "scatter",
                "mode": "markers",
                "name": escape_html(group[:60]),
                "marker": {"size": 3 if len(axes) == 3 else 5, "color": PALETTE[number % len(PALETTE)], "line": {}},
                "text": [escape_html(names[place][:200]) for place in members] if names else [],
                **{axis: points[members, index] for index, axis in enumerate(axes)},
            }
        )
    shown = f"{len(chosen):,} of {count:,} points" if len(chosen) < count else f"{count:,} points"
    how = f", from {dimensions:,} dimensions by PCA" if dimensions > len(axes) else ""
    figure_layout = _space_layout(f"{record.tag} · step {record.step} · {shown}{how}", is_flat=len(axes) == 2)
    figure_layout["showlegend"] = len(distinct) > 1
    return {"data": data, "layout": figure_layout, "opts": {"title": escape_control_chars(record.tag), **SPACE_SIZE_PX}}


def mesh(record: Mesh) -> Message:
    """Draw triangles, or points where there are none, or too many."""
    vertices, faces = record.vertices, record.faces
    faces = faces[((faces >= 0) & (faces < len(vertices))).all(axis=1)]
    title = f"{record.tag} · step {record.step}"
    colors = [f"rgb({red},{green},{blue})" for red, green, blue in record.colors.tolist()]
    if len(faces) and len(vertices) <= MAX_VERTICES and len(faces) <= MAX_FACES:
        x, y, z = np.ascontiguousarray(vertices.T)
        corners = dict(zip("ijk", np.ascontiguousarray(faces.T)))
        trace: Message = {"type": "mesh3d", "x": x, "y": y, "z": z, **corners, "lighting": LIGHT}
        trace |= {"vertexcolor": colors} if colors else {"color": PALETTE[0]}
    else:
        chosen = _evenly(len(vertices), MAX_VERTICES)
        x, y, z = np.ascontiguousarray(vertices[chosen].T)
        marker: Message = {
            "size": 2,
            "color": [colors[index] for index in chosen] if colors else PALETTE[0],
            "line": {},
        }
        trace = {"type": "scatter3d", "mode": "markers", "x": x, "y": y, "z": z, "marker": marker}
        if len(faces):
            title += f" · too large for its {len(faces):,} triangles"
        if len(chosen) < len(vertices):
            title += f" · {len(chosen):,} of {len(vertices):,} points"
    figure_layout = {**_space_layout(title, is_flat=False), "showlegend": False}
    figure_layout["scene"]["aspectmode"] = "data"
    opts = {"title": escape_control_chars(record.tag), **SPACE_SIZE_PX}
    return {"data": [trace], "layout": figure_layout, "opts": opts}


def table(record: Table) -> Message:
    """Show a table of texts."""
    rows, columns = record.rows[:MAX_ROWS], record.columns[:MAX_COLUMNS]
    cell = '<{0} style="padding:2px 8px;border-bottom:1px solid #ddd;white-space:pre-wrap">{1}</{0}>'
    head = "".join(cell.format("th", escape_html(name)) for name in columns)
    body = "".join(
        f"<tr>{''.join(cell.format('td', escape_html(text)) for text in row[:MAX_COLUMNS])}</tr>" for row in rows
    )
    width = max([len(record.columns), *map(len, rows)])
    left_out = f"{len(record.rows) - len(rows):,} more rows" if len(rows) < len(record.rows) else ""
    left_out += f"{', ' if left_out else ''}{width - MAX_COLUMNS:,} more columns" if width > MAX_COLUMNS else ""
    note = f"step {record.step}" + (f" · {left_out}" if left_out else "")
    content = f"<p>{note}</p><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    return _html_window(record.tag, content, 420, 300)


MEDIA_WINDOW_BUILDERS: dict[str, Callable[[Any], Message]] = {
    "figure": figure,
    "audio": audio,
    "video": video,
    "detections": detected,
    "pr": pr_curve,
    "embedding": embedding,
    "mesh": mesh,
    "table": table,
}


def _too_large(tag: str, title: str, what: str, size: int) -> Message:
    line = f"{title}: a {what} of {size:,} bytes is too large for this page; TensorBoard has it"
    return _html_window(tag, f"<p>{escape_html(line)}</p>", 330, 110)


def _html_window(tag: str, content: str, width: int, height: int) -> Message:
    """Show HTML in the color of plain text; the page's own is pale."""
    return html_window(tag, f'<div style="color:#333;padding:4px 8px">{content}</div>', width, height)


def _space_layout(title: str, *, is_flat: bool) -> Message:
    """Return the layout of points in two or three dimensions, whose axes have no names."""
    figure_layout = layout(title, "", "")
    if not is_flat:
        figure_layout["scene"] = {axis: {"title": {"text": ""}} for axis in ("xaxis", "yaxis", "zaxis")}
        figure_layout["margin"] = {"l": 0, "r": 0, "t": 40, "b": 0}
        figure_layout["legend"] = {"x": 0, "y": 1, "xanchor": "left", "yanchor": "top"}
    return figure_layout


def _evenly(count: int, limit: int) -> NDArray[np.int64]:
    """Return at most `limit` of the numbers below `count`, evenly spaced."""
    return np.arange(count) if count <= limit else np.linspace(0, count - 1, limit).astype(np.int64)


def _pixels(size: Any, otherwise: int) -> int:
    """Return the width or height that a figure asks for, if it is a reasonable one."""
    return int(size) if isinstance(size, int | float) and 100 <= size <= 2000 else otherwise
