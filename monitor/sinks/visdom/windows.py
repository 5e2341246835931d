"""Draw records as windows of Visdom's page: each function returns the message that shows one window.

Whatever a user logs is harmless: it is escaped where the page expects HTML, and control characters are shown as text.
"""

from __future__ import annotations

import html
import re
from base64 import b64encode
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson

from monitor.metrics import is_system
from monitor.render import histograms, images
from monitor.render.escaping import PALETTE, escape_control_chars
from monitor.render.markdown import to_html
from monitor.render.media import enlarged

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from monitor.records import Config, Curve, Histogram, Text
    from monitor.render.downsampling import DownsampledSeries
    from monitor.render.images import PngImage

PLOT_SIZE_PX = {"width": 410, "height": 300}
TEXT_SIZE_PX = {"width": 300, "height": 300}
MAX_IMAGE_WIDTH_PX = 500
MIN_IMAGE_WIDTH_PX, MAX_ENLARGED_HEIGHT_PX = 200, 600  # smaller images are enlarged, so that the title can be read too
TITLE_BAR_HEIGHT_PX = 24  # above an image
HISTOGRAM_BINS = 50

Message = dict[str, Any]


def curves(group: str, traces: dict[str, DownsampledSeries]) -> Message:
    """Draw curves, with one line per trace.

    Args:
        group: the common prefix of the tags.
        traces: points by the last part of the tag.
    """
    data: list[Message] = []
    notes: list[str] = []
    for number, (name, series) in enumerate(traces.items()):
        x, y = series.points()
        data.append(
            {
                "type": "scatter",
                "mode": "lines" if series.count > 1 else "markers",
                "name": escape_html(name),
                "x": x,
                "y": y,
                "line": {"color": PALETTE[number % len(PALETTE)]},
                "marker": {"line": {}},  # the page's smoothing needs it
            }
        )
        if series.first_non_finite is not None:
            step, value = series.first_non_finite
            notes.append(f"{escape_html(name)} is {value} at step {step}")
    names = list(traces)
    title = group if len(names) > 3 else group if names == [group] else f"{group} {' & '.join(names)}"
    x_title = "seconds" if is_system(f"{group}/") else "step"
    figure_layout = layout(title, x_title, names[0] if len(names) == 1 else "value")
    if notes:
        figure_layout["annotations"] = [
            {
                "text": "<br>".join(notes),
                "xref": "paper",
                "yref": "paper",
                "x": 0,
                "y": 1,
                "xanchor": "left",
                "yanchor": "bottom",
                "showarrow": False,
                "font": {"color": "#d00000", "size": 11},
            }
        ]
    return {"data": data, "layout": figure_layout, "opts": {"title": escape_control_chars(title), **PLOT_SIZE_PX}}


def plot(record: Curve) -> Message:
    """Draw an x–y plot, with its horizontal line and its data points."""
    figure_layout = layout(f"{record.tag} · step {record.step}", record.x_title, record.y_title)
    line = {"type": "scatter", "mode": "lines", "name": escape_html(record.tag), "x": record.x, "y": record.y}
    data = [{**line, "marker": {"line": {}}}]
    if record.points is not None:
        x, y = record.points
        data.append({"type": "scatter", "mode": "markers", "name": "data", "x": x, "y": y, "marker": {"line": {}}})
    if record.level is not None:
        across = {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": record.level, "y1": record.level}
        figure_layout["shapes"] = [{**across, "line": {"dash": "dash", "color": "#7f7f7f"}}]
    return {"data": data, "layout": figure_layout, "opts": {"title": escape_control_chars(record.tag), **PLOT_SIZE_PX}}


def histogram(record: Histogram) -> Message:
    """Draw a histogram of the finite values, or of the buckets of a record that was read back."""
    values = record.values[np.isfinite(record.values)]
    counts, edges = histograms.bin_counts(values, HISTOGRAM_BINS) if record.buckets is None else record.buckets
    non_finite_count = len(record.values) - len(values)
    title = f"{record.tag} · step {record.step}" + (f" · {non_finite_count} not finite" if non_finite_count else "")
    data = [{"type": "bar", "x": edges[:-1] / 2 + edges[1:] / 2, "y": counts, "width": np.diff(edges)}]
    figure_layout = {**layout(title, "value", "count"), "showlegend": False, "bargap": 0}
    return {"data": data, "layout": figure_layout, "opts": {"title": escape_control_chars(record.tag), **PLOT_SIZE_PX}}


def image_window(title: str, image: PngImage) -> Message:
    """Show a PNG or GIF image, enlarged at most twice; if it is small, until its pixels and the title can be read."""
    factor = min(-(-MIN_IMAGE_WIDTH_PX // image.width), MAX_ENLARGED_HEIGHT_PX // image.height)
    if factor > 2:
        image = enlarged(image, factor)
    media_type = "gif" if image.png.startswith(b"GIF") else "png"
    source = f"data:image/{media_type};base64,{b64encode(image.png).decode()}"
    scale = 1.0 if factor > 2 else min(2.0, MAX_IMAGE_WIDTH_PX / image.width)
    return {
        "data": [{"type": "image", "content": {"src": source}}],
        "opts": {
            "title": escape_control_chars(title),
            "width": image.width * scale,
            "height": image.height * scale + TITLE_BAR_HEIGHT_PX,
        },
    }


def text_window(title: str, body: str) -> Message:
    """Show preformatted text."""
    return html_window(title, f'<pre style="border:0;background:none">{escape_html(body)}</pre>', **TEXT_SIZE_PX)


def html_window(title: str, content: str, width: int, height: int) -> Message:
    """Show HTML, in which all that a user logged is escaped."""
    size = {"width": width, "height": height}
    return {"data": [{"type": "text", "content": content}], "opts": {"title": escape_control_chars(title), **size}}


def texts(tag: str, records: Sequence[Text]) -> Message:
    """Show the texts of a tag, the latest first; those that are Markdown are rendered."""
    if any(record.markdown for record in records):
        parts = [f'<p style="color:#777">step {record.step}</p>{_text_html(record)}' for record in reversed(records)]
        return html_window(tag, "<hr>".join(parts), **TEXT_SIZE_PX)
    return text_window(tag, "\n".join(f"step {record.step}\n{record.text}" for record in reversed(records)))


def _text_html(record: Text) -> str:
    if record.markdown:
        return to_html(record.text)
    return f'<pre style="border:0;background:none">{escape_html(record.text)}</pre>'


def config(record: Config) -> Message:
    """Show the settings, one per line."""
    return text_window("config", "\n".join(f"{name}: {value}" for name, value in record.values.items()))


WINDOW_BUILDERS: dict[str, Callable[[Any], Message]] = {
    "images": lambda record: image_window(record.tag, images.image_grid(record)),
    "predictions": lambda record: image_window(record.tag, images.prediction_grid(record)),
    "confusion": lambda record: image_window(record.tag, images.confusion_matrix_image(record)),
    "labels": lambda record: text_window(f"{record.tag} (labels)", images.prediction_labels(record)),
    "histogram": histogram,
    "plot": plot,
    "config": config,
}


def saved_window(message: Message, number: int) -> Message:
    """Return a window as Visdom's server stores it in the file of an env; `number` is its position on the page."""
    first, opts = message["data"][0], message["opts"]
    is_plot = "layout" in message
    return {
        "command": "window",
        "id": message["win"],
        "title": opts["title"],
        "inflate": True,
        "width": opts["width"],
        "height": opts["height"],
        "contentID": f"window_{number}",
        "type": "plot" if is_plot else first["type"],
        "content": {"data": message["data"], "layout": message["layout"]} if is_plot else first["content"],
        "i": number,
    }


def encode(message: Message) -> bytes:
    """Encode a message as JSON, with null for NaN and infinity. Raises `TypeError` for what JSON cannot hold."""
    return orjson.dumps(message, option=orjson.OPT_SERIALIZE_NUMPY)


def layout(title: str, x: str, y: str) -> Message:
    """Return the layout of a Plotly figure with labels for its axes."""
    return {
        "title": {
            "text": escape_html(title),
            "font": {"size": 13},
            "x": 0.03,
            "xanchor": "left",
            "y": 0.98,
            "yanchor": "top",
        },
        "xaxis": {"title": {"text": escape_html(x), "standoff": 8}, "automargin": True},
        "yaxis": {"title": {"text": escape_html(y), "standoff": 8}, "automargin": True},
        "showlegend": True,
        "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 1, "xanchor": "right"},
        "margin": {"l": 45, "r": 15, "t": 55, "b": 35},
        "uirevision": "keep",  # an update does not change the user's zoom
    }


def clean_env_name(name: str) -> str:
    """Turn a name into the name of an env, which the page inserts into addresses and scripts unescaped."""
    return re.sub(r"[^\w.-]+", "-", name.replace("/", "_")).strip("-") or "run"


def escape_html(text: str) -> str:
    """Escape text that Visdom inserts into a page as HTML."""
    return html.escape(escape_control_chars(text))
