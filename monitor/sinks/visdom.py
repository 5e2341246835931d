"""Visdom: the state of every window, not a list of operations.

The sink knows each window whole, bounded, and puts the changed ones up anew. So a server that dies or is restarted gets
everything back, the cost of an update does not grow with the run, and no point is ever there twice.
"""

from __future__ import annotations

import html
from base64 import b64encode
from collections.abc import Sequence
from typing import Any
from urllib.parse import SplitResult, unquote

from monitor import grid
from monitor.errors import SpecError
from monitor.grid import Picture
from monitor.records import Config, Curve, Histogram, Images, Predictions, Record, Scalar, Text
from monitor.run import Run
from monitor.series import Series
from monitor.sinks.base import Sink
from monitor.sinks.visdom_client import VisdomClient

HOST, PORT = "127.0.0.1", 8097
PLOT = {"width": 420, "height": 320}
TEXT = {"width": 320, "height": 320}
WIDEST = 640  # pixels of a picture's window
# Windows go up in this order, as a fresh page lays them out in the order of their coming.
ORDER = ("curves", "images", "predictions", "labels", "plot", "text", "histogram")
COLOURS = ("#1f77b4", "#d62728", "#2ca02c", "#9467bd", "#ff7f0e", "#17becf", "#8c564b", "#e377c2", "#7f7f7f", "#bcbd22")

Message = dict[str, Any]


class VisdomSink(Sink):
    """Show the run in one env of a Visdom server: `visdom`, or `visdom://host:port/env`.

    Tags with one prefix share a window with a legend. The env is the run's name, unless it is given. Windows stay when
    the logger is closed.
    """

    name = "visdom"
    accepts = frozenset({Scalar, Images, Predictions, Text, Histogram, Curve, Config})
    max_interval = 2.0

    def __init__(self, host: str = HOST, port: int = PORT, env: str | None = None) -> None:
        self._env = env
        self._client = VisdomClient(f"http://{host}:{port}")
        self._run = ""
        self._curves: dict[str, dict[str, Series]] = {}  # by window, by trace
        self._windows: dict[str, tuple[str, Message]] = {}  # the other windows: kind and message, by key
        self._changed: dict[str, str] = {}  # the kinds of the windows that the server has not got, by key
        self._server = ""  # what tells one life of the server from the next

    @classmethod
    def from_spec(cls, spec: SplitResult) -> VisdomSink:
        if not spec.scheme:
            return cls()
        env = unquote(spec.path.strip("/")).replace("/", "_") or None
        if spec.port == 0 or spec.query or spec.fragment or spec.username:
            raise SpecError(f"sink {spec.geturl()!r}: accepted: visdom or visdom://host:port/env, port 1 to 65535")
        host = spec.hostname or HOST
        return cls(f"[{host}]" if ":" in host else host, spec.port or PORT, env)

    @property
    def url(self) -> str:
        """Return the address of the env's page."""
        return self._client.page(self._env or self._run)

    def open(self, run: Run) -> None:
        self._run = run.name
        self._env = self._env or run.name.replace("/", "_")

    def write(self, records: Sequence[Record]) -> None:
        for record in records:
            if isinstance(record, Scalar):
                group, _, trace = record.tag.rpartition("/")
                key = group or record.tag
                traces = self._curves.setdefault(key, {})
                series = traces.get(trace)
                if series is None:
                    series = traces[trace] = Series()
                series.add(record.step, record.value)
                self._changed[f"curves {key}"] = "curves"
            elif isinstance(record, Images):
                self._put("images", record.tag, _picture(record.tag, grid.of_images(record), record.step))
            elif isinstance(record, Predictions):
                self._put("predictions", record.tag, _picture(record.tag, grid.of_predictions(record), record.step))
                self._put("labels", record.tag, _text(f"{record.tag} (labels)", grid.labels(record)))
            elif isinstance(record, Text):
                self._put("text", record.tag, _text(record.tag, f"step {record.step}\n{record.text}"))
            elif isinstance(record, Histogram):
                self._put("histogram", record.tag, _histogram(record))
            elif isinstance(record, Curve):
                self._put("plot", record.tag, _plot(record))
            elif isinstance(record, Config):
                rows = "\n".join(f"{name}: {value}" for name, value in record.values.items())
                self._put("text", "config", _text(f"{self._run}: config", rows))

    def flush(self) -> None:
        for key, kind in sorted(self._changed.items(), key=lambda item: ORDER.index(item[1])):
            message = self._message(key, kind)
            self._client.send({**message, "eid": self._env, "win": f"{self._run} {key}"})
            del self._changed[key]

    def close(self) -> None:
        self._client.close()

    def _put(self, kind: str, tag: str, message: Message) -> None:
        key = f"{kind} {tag}"
        self._windows[key] = (kind, message)
        self._changed[key] = kind

    def _message(self, key: str, kind: str) -> Message:
        if kind != "curves":
            return self._windows[key][1]
        group = key.removeprefix("curves ")
        return _curves(group, self._curves[group])


def _curves(group: str, traces: dict[str, Series]) -> Message:
    """Make a window of one line a trace."""
    data, notes = [], []
    for number, (name, series) in enumerate(traces.items()):
        x, y = series.points()
        data.append(
            {
                "type": "scatter",
                "mode": "lines" if series.count > 1 else "markers",
                "name": safe(name),
                "x": x,
                "y": y,
                "line": {"color": COLOURS[number % len(COLOURS)]},
            }
        )
        if series.first_bad is not None:
            step, value = series.first_bad
            notes.append(f"{safe(name)} is {value} at step {step}")
    names = list(traces)
    title = group if len(names) > 3 else group if names == [group] else f"{group} {' & '.join(names)}"
    layout = _layout(title, "step", names[0] if len(names) == 1 else "value")
    if notes:
        layout["annotations"] = [
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
    return {"data": data, "layout": layout, "opts": {"title": safe(title), **PLOT}}


def _plot(record: Curve) -> Message:
    layout = _layout(f"{record.tag} · step {record.step}", record.x_title, record.y_title)
    data = [{"type": "scatter", "mode": "lines", "name": safe(record.tag), "x": record.x, "y": record.y}]
    return {"data": data, "layout": layout, "opts": {"title": safe(record.tag), **PLOT}}


def _histogram(record: Histogram) -> Message:
    import numpy as np

    values = record.values[np.isfinite(record.values)]
    counts, edges = np.histogram(values, bins=min(50, max(10, int(len(values) ** 0.5))))
    lost = len(record.values) - len(values)
    title = f"{record.tag} · step {record.step}" + (f" · {lost} not finite" if lost else "")
    data = [{"type": "bar", "x": (edges[:-1] + edges[1:]) / 2, "y": counts, "width": np.diff(edges)}]
    layout = {**_layout(title, "value", "count"), "showlegend": False, "bargap": 0}
    return {"data": data, "layout": layout, "opts": {"title": safe(record.tag), **PLOT}}


def _picture(title: str, picture: Picture, step: int) -> Message:
    source = "data:image/png;base64," + b64encode(picture.png).decode()
    scale = min(2.0, WIDEST / picture.width)
    return {
        "data": [{"type": "image", "content": {"src": source, "caption": f"step {step}"}}],
        "opts": {"title": safe(title), "width": picture.width * scale, "height": picture.height * scale + 20},
    }


def _text(title: str, text: str) -> Message:
    return {
        "data": [{"type": "text", "content": f'<pre style="border:0;background:none">{safe(text)}</pre>'}],
        "opts": {"title": safe(title), **TEXT},
    }


def _layout(title: str, x: str, y: str) -> Message:
    return {
        "title": {"text": safe(title), "font": {"size": 14}},
        "xaxis": {"title": {"text": safe(x)}},
        "yaxis": {"title": {"text": safe(y)}},
        "showlegend": True,
        "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 1, "xanchor": "right"},
        "margin": {"l": 60, "r": 20, "t": 60, "b": 50},
        "uirevision": "keep",  # a refresh leaves the user's zoom alone
    }


def safe(text: str) -> str:
    """Make text inert where Visdom puts it into a page as HTML."""
    return html.escape(text)
