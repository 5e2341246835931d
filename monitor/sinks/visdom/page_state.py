"""The state of all windows of one run, bounded, and which of them changed."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from monitor.metrics import is_system
from monitor.records import Config, ConfusionMatrix, Histogram, Images, Progress, Record, Restart, Scalar, Text
from monitor.render.charts.curves.changes import ChangeMark
from monitor.sinks.visdom.curve_state import CurveState
from monitor.sinks.visdom.record_state import RecordState
from monitor.sinks.visdom.windows import without_repeated_title
from monitor.steering.changes import is_change

if TYPE_CHECKING:
    from collections.abc import Iterable

    from monitor.render.charts.grouping import ChartRules
    from monitor.scalar_block import ScalarBlock
    from monitor.sinks.visdom.windows import Message

# The order of the windows on the page.
WINDOW_ORDER = (
    "curves", "images", "detections", "video", "audio", "predictions", "timeline", "figure", "plot", "pr",
    "embedding", "mesh", "confusion", "others", "table", "text", "labels", "config", "histogram",
)  # fmt: skip
RECALLED = (Scalar, Text, Config, Histogram, ConfusionMatrix)  # beside pictures
LABELS = "/labels"  # behind the tag of predictions: the TensorBoard sink writes their labels as texts
# The first charts, in their order, behind those that the user names; those of other metrics come after the images.
MAIN_METRICS = tuple(re.compile(pattern, re.IGNORECASE) for pattern in ("loss", "acc", "error"))


class PageState:
    """The windows of one run. A window has a key, its kind and the tag that it shows, such as `images samples`.

    Attributes:
        changed: the keys of the windows that the server does not have in their current state.
    """

    def __init__(self) -> None:
        self.changed: set[str] = set()
        self._curves = CurveState()
        self._records = RecordState()
        self._numbers: dict[str, int] = {}  # by key: the windows are numbered in the order in which they appeared

    def arrange(self, rules: ChartRules) -> None:
        """Show curves in the charts that the user names; before the first curve only."""
        self._curves.rules = dict(rules)

    def add(self, records: Iterable[Record]) -> None:
        """Take in records. Nothing is drawn yet."""
        for record in records:
            for key in self._take(record):
                self._mark_changed(key)

    def recall(self, records: Iterable[Record]) -> None:
        """Take in what an earlier process of the run logged, as read from its event files. Blocks while it encodes."""
        known: list[Record] = []
        for record in records:
            if isinstance(record, Images):
                for key in self._records.recall(record):
                    self._mark_changed(key)
            elif isinstance(record, RECALLED) and not (isinstance(record, Text) and record.tag.endswith(LABELS)):
                known.append(record)
        self.add(known)

    def add_scalars(self, block: ScalarBlock) -> None:
        """Take in scalars. Nothing is drawn yet."""
        for tag, steps, values, times in block.series():
            self._mark_changed(f"curves {self._curves.extend(tag, steps, values, times)}")

    def forget(self, trace: str, step: int) -> None:
        """Remove the points at `step` and above from all curves whose tags end in `/trace`."""
        for name in self._curves.forget(trace, step):
            self._mark_changed(f"curves {name}")

    def drop(self, key: str) -> str:
        """Remove what makes a window impossible to show; return its kind, tag, and step.

        Of a window of several texts or steps, that is one of them, and the window stays changed if there are more. Of
        others, it is all that they show.
        """
        kind, _, name = key.partition(" ")
        what, has_more = (self._curves.drop(name), False) if kind == "curves" else self._records.drop(key)
        if not has_more:
            del self._numbers[key]
            self.changed.discard(key)
        return what

    @property
    def gone(self) -> set[str]:
        """The keys of windows whose pictures another window shows now, for the sink to remove."""
        return self._records.gone

    def other_keys(self, key: str) -> list[str]:
        """Return the keys of the windows that may show what this one does, whose kind is guessed; none for others."""
        return self._records.other_keys(key)

    def mark_all_changed(self) -> None:
        """Mark all windows as changed, as for a new server."""
        self.changed.update(self._numbers)

    def keys(self) -> list[str]:
        """Return the keys of all windows, in their order on the page."""
        return sorted(self._numbers, key=self._position)

    def changed_keys(self) -> list[str]:
        """Return the keys of the changed windows, in their order on the page."""
        return sorted(self.changed, key=self._position)

    def message(self, key: str) -> Message:
        """Draw a window and return the message that shows it, still without its env and id."""
        kind, _, name = key.partition(" ")
        message = without_repeated_title(self._curves.message(name) if kind == "curves" else self._records.message(key))
        kind_rank, group_rank, number = self._position(key)
        return {**message, "opts": {**message["opts"], "order": kind_rank * 10**6 + group_rank * 10**4 + number}}

    def _take(self, record: Record) -> list[str]:
        """Take in a record; return the keys of the windows that changed."""
        charts: list[str] = []
        keys: list[str] = []
        if isinstance(record, Scalar):
            charts = [self._curves.add(record.tag, record.step, record.value, record.time)]
        elif isinstance(record, Progress):
            self._curves.note_progress(record)
        elif isinstance(record, Restart):
            charts, keys = self._curves.restart(record.step), self._records.restart(record.step)
        elif not isinstance(record, Config) or record.values:  # an empty window would say nothing
            keys = self._records.add(record)
            for key in self._records.gone & self._numbers.keys():
                del self._numbers[key]
                self.changed.discard(key)
            if isinstance(record, Text) and is_change(record.tag, record.text):
                charts = self._curves.note_change(ChangeMark(record.step, record.time, record.text))
        return [f"curves {name}" for name in charts] + keys

    def _mark_changed(self, key: str) -> None:
        self._numbers.setdefault(key, len(self._numbers))
        self.changed.add(key)

    def _position(self, key: str) -> tuple[int, int, int]:
        """Return what the windows are sorted by: kind, metric, and number."""
        kind, _, name = key.partition(" ")
        rank = 0
        if kind == "curves":
            ranks = [number for number, metric in enumerate(MAIN_METRICS, 1) if metric.search(name)]
            rank = ranks[0] if ranks else 1 + len(MAIN_METRICS) + is_system(name)  # the machine's behind the training's
            kind = "curves" if ranks and not is_system(name) else "others"
            if name in self._curves.rules:
                kind, rank = "curves", 0
        return WINDOW_ORDER.index(kind), rank, self._numbers[key]
