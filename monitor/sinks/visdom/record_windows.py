"""Draw records as windows of Visdom's page: each function returns the message that shows one window."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from monitor.render.charts.confusion import MAX_CLASSES, confusion_chart, confusion_size
from monitor.render.pictures.confusion import confusion_matrix_image
from monitor.render.pictures.images import image_grid
from monitor.render.pictures.predictions import prediction_grid, prediction_labels
from monitor.render.reduction import histograms
from monitor.render.text.escaping import escape_control_chars, escape_html
from monitor.render.text.markdown import to_html
from monitor.sinks.visdom.windows import (
    PLOT_SIZE_PX,
    TEXT_SIZE_PX,
    Message,
    html_window,
    image_window,
    layout,
    text_window,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from monitor.records import Config, ConfusionMatrix, Curve, Histogram, Text

HISTOGRAM_BINS = 50


def plot(record: Curve) -> Message:
    """Draw an x–y plot, with its horizontal line and its data points."""
    figure_layout = layout(f"step {record.step}", record.x_title, record.y_title)
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
    """Draw a histogram of the finite values, or of the buckets of a record that was read back, in bins of one width."""
    values = record.values[np.isfinite(record.values)]
    counts, edges = (
        histograms.bin_counts(values, HISTOGRAM_BINS)
        if record.buckets is None
        else histograms.even_bins(*record.buckets, HISTOGRAM_BINS)
    )
    non_finite_count = len(record.values) - len(values)
    title = f"step {record.step}" + (f" · {non_finite_count} not finite" if non_finite_count else "")
    trace = {
        "type": "bar",
        "x": edges[:-1] / 2 + edges[1:] / 2,
        "y": counts,
        "width": np.diff(edges),
        "customdata": np.stack([edges[:-1], edges[1:]], axis=1),
        "hovertemplate": "%{y:.6~g} from %{customdata[0]:.4~g} to %{customdata[1]:.4~g}<extra></extra>",
    }
    figure_layout = {**layout(title, "value", "count"), "showlegend": False, "bargap": 0}
    return {
        "data": [trace],
        "layout": figure_layout,
        "opts": {"title": escape_control_chars(record.tag), **PLOT_SIZE_PX},
    }


def confusion(record: ConfusionMatrix) -> Message:
    """Draw the heat map of a confusion matrix; a picture of one that has too many classes for that."""
    if len(record.counts) > MAX_CLASSES:
        return image_window(record.tag, confusion_matrix_image(record))
    width, height = confusion_size(record)
    size = {"width": width, "height": height}
    return {**confusion_chart(record), "opts": {"title": escape_control_chars(record.tag), **size}}


def texts(tag: str, records: Sequence[Text]) -> Message:
    """Show the texts of a tag, the latest first; those that are Markdown are rendered."""
    if any(record.markdown for record in records):
        parts = [f'<p style="color:#777">step {record.step}</p>{_text_html(record)}' for record in reversed(records)]
        content = "<hr>".join(parts)  # in a color of its own, because the page's is pale
        return html_window(tag, f'<div style="color:#333;padding:0 8px">{content}</div>', **TEXT_SIZE_PX)
    return text_window(tag, "\n".join(f"step {record.step}\n{record.text}" for record in reversed(records)))


def _text_html(record: Text) -> str:
    if record.markdown:
        return to_html(record.text)
    return f'<pre style="border:0;background:none">{escape_html(record.text)}</pre>'


def config(record: Config) -> Message:
    """Show the settings, one per line."""
    return text_window("config", "\n".join(f"{name}: {value}" for name, value in record.values.items()))


WINDOW_BUILDERS: dict[str, Callable[[Any], Message]] = {
    "images": lambda record: image_window(record.tag, image_grid(record)),
    "predictions": lambda record: image_window(record.tag, prediction_grid(record)),
    "confusion": confusion,
    "labels": lambda record: text_window(f"{record.tag} (labels)", prediction_labels(record)),
    "histogram": histogram,
    "plot": plot,
    "config": config,
}
