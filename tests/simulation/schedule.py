"""Threads that take turns: one runs at a time, and a seed decides which, down to single lines of the delivery's code.

The threads are real ones, so the code that is tested is the real one; but each waits for its turn, and gives it up at
each line of the delivery with a small probability, and wherever it waits, sleeps, or finds a lock taken. Time stands
still while a thread can run, and jumps to the next deadline when none can.
"""

from __future__ import annotations

import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import monitor
from monitor.delivery.clock import Clock

if TYPE_CHECKING:
    import random
    from collections.abc import Callable
    from types import FrameType, TracebackType

TRACED = (str(Path(monitor.__file__).parent / "delivery"), str(Path(monitor.__file__).parent / "capture/calls"))
FOREVER = float("inf")


class Aborted(BaseException):
    """Ends the threads of a simulation that failed."""


class Task:
    """A thread of the simulation."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.turn = threading.Semaphore(0)
        self.deadline: float | None = None  # of waiting; None: it can run
        self.wakes: Callable[[], bool] = bool  # what it waits for, beside the deadline
        self.is_done = False

    def can_run(self, now: float) -> bool:
        """Tell whether it can run at this time."""
        return not self.is_done and (self.deadline is None or self.deadline <= now or self.wakes())


class SimMailbox:
    """As `Mailbox`."""

    def __init__(self, schedule: Schedule) -> None:
        self._schedule, self._is_full = schedule, False

    def put(self) -> None:
        """Wake the waiting thread."""
        self._is_full = True
        self._schedule.pause()

    def wait(self, timeout: float) -> None:
        """Wait for `put`."""
        self._schedule.wait(self._schedule.time + timeout, lambda: self._is_full)
        self._is_full = False


class SimLock:
    """A lock that only one task holds."""

    def __init__(self, schedule: Schedule) -> None:
        self._schedule = schedule
        self._owner: Task | None = None

    def __enter__(self) -> None:
        assert self._owner is not self._schedule.current, "a lock is taken twice by one thread"
        self._schedule.wait(FOREVER, lambda: self._owner is None)
        self._owner = self._schedule.current

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._owner = None


class Schedule(Clock):
    """Time, threads, locks, and waiting; see `Clock`.

    Attributes:
        time: seconds since the start.
        current: the task whose turn it is.
        on_line: called on the main task at some lines of the traced code; a signal handler may run there.
    """

    def __init__(self, random: random.Random, switching: float) -> None:
        self._random, self._switching = random, switching
        self.time = 0.0
        self.current = self._main = Task("main")
        self._tasks = [self.current]
        self.failure: BaseException | None = None
        self.on_line: Callable[[], None] = lambda: None
        self.switches = 0

    def now(self) -> float:
        """Return the simulated time."""
        return self.time

    def mailbox(self) -> Any:
        """Return a mailbox of the simulation."""
        return SimMailbox(self)

    def lock(self) -> Any:
        """Return a lock of the simulation."""
        return SimLock(self)

    def sleep(self, seconds: float) -> None:
        """Wait in simulated time."""
        self.wait(self.time + seconds, bool)

    def work_meter(self) -> Callable[[], float]:
        """Return a function that does not know how long the task has worked."""
        return float

    def start(self, name: str, body: Callable[[], None]) -> None:
        """Add a task."""
        task = Task(name)
        self._tasks.append(task)

        def run() -> None:
            task.turn.acquire()
            sys.settrace(self._trace)
            try:
                if self.failure is None:
                    body()
            except Aborted:
                pass
            except BaseException as error:
                self.failure = self.failure or error
            finally:
                sys.settrace(None)
                task.is_done = True
                self.current = self._main if self.failure is not None else self._choose()
                self.current.turn.release()

        thread = threading.Thread(target=run, name=name, daemon=True)
        task.thread = thread  # type: ignore[attr-defined]
        thread.start()
        self.pause()

    def run(self, body: Callable[[], None]) -> None:
        """Run the main task, and then the others to their end."""
        before = sys.gettrace()
        sys.settrace(self._trace)
        try:
            body()
            self.wait(self.time + 10_000, lambda: all(task.is_done for task in self._tasks[1:]))
            left = [task.name for task in self._tasks[1:] if not task.is_done]
            assert not left, f"these threads never end: {left}"
        except Aborted:
            pass
        except BaseException as error:
            self.failure = self.failure or error
        finally:
            sys.settrace(before)
        for task in self._tasks[1:]:
            if not task.is_done:
                self.fail(f"{task.name} never ends")
                task.turn.release()
            task.thread.join(5)  # type: ignore[attr-defined]
        if self.failure is not None:
            raise self.failure

    def fail(self, message: str) -> None:
        """Note that an invariant does not hold; the simulation ends at the next line."""
        self.failure = self.failure or AssertionError(f"{message}, at {self.time:.3f} s")

    def pause(self) -> None:
        """Let another task run, perhaps."""
        if self._random.random() < 0.3:
            self._switch()

    def stall(self) -> None:
        """Let another task run, perhaps for long."""
        if self._random.random() < 0.05:
            self.sleep(self._random.choice([0.01, 3.0, 30.0]))
        self.pause()

    def wait(self, deadline: float, wakes: Callable[[], bool]) -> None:
        """Let others run until `wakes` is true or the deadline is there."""
        task = self.current
        task.deadline, task.wakes = deadline, wakes
        while not wakes() and self.time < deadline:
            self._switch()
        task.deadline = None

    def _trace(self, frame: FrameType, _event: str, _argument: object) -> Any:
        if not frame.f_code.co_filename.startswith(TRACED):
            return None
        return self._trace_line

    def _trace_line(self, _frame: FrameType, event: str, _argument: object) -> Any:
        if event == "line" and self.failure is None and self._random.random() < self._switching:
            if self.current is self._main:
                self.on_line()
            self._switch()
        return self._trace_line

    def _switch(self) -> None:
        """Give the turn to a task that can run, perhaps to the same."""
        task = self.current
        if self.failure is not None:
            raise Aborted
        following = self._choose()
        if following is not task:
            self.current = following
            following.turn.release()
            task.turn.acquire()
        if self.failure is not None:
            raise Aborted

    def _choose(self) -> Task:
        """Return a task that can run; let time pass until there is one."""
        self.switches += 1
        ready = [task for task in self._tasks if task.can_run(self.time)]
        if not ready:
            deadlines = [task.deadline for task in self._tasks if not task.is_done and task.deadline is not None]
            soonest = min(deadlines, default=FOREVER)
            if soonest == FOREVER:
                waiting = [task.name for task in self._tasks if not task.is_done]
                self.fail(f"deadlock: {waiting} wait for each other")
                return self._main
            self.time = max(self.time, soonest)
            ready = [task for task in self._tasks if task.can_run(self.time)]
        return self._random.choice(ready)
