"""The curves of one run, bounded, by the window that shows them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from monitor.metrics import is_system
from monitor.render.downsampling import DownsampledSeries
from monitor.render.escaping import PALETTE, escape_control_chars
from monitor.sinks.visdom.windows import PLOT_SIZE_PX, Message, escape_html, layout

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class CurveState:
    """The windows of the curves. A window has a name, such as `train`, and a curve per tag."""

    def __init__(self) -> None:
        self._windows: dict[str, dict[str, DownsampledSeries]] = {}  # by name, by trace
        self._traces: dict[str, tuple[str, DownsampledSeries]] = {}  # by tag: the name of its window, and its points

    def add(self, tag: str, step: int, value: float) -> str:
        """Take in a point; return the name of the window that changed."""
        name, series = self._traces.get(tag) or self._add_trace(tag)
        series.add(step, value)
        return name

    def extend(self, tag: str, steps: NDArray[np.int64], values: NDArray[np.float64]) -> str:
        """Take in points; return the name of the window that changed."""
        name, series = self._traces.get(tag) or self._add_trace(tag)
        series.extend(steps, values)
        return name

    def restart(self, step: int) -> list[str]:
        """Remove the points at `step` and above; return the names of the windows that changed."""
        for traces in self._windows.values():
            for series in traces.values():
                series.restart(step)
        return list(self._windows)

    def forget(self, trace: str, step: int) -> list[str]:
        """Remove the points at `step` and above from all traces of this name; return the windows that changed."""
        changed = [name for name, traces in self._windows.items() if trace in traces]
        for name in changed:
            self._windows[name][trace].restart(step)
        return changed

    def drop(self, name: str) -> str:
        """Remove a window; return what it is called in messages."""
        del self._windows[name]
        self._traces = {tag: trace for tag, trace in self._traces.items() if trace[0] != name}
        return f"the window of the scalars {name!r}"

    def message(self, name: str) -> Message:
        """Draw a window."""
        return curves(name, self._windows[name])

    def _add_trace(self, tag: str) -> tuple[str, DownsampledSeries]:
        """Add the trace of a tag to the window of its group; return the window's name and the trace's points."""
        group, _, trace = tag.rpartition("/")
        group = group or tag
        series = self._windows.setdefault(group, {}).setdefault(trace, DownsampledSeries())
        self._traces[tag] = group, series
        return self._traces[tag]


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
