"""The steps that a window with a slider shows, bounded in number and in bytes."""

from __future__ import annotations

import io
from base64 import b64decode, b64encode
from typing import TYPE_CHECKING, Any

from PIL import Image

from monitor.render.charts.history import SLIDER_PX, Picture, picture_charts, with_slider
from monitor.sinks.visdom import windows
from monitor.thinning import most_redundant

if TYPE_CHECKING:
    from collections.abc import Callable

    from monitor.records import Record
    from monitor.sinks.visdom.windows import Message

MAX_STEPS = 30  # of one window
MAX_BYTES = 2**20  # of one window, beside the newest step
MAX_PAGE_BYTES = 2**23  # of all windows together
MAX_WAITING_BYTES = 2**24  # of the arrays of one window that are not drawn yet, beside the newest
MIN_STEPS = 12  # for which there is room: older pictures that are too large are encoded with loss
MIN_WINDOW_PX = 150  # of a picture: smaller ones, such as strips, have no room for a slider
JPEG_QUALITY = 80
REDUCED_PX = 480  # the width of older pictures that are too large even so


class _Entry:
    """One step: its record until it is drawn, and then the message that shows it."""

    __slots__ = ("is_compact", "message", "name", "nbytes", "number", "record", "step")

    def __init__(self, record: Any, number: int) -> None:
        self.record: Any = record
        self.name = f"the record {type(record).__name__} {record.tag!r} at step {record.step}"
        self.step: int = record.step
        self.number = number  # of the record, in the order in which they came
        self.message: Message | None = None
        self.nbytes = sum(getattr(field, "nbytes", 0) for field in record)
        self.is_compact = False


class WindowHistory:
    """The first, the newest, and of the other steps of a window an even choice."""

    def __init__(self, draw: Callable[[Any], Message], *, is_picture_first: bool) -> None:
        """Show records as `draw` shows them; with `is_picture_first`, a first picture stays one until there are two."""
        self._draw, self._is_picture_first = draw, is_picture_first
        self._entries: list[_Entry] = []
        self._count = 0
        self._is_superseded = False  # whether all steps are: the newest stays until there is another one
        self._room = MAX_STEPS  # steps for which there was room the last time that there were too many
        self._failing: _Entry | None = None  # that could not be drawn

    @property
    def nbytes(self) -> int:
        """The bytes of all steps: of the arrays of those that are not drawn yet, and of the messages of the others."""
        return sum(entry.nbytes for entry in self._entries)

    def add(self, record: Record) -> None:
        """Take in a record; it is drawn when the window is sent, if it is still to be shown then."""
        if self._is_superseded:
            self._entries, self._is_superseded = [], False
        entry = _Entry(record, self._count)
        self._count += 1
        self._entries = [other for other in self._entries if other.step != entry.step]
        self._entries.append(entry)
        while len(self._entries) > MAX_STEPS or self._waiting_bytes() > MAX_WAITING_BYTES:
            self._thin()

    def draw_with(self, draw: Callable[[Any], Message], *, is_picture_first: bool) -> None:
        """Show what is added from now on in another way, as `__init__` says."""
        self._draw, self._is_picture_first = draw, is_picture_first

    def restart(self, step: int) -> bool:
        """Remove the steps at `step` and above; tell whether there were any."""
        kept = [entry for entry in self._entries if entry.step < step]
        changed = len(kept) < len(self._entries)
        self._is_superseded = changed and not kept
        self._entries = kept or self._entries[-1:]
        return changed

    def drop(self) -> tuple[str, bool]:
        """Remove the step that cannot be drawn, or else the newest; return what it is, and whether there is more."""
        entry = self._failing or self._entries[-1]
        self._entries.remove(entry)
        self._failing = None
        return entry.name, bool(self._entries)

    def message(self, max_bytes: int = MAX_BYTES) -> Message:
        """Draw what is not drawn yet, and return the message of the window, of at most `max_bytes` for older steps."""
        self.draw(max_bytes)
        return self._combined([(entry.step, entry.message) for entry in self._entries if entry.message is not None])

    def draw(self, max_bytes: int = MAX_BYTES, *, with_newest: bool = True) -> None:
        """Draw what is not drawn yet; keep at most `max_bytes` of older steps."""
        while not with_newest and len(self._entries) > self._room:
            self._thin()  # before it is drawn for nothing
        for entry in self._entries if with_newest else self._entries[:-1]:
            if entry.message is None:
                self._failing = entry
                entry.message = self._draw(entry.record)
                entry.nbytes = len(windows.encode(entry.message))
                self._failing = None
                entry.record = None
        for entry in self._entries[:-1]:
            if not entry.is_compact:
                _compact(entry, max_bytes // MIN_STEPS)
        while len(self._entries) > 1 and sum(entry.nbytes for entry in self._entries[:-1]) > max_bytes:
            self._thin()
            self._room = len(self._entries)

    def _waiting_bytes(self) -> int:
        """Return how many bytes of arrays are not drawn yet, without the newest ones."""
        return sum(entry.nbytes for entry in self._entries[:-1] if entry.message is None)

    def _thin(self) -> None:
        """Leave out one step, never the newest."""
        place = most_redundant([entry.number for entry in self._entries]) if len(self._entries) > 2 else 0
        del self._entries[place]

    def _combined(self, messages: list[tuple[int, Message]]) -> Message:
        """Return one message with a slider for the steps."""
        newest = messages[-1][1]
        is_small = min(newest["opts"]["width"], newest["opts"]["height"]) < MIN_WINDOW_PX
        if self._is_picture_first and "layout" not in newest and (len(messages) == 1 or is_small):
            return newest
        messages = [pair for pair in messages if ("layout" in pair[1]) == ("layout" in newest)]
        shown = [message for _, message in messages]
        if "layout" not in newest:
            shown = picture_charts([_picture(message) for message in shown])
        opts = dict(newest["opts"])
        if not self._is_picture_first:
            opts["height"] += SLIDER_PX
        return {**with_slider([(step, figure) for (step, _), figure in zip(messages, shown)]), "opts": opts}


def _picture(message: Message) -> Picture:
    """Return the picture of a window, in the size that the window asks for."""
    opts = message["opts"]
    height = opts["height"] - windows.SPARE_HEIGHT_PX
    return Picture(message["data"][0]["content"]["src"], opts["width"], height)


def _compact(entry: _Entry, max_bytes: int) -> None:
    """Encode a picture of more than `max_bytes` with loss, and reduce it if that is not enough."""
    entry.is_compact = True
    message = entry.message
    if message is None or "layout" in message or entry.nbytes <= max_bytes:
        return
    kind, _, encoded = message["data"][0]["content"]["src"].partition(",")
    if "image/png" not in kind:
        return
    with Image.open(io.BytesIO(b64decode(encoded)), formats=["PNG"]) as opened:
        alpha = opened.convert("RGBA")
    picture = Image.new("RGB", alpha.size, "white")
    picture.paste(alpha, mask=alpha.getchannel("A"))
    source = _jpeg(picture)
    if len(source) > max_bytes:
        picture.thumbnail((REDUCED_PX, REDUCED_PX * 4))
        source = _jpeg(picture)
    entry.message = {**message, "data": [{"type": "image", "content": {"src": source}}]}
    entry.nbytes = len(source)


def _jpeg(picture: Image.Image) -> str:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=JPEG_QUALITY)
    return f"data:image/jpeg;base64,{b64encode(buffer.getvalue()).decode()}"
