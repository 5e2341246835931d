"""Ask a worker, from any thread and inside a signal handler, to deliver what was logged, and wait for it."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from monitor.delivery.clock import Clock, Mailbox
    from monitor.delivery.workers.counters import Counters


class Request:
    """Wait until everything that was logged before is settled."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._mailbox = clock.mailbox()
        self._answer: bool | None = None
        self.target: int | None = None  # the number of records that must be settled

    def answer(self, *, is_settled: bool) -> None:
        """Let the waiting thread go on."""
        self._answer = is_settled
        self._mailbox.put()

    def wait(self, deadline: float) -> bool:
        """Block until the answer, at most until `deadline`; tell whether all is settled."""
        while self._answer is None and (left := deadline - self._clock.now()) > 0:
            self._mailbox.wait(left)
        return self._answer is True


class Requests:
    """The requests to one worker: `ask` and `wait_for_end` are for any thread, the rest is for the worker's."""

    def __init__(self, clock: Clock, mailbox: Mailbox, counters: Counters) -> None:
        self._clock, self._mailbox, self._counters = clock, mailbox, counters
        self._new: deque[Request] = deque()
        self._taken: list[Request] = []
        self._ends: deque[Request] = deque()  # of those that wait for the end
        self.has_ended = False

    def ask(self) -> Request:
        """Ask for everything logged so far; the request tells when it is settled. Does not block."""
        request = Request(self._clock)
        self._new.append(request)
        self._mailbox.put()
        if self.has_ended:
            request.answer(is_settled=not self._counters.stats.pending)
        return request

    def wait_for_end(self, deadline: float) -> bool:
        """Block until the worker has ended, at most until `deadline`; tell whether it has."""
        end = Request(self._clock)
        self._ends.append(end)
        return self.has_ended or end.wait(deadline)

    def __bool__(self) -> bool:
        """Tell whether there are new requests."""
        return bool(self._new)

    def take(self) -> list[Request]:
        """Return the new requests; what was logged before them is in the inbox by now."""
        requests = [self._new.popleft() for _ in range(len(self._new))]
        self._taken += requests
        return requests

    def answer(self) -> None:
        """Answer the requests whose target is settled."""
        settled = self._counters.settled
        for request in [r for r in self._taken if r.target is not None and settled >= r.target]:
            request.answer(is_settled=True)
            self._taken.remove(request)

    def end(self) -> None:
        """Answer all requests, because nothing more will be delivered."""
        self.answer()
        self.has_ended = True
        for request in self._taken + self.take():
            request.answer(is_settled=not self._counters.stats.pending)
        for end in list(self._ends):
            end.answer(is_settled=True)
