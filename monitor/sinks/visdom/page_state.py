"""The state of all windows of one run, bounded, and which of them changed."""

from __future__ import annotations

import re
from collections import deque
from typing import TYPE_CHECKING

from monitor.metrics import is_system
from monitor.records import (
    Audio,
    Config,
    ConfusionMatrix,
    Curve,
    Detections,
    Embedding,
    Figure,
    Histogram,
    Images,
    Mesh,
    PRCurve,
    Predictions,
    Record,
    Restart,
    Scalar,
    Table,
    Text,
    Video,
)
from monitor.render.downsampling import DownsampledSeries
from monitor.sinks.visdom import windows
from monitor.sinks.visdom.media_windows import MEDIA_WINDOW_BUILDERS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from monitor.scalar_block import ScalarBlock

# The order of the windows on a new page. Among the curves, those of FIRST_GROUPS come first.
WINDOW_ORDER = (
    "curves",
    "images",
    "detections",
    "video",
    "audio",
    "predictions",
    "labels",
    "figure",
    "plot",
    "pr",
    "embedding",
    "mesh",
    "confusion",
    "others",
    "table",
    "text",
    "config",
    "histogram",
)
FIRST_GROUPS = ("train", "test", "val")
MAIN_METRIC = re.compile("loss|acc|error", re.IGNORECASE)  # curves of other metrics come after the images
# The windows that show the latest record of a tag and nothing else.
RECORD_WINDOWS: dict[type, tuple[str, ...]] = {
    Images: ("images",),
    Predictions: ("predictions", "labels"),
    ConfusionMatrix: ("confusion",),
    Histogram: ("histogram",),
    Curve: ("plot",),
    Figure: ("figure",),
    Audio: ("audio",),
    Video: ("video",),
    Detections: ("detections",),
    PRCurve: ("pr",),
    Embedding: ("embedding",),
    Mesh: ("mesh",),
    Table: ("table",),
}
WINDOW_BUILDERS = {**windows.WINDOW_BUILDERS, **MEDIA_WINDOW_BUILDERS}  # by kind
MAX_TEXTS = 100  # per tag; the latest are shown


class PageState:
    """The windows of one run. A window has a key, its kind and the tag that it shows, such as `images samples`.

    Attributes:
        changed: the keys of the windows that the server does not have in their current state.
    """

    def __init__(self) -> None:
        self.changed: set[str] = set()
        self._curves: dict[str, dict[str, DownsampledSeries]] = {}  # by group, by trace
        self._traces: dict[str, tuple[str, DownsampledSeries]] = {}  # by tag: the key of its window, and its points
        self._texts: dict[str, deque[Text]] = {}  # by tag
        self._records: dict[str, Record] = {}  # by key: what the other windows show
        self._numbers: dict[str, int] = {}  # by key: the windows are numbered in the order in which they appeared

    def add(self, records: Iterable[Record]) -> None:
        """Take in records. Nothing is drawn yet."""
        for record in records:
            if isinstance(record, Scalar):
                key, series = self._traces.get(record.tag) or self._add_trace(record.tag)
                series.add(record.step, record.value)
                self.changed.add(key)
            elif isinstance(record, Text):
                self._texts.setdefault(record.tag, deque(maxlen=MAX_TEXTS)).append(record)
                self._mark_changed(f"text {record.tag}")
            elif isinstance(record, Restart):
                self._restart(record.step)
            elif isinstance(record, Config):
                if not record.values and "config config" not in self._records:
                    continue  # no settings, no window
                self._records["config config"] = record
                self._mark_changed("config config")
            else:
                for kind in RECORD_WINDOWS[type(record)]:
                    key = f"{kind} {record.tag}"  # type: ignore[union-attr]
                    self._records[key] = record
                    self._mark_changed(key)

    def add_scalars(self, block: ScalarBlock) -> None:
        """Take in scalars. Nothing is drawn yet."""
        for tag, steps, values, _ in block.series():
            key, series = self._traces.get(tag) or self._add_trace(tag)
            series.extend(steps, values)
            self.changed.add(key)

    def forget(self, trace: str, step: int) -> None:
        """Remove the points at `step` and above from all traces of this name."""
        for group, traces in self._curves.items():
            if trace in traces:
                traces[trace].restart(step)
                self._mark_changed(f"curves {group}")

    def drop(self, key: str) -> str:
        """Remove what makes a window impossible to show; return its kind, tag, and step.

        Of a window of texts, that is the first one that cannot be drawn, or the newest, and the window stays changed if
        there are more. Of others, it is all that they show.
        """
        kind, _, tag = key.partition(" ")
        if kind == "text":
            texts = self._texts[tag]
            place = next((place for place, text in enumerate(texts) if not _can_be_drawn(text)), -1)
            what = _describe(texts[place])
            del texts[place]
            if texts:
                return what
            del self._texts[tag]
        elif kind == "curves":
            del self._curves[tag]
            self._traces = {tag: trace for tag, trace in self._traces.items() if trace[0] != key}
            what = f"the window of the scalars {tag!r}"
        else:
            what = _describe(self._records.pop(key))
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

    def message(self, key: str) -> windows.Message:
        """Draw a window and return the message that shows it, still without its env and id."""
        kind, _, tag = key.partition(" ")
        if kind == "curves":
            message = windows.curves(tag, self._curves[tag])
        elif kind == "text":
            message = windows.texts(tag, self._texts[tag])
        else:
            message = WINDOW_BUILDERS[kind](self._records[key])
        kind_rank, group_rank, number = self._position(key)
        return {**message, "opts": {**message["opts"], "order": kind_rank * 10**6 + group_rank * 10**4 + number}}

    def _add_trace(self, tag: str) -> tuple[str, DownsampledSeries]:
        """Add the trace of a tag to the window of its group; return the window's key and the trace's points."""
        group, _, trace = tag.rpartition("/")
        group = group or tag
        series = self._curves.setdefault(group, {}).setdefault(trace, DownsampledSeries())
        self._traces[tag] = f"curves {group}", series
        self._mark_changed(f"curves {group}")
        return self._traces[tag]

    def _restart(self, step: int) -> None:
        """Remove what a restart at `step` supersedes."""
        for group, traces in self._curves.items():
            for series in traces.values():
                series.restart(step)
            self._mark_changed(f"curves {group}")
        for tag, texts in self._texts.items():
            self._texts[tag] = deque([text for text in texts if text.step < step], maxlen=MAX_TEXTS)

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


def _describe(record: Record) -> str:
    """Return the kind of a record, with its tag and step if it has them."""
    tag, step = getattr(record, "tag", None), getattr(record, "step", None)
    named = f"the record {type(record).__name__}" + ("" if tag is None else f" {tag!r}")
    return named if step is None else f"{named} at step {step}"


def _can_be_drawn(text: Text) -> bool:
    try:
        windows.encode(windows.texts(text.tag, [text]))
    except Exception:
        return False
    return True
