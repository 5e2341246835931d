"""Time, threads, locks, and waiting, in one place: a simulation of the delivery brings its own."""

from __future__ import annotations

import threading
import time
from contextlib import AbstractContextManager
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

Lock = AbstractContextManager[Any]


class Mailbox:
    """Wakes the one thread that waits for it. Any thread may put, also inside a signal handler.

    Nothing else is safe there: the handler may have interrupted its own thread inside a `threading.Event` or
    `Condition`, whose lock it would then wait for forever.
    """

    def __init__(self) -> None:
        self._messages: SimpleQueue[None] = SimpleQueue()

    def put(self) -> None:
        """Wake the waiting thread, or the next one that waits. Does not block."""
        self._messages.put(None)

    def wait(self, timeout: float) -> None:
        """Block until `put` was called since the last wait, for at most `timeout` seconds."""
        try:
            self._messages.get(timeout=max(0.0, min(timeout, threading.TIMEOUT_MAX)))
            while True:
                self._messages.get_nowait()
        except Empty:
            pass


class Clock:
    """The real one."""

    def now(self) -> float:
        """Return the monotonic time in seconds."""
        return time.monotonic()

    def mailbox(self) -> Mailbox:
        """Return a new mailbox."""
        return Mailbox()

    def lock(self) -> Lock:
        """Return a new lock, which is not reentrant."""
        return threading.Lock()

    def sleep(self, seconds: float) -> None:
        """Block for so long, and let other threads run."""
        time.sleep(seconds)

    def start(self, name: str, body: Callable[[], None]) -> None:
        """Run `body` on a new thread, which does not keep the program from ending."""
        threading.Thread(target=body, name=name, daemon=True).start()

    def work_meter(self) -> Callable[[], float]:
        """Return a function that says how long the calling thread has used a processor, in seconds; 0 if nobody knows.

        Any thread may call it, also after the thread has ended.
        """
        find = getattr(time, "pthread_getcpuclockid", None)
        if find is None:
            return float
        clock_id = find(threading.get_ident())

        def read() -> float:
            try:
                return time.clock_gettime(clock_id)
            except OSError:  # the thread has ended
                return 0.0

        return read


CLOCK = Clock()
