"""What the windows of one run show besides curves: texts, and the newest record of each tag, or some of its steps."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from monitor.metrics import TIMELINE_PREFIX
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
    Table,
    Text,
    Video,
)
from monitor.sinks.visdom import record_windows, windows
from monitor.sinks.visdom.earlier_pictures import add_picture, empty_history
from monitor.sinks.visdom.history import MAX_BYTES, MAX_PAGE_BYTES, WindowHistory
from monitor.sinks.visdom.media_windows import MEDIA_WINDOW_BUILDERS
from monitor.sinks.visdom.timeline_window import timeline

if TYPE_CHECKING:
    from collections.abc import Callable

# The windows of a record.
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
WINDOW_BUILDERS: dict[str, Callable[[Any], windows.Message]] = {  # by kind
    **record_windows.WINDOW_BUILDERS,
    **MEDIA_WINDOW_BUILDERS,
    "timeline": timeline,
}
HISTORIES = frozenset({"images", "detections", "predictions", "confusion", "histogram"})  # with a slider for the steps
PICTURES = frozenset({"images", "detections", "predictions", "confusion"})  # whose steps an event file has as pictures
GUESSABLE = ("predictions", "detections", "confusion", "figure", "plot")  # which an event file has as images
OFTEN_ONCE = frozenset({"images", "detections"})  # they get their slider with the second step
MAX_TEXTS = 100  # per tag; the latest are shown


class RecordState:
    """The windows of texts and of records. A window has a key, its kind and the tag that it shows.

    Attributes:
        gone: the keys of windows whose pictures another window shows now.
    """

    def __init__(self) -> None:
        self._texts: dict[str, deque[Text]] = {}  # by tag
        self._records: dict[str, Record] = {}  # by key
        self._histories: dict[str, WindowHistory] = {}  # by key
        self.gone: set[str] = set()
        self._guessed: set[str] = set()  # tags whose pictures are of an earlier process

    def recall(self, picture: Images) -> list[str]:
        """Take in what an event file has of an earlier process; return the keys of the windows that changed.

        They are shown as images until the next record of the tag tells what they are.
        """
        if len(picture.images) != 1 or picture.tag.startswith(TIMELINE_PREFIX):  # it comes with its predictions
            return []
        key = f"images {picture.tag}"
        self._guessed.add(picture.tag)
        history = self._histories.setdefault(key, empty_history())
        if add_picture(history, picture, self._max_bytes()):
            return [key]
        del self._histories[key]
        return []

    def add(self, record: Record) -> list[str]:
        """Take in a record; return the keys of the windows that changed."""
        if isinstance(record, Text):
            self._texts.setdefault(record.tag, deque(maxlen=MAX_TEXTS)).append(record)
            return [f"text {record.tag}"]
        if isinstance(record, Config):
            if not record.values and "config config" not in self._records:
                return []  # no settings, no window
            self._records["config config"] = record
            return ["config config"]
        named: Any = record
        kinds = RECORD_WINDOWS[type(record)]
        if isinstance(record, Predictions) and record.timeline is not None:
            kinds += ("timeline",)
        earlier = self._earlier(record)
        for kind in kinds:
            key = f"{kind} {named.tag}"
            if kind in HISTORIES:
                if key not in self._histories:
                    self._histories[key] = self._history(kind, earlier)
                self._histories[key].add(record)
            else:
                self._records[key] = record
        return [f"{kind} {named.tag}" for kind in kinds]

    def other_keys(self, key: str) -> list[str]:
        """Return the keys of the windows that may show the same as a window whose kind is guessed; none for others."""
        kind, _, tag = key.partition(" ")
        return [f"{other} {tag}" for other in GUESSABLE] if kind == "images" and tag in self._guessed else []

    def restart(self, step: int) -> list[str]:
        """Remove the texts and the steps at `step` and above; return the keys of the windows whose steps changed."""
        for tag, texts in self._texts.items():
            self._texts[tag] = deque([text for text in texts if text.step < step], maxlen=MAX_TEXTS)
        return [key for key, history in self._histories.items() if history.restart(step)]

    def drop(self, key: str) -> tuple[str, bool]:
        """Remove what makes a window impossible to show; return its kind, tag, and step, and whether there is more.

        Of a window of several texts or steps, that is the first one that cannot be drawn, or the newest. Of others, it
        is all that they show.
        """
        kind, _, tag = key.partition(" ")
        if kind in HISTORIES:
            what, has_more = self._histories[key].drop()
            if not has_more:
                del self._histories[key]
            return what, has_more
        if kind != "text":
            return _describe(self._records.pop(key)), False
        texts = self._texts[tag]
        place = next((place for place, text in enumerate(texts) if not _can_be_drawn(text)), -1)
        what = _describe(texts[place])
        del texts[place]
        if not texts:
            del self._texts[tag]
        return what, bool(texts)

    def message(self, key: str) -> windows.Message:
        """Draw a window."""
        kind, _, tag = key.partition(" ")
        if kind == "text":
            return record_windows.texts(tag, self._texts[tag])
        if kind in HISTORIES:
            return self._histories[key].message(self._max_bytes())
        return WINDOW_BUILDERS[kind](self._records[key])

    def _max_bytes(self) -> int:
        """Return how many bytes of older steps one window may have."""
        return min(MAX_BYTES, MAX_PAGE_BYTES // max(1, len(self._histories)))

    def _earlier(self, record: Record) -> WindowHistory | None:
        """Return what earlier processes logged, if this is the first record of its tag since, and tells what it is."""
        tag = getattr(record, "tag", None)
        if tag not in self._guessed or isinstance(record, Histogram):
            return None
        self._guessed.discard(tag)
        if not isinstance(record, Images):
            self.gone.add(f"images {tag}")
        return self._histories.pop(f"images {tag}", None)

    def _history(self, kind: str, earlier: WindowHistory | None) -> WindowHistory:
        """Return the steps of a new window, which begin with those of earlier processes of the run."""
        is_picture_first = kind in OFTEN_ONCE
        if earlier is None or kind not in PICTURES:
            return WindowHistory(WINDOW_BUILDERS[kind], is_picture_first=is_picture_first)
        earlier.draw_with(WINDOW_BUILDERS[kind], is_picture_first=is_picture_first)
        return earlier


def _describe(record: Record) -> str:
    """Return the kind of a record, with its tag and step if it has them."""
    tag, step = getattr(record, "tag", None), getattr(record, "step", None)
    named = f"the record {type(record).__name__}" + ("" if tag is None else f" {tag!r}")
    return named if step is None else f"{named} at step {step}"


def _can_be_drawn(text: Text) -> bool:
    try:
        windows.encode(record_windows.texts(text.tag, [text]))
    except Exception:
        return False
    return True
