"""The state of all windows of one run, bounded, and which of them changed."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from monitor.metrics import is_system
from monitor.records import Record, Restart, Scalar
from monitor.sinks.visdom.curve_state import CurveState
from monitor.sinks.visdom.record_state import RecordState

if TYPE_CHECKING:
    from collections.abc import Iterable

    from monitor.scalar_block import ScalarBlock
    from monitor.sinks.visdom.windows import Message

# The order of the windows on a new page. Among the curves, those of FIRST_GROUPS come first.
WINDOW_ORDER = (
    "curves", "images", "detections", "video", "audio", "predictions", "labels", "timeline", "figure", "plot", "pr",
    "embedding", "mesh", "confusion", "others", "table", "text", "config", "histogram",
)  # fmt: skip
FIRST_GROUPS = ("train", "test", "val")
MAIN_METRIC = re.compile("loss|acc|error", re.IGNORECASE)  # curves of other metrics come after the images


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

    def add(self, records: Iterable[Record]) -> None:
        """Take in records. Nothing is drawn yet."""
        for record in records:
            if isinstance(record, Scalar):
                self._mark_changed(f"curves {self._curves.add(record.tag, record.step, record.value)}")
            elif isinstance(record, Restart):
                for name in self._curves.restart(record.step):
                    self._mark_changed(f"curves {name}")
                for key in self._records.restart(record.step):
                    self._mark_changed(key)
            else:
                for key in self._records.add(record):
                    self._mark_changed(key)

    def add_scalars(self, block: ScalarBlock) -> None:
        """Take in scalars. Nothing is drawn yet."""
        for tag, steps, values, _ in block.series():
            self._mark_changed(f"curves {self._curves.extend(tag, steps, values)}")

    def forget(self, trace: str, step: int) -> None:
        """Remove the points at `step` and above from all traces of this name."""
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
        message = self._curves.message(name) if kind == "curves" else self._records.message(key)
        kind_rank, group_rank, number = self._position(key)
        return {**message, "opts": {**message["opts"], "order": kind_rank * 10**6 + group_rank * 10**4 + number}}

    def _mark_changed(self, key: str) -> None:
        self._numbers.setdefault(key, len(self._numbers))
        self.changed.add(key)

    def _position(self, key: str) -> tuple[int, int, int]:
        """Return what the windows are sorted by: kind, group, and number."""
        kind, _, tag = key.partition(" ")
        group_rank = FIRST_GROUPS.index(tag) if tag in FIRST_GROUPS else len(FIRST_GROUPS)
        if is_system(f"{tag}/"):
            group_rank += 1  # together, behind the curves of the training
        if kind == "curves" and tag not in FIRST_GROUPS and not MAIN_METRIC.search(tag):
            kind = "others"
        return WINDOW_ORDER.index(kind), group_rank, self._numbers[key]
