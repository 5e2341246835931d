"""Draw a sink's pictures on a thread of their own, so that its scalars do not wait for them."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, NamedTuple

from monitor.capture.pending import PendingRecord
from monitor.delivery.workers.unpacking import Unpacked, Unpacker
from monitor.records import Scalar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from monitor.delivery.clock import Clock, Mailbox
    from monitor.delivery.workers.queue import Slot
    from monitor.records import Record
    from monitor.sinks.base import Sink


class Drawn(NamedTuple):
    """A record that was drawn.

    Attributes:
        slot: its slot.
        result: what `Sink.prepare` returned, for each record of a summary if the sink takes none; None if it raised
            an exception.
        error: the exception.
    """

    slot: Slot
    result: Any
    error: BaseException | None


class Drawer:
    """Call `Sink.prepare` for one array after the other. One thread submits and takes; `done` is its mailbox.

    Attributes:
        count: the arrays that were submitted and not taken yet.
        worked: how long its thread has used a processor, in seconds.
    """

    def __init__(self, name: str, sink: Sink, clock: Clock, done: Mailbox) -> None:
        self._name, self._sink, self._clock, self._done = name, sink, clock, done
        self._unpacker = Unpacker(sink.accepts)
        self._waiting: deque[Slot] = deque()
        self._drawn: deque[Drawn] = deque()
        self._mailbox = clock.mailbox()
        self._is_started = self._is_closed = False
        self.count = 0
        self.worked: Callable[[], float] = float

    def submit(self, slots: Sequence[Slot]) -> None:
        """Draw these, in their order. Does not block."""
        self._waiting.extend(slots)
        self.count += len(slots)
        if not self._is_started:
            self._is_started = True
            self._clock.start(self._name, self._main)
        self._mailbox.put()

    def take(self) -> list[Drawn]:
        """Return what was drawn since the last call, in the order of submission."""
        drawn = [self._drawn.popleft() for _ in range(len(self._drawn))]
        self.count -= len(drawn)
        return drawn

    def close(self) -> None:
        """Let the thread end after the picture at hand."""
        self._is_closed = True
        self._mailbox.put()

    def _main(self) -> None:
        self.worked = self._clock.work_meter()
        while not self._is_closed:
            if not self._waiting:
                self._mailbox.wait(float("inf"))
                continue
            slot = self._waiting.popleft()
            assert isinstance(slot.item, PendingRecord)
            try:
                drawn = Drawn(slot, self._prepare(slot.item.resolve()), None)
            except BaseException as error:
                drawn = Drawn(slot, None, error)
            self._drawn.append(drawn)
            self._done.put()

    def _prepare(self, record: Record) -> Any:
        prepare = self._sink.prepare
        unpacked = self._unpacker.unpack(record)
        if not isinstance(unpacked, Unpacked):
            return prepare(unpacked)
        return unpacked._replace(records=[item if type(item) is Scalar else prepare(item) for item in unpacked.records])
