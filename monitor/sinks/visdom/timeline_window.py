"""The window of a timeline of predictions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from monitor.render.charts.timeline import timeline_chart
from monitor.render.text.escaping import escape_control_chars

if TYPE_CHECKING:
    from monitor.records import Predictions
    from monitor.sinks.visdom.windows import Message

WIDTH_PX = 640
ROW_PX, MIN_ROWS_PX, MAX_ROWS_PX, OTHER_PX = 7, 160, 560, 130


def timeline(record: Predictions) -> Message:
    """Show the samples over the tests; the record has a timeline."""
    assert record.timeline is not None
    rows_px = max(MIN_ROWS_PX, min(MAX_ROWS_PX, ROW_PX * len(record.images)))
    opts = {"title": escape_control_chars(f"timeline of {record.tag}"), "width": WIDTH_PX, "height": rows_px + OTHER_PX}
    return {**timeline_chart(record.timeline, record.images), "opts": opts}
