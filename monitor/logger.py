"""`Logger`: what a training loop sees. Validate, snapshot, enqueue; nothing else happens on the training thread."""

from __future__ import annotations

import atexit
import logging
import os
import sys
import threading
import weakref
from collections.abc import Iterable, Mapping, Sequence
from time import monotonic, perf_counter, time
from typing import TYPE_CHECKING, Any

from monitor.alerts import Rule, StallRule, parse_rules
from monitor.capture import validation
from monitor.capture.log_methods import LogMethods
from monitor.capture.null_logger import NullLogger
from monitor.delivery.pipeline import Pipeline
from monitor.delivery.stats import Stats
from monitor.errors import SinkError
from monitor.events.framing import event_files
from monitor.records import Checkpoint, Config, Record
from monitor.runs.process import interrupt_main_thread
from monitor.runs.rank import process_rank
from monitor.runs.run import Run, exception_status
from monitor.sinks import registry
from monitor.sinks.run_status import RunStatusSink

if TYPE_CHECKING:
    from types import TracebackType

    from monitor.delivery.worker import History
    from monitor.sinks.base import Sink

log = logging.getLogger("monitor")

SETTLE_TIMEOUT_S = 1.0  # seconds of `close` that the watch over the metrics may take
INTERRUPTED_CLOSE_S = 0.5  # seconds
_live: weakref.WeakSet[Logger] = weakref.WeakSet()


class Logger(LogMethods):
    """Stream what a training run logs to any number of sinks.

    Log calls may come from any thread. They raise `TypeError` or `ValueError` on what cannot be logged, and nothing
    else; trouble in a sink is told through `logging.getLogger("monitor")` and never reaches the loop.
    """

    def __init__(
        self,
        run: str | os.PathLike[str] | Run,
        sinks: Iterable[str | Sink] = ("tensorboard", "console"),
        config: Mapping[str, Any] | None = None,
        *,
        alerts: Iterable[str | Rule | StallRule] = (),
        stop_on_alert: bool = False,
        every_rank: bool = False,
        strict: bool = False,
        close_timeout: float = 5.0,
    ) -> None:
        """Make the run directory and start one worker a sink.

        `run` is a directory, or a `Run`. `alerts` are rules such as `"test/loss > 2 * best for 3"`, see
        `monitor.alerts`; the first NaN or infinity is an alert without one. Each fires once: in the log, as a text in
        every sink, in `run.json`. With `stop_on_alert` the first one turns `should_stop` on. Of several processes of
        one training, under whatever launcher, rank 0 alone writes; the others' calls are checked and dropped, unless
        `every_rank` is true. `strict` makes `flush` and `close` raise `SinkError` where something was not delivered.
        `close_timeout` is in seconds, for the `with` statement and the interpreter's exit. Raises `SpecError` or
        `MissingExtra` for a sink that cannot be had, `AlertError` for an alert that is no rule, `OSError` for a
        directory that cannot be written.
        """
        if isinstance(sinks, str):
            raise TypeError(f"sinks is a list of sinks, such as [{sinks!r}], not the text {sinks!r}")
        if config is not None and not isinstance(config, Mapping):
            raise TypeError(f"config is a mapping of names to values, not {type(config).__name__}")
        super().__init__(self._refuse)
        made, rules = registry.make_all(sinks), parse_rules(alerts)
        if isinstance(run, Run) and config is not None:
            raise TypeError("config goes with a directory; a Run has its own")
        self._silent = process_rank() > 0 and not every_rank
        if self._silent:
            made, rules = [], []
        self.run = run if isinstance(run, Run) else Run.unwritten(run, config) if self._silent else Run(run, config)
        self._strict, self._close_timeout = strict, close_timeout
        self._closing = threading.RLock()
        self._closed = False
        self._lost: list[str] = []
        self._started = perf_counter()
        self._ended: float | None = None
        self._vitals = RunStatusSink(rules)
        self._stop_on_alert = stop_on_alert
        watch = None if self._silent else self._vitals
        self._pipeline = Pipeline(made, self.run, self._tick, watch=watch, history=_history_of(self.run))
        self._vitals.tell = self._pipeline.inbox.append
        if stop_on_alert:
            self._vitals.on_stall = interrupt_main_thread  # a loop that hangs asks nobody whether to stop
        self._put = self._nowhere if self._silent else self._pipeline.inbox.append
        if not self.run.is_resumed:
            self._put(Config(self.run.config, time()))
        atexit.register(self._at_exit)
        _live.add(self)

    # The rest of a logger's life

    @property
    def should_stop(self) -> bool:
        """Whether an alert fired that is to end the run; for the loop to ask. Does not block."""
        return self._stop_on_alert and self._vitals.stopped is not None

    def stats(self) -> Stats:
        """Return what became of the records and what logging cost. Does no I/O."""
        sinks = self._pipeline.stats()
        calls, seconds = self._cost(self._pipeline.tuples)
        wall = (self._ended or perf_counter()) - self._started
        return Stats(sinks, calls, seconds, seconds / wall if wall else 0.0)

    def flush(self, timeout: float = 10.0) -> bool:
        """Wait until all that was logged is visible in every sink, at most `timeout` seconds; tell whether it is.

        Raises `SinkError` under `strict` where it is not.
        """
        if self._closed:
            return True
        behind = self._pipeline.flush(timeout)
        self._report("flush", [f"{name} is behind" for name in behind])
        return not behind

    def checkpoint(self, name: str, step: int, timeout: float = 10.0) -> bool:
        """Mark the place of a checkpoint, so that `monitor.runs.resume.reopen` can go on from there.

        Call it before the checkpoint `name` counts: it waits, at most `timeout` seconds, until what was logged before
        is on disk, and tells whether it is. Without a sink that keeps it there it never is.
        """
        self._put(Checkpoint(validation.text(name, "a checkpoint's name"), validation.step(step), time()))
        durable = any(worker.sink.durable for worker in self._pipeline.workers)
        return durable and not self._pipeline.flush(timeout, durable=True)

    def close(self, timeout: float | None = None, status: str = "finished", error: str | None = None) -> bool:
        """Deliver what is left, at most `timeout` seconds, and end the run; tell whether all was delivered.

        `status` and `error` go into `run.json`. Idempotent. Raises `SinkError` under `strict` if something is missing.
        """
        with self._closing:
            if not self._closed:
                self._close(self._close_timeout if timeout is None else timeout, status, error)
                self._closed = True
            lost = self._lost
            self._lost = []
        self._report("close", lost)
        return not lost

    def _close(self, timeout: float, status: str, error: str | None) -> None:
        """Do what `close` does; where an exception of a signal handler breaks it off, a second call goes on."""
        self._put = self._refuse
        self._ended = self._ended or perf_counter()
        deadline = monotonic() + timeout
        self._pipeline.settle(min(timeout, SETTLE_TIMEOUT_S))  # an alert on the last values counts
        if self.should_stop and status in ("finished", "interrupted", "killed"):
            status, error = "stopped", self._vitals.stopped
        self.run.status = status
        self._pipeline.close(max(0.0, deadline - monotonic()))
        atexit.unregister(self._at_exit)
        _live.discard(self)
        stats = self.stats()
        self._lost = stats.undelivered()
        try:
            self.run.finish(status, error, logged={name: s._asdict() for name, s in stats.sinks.items()})
        except OSError as failure:
            log.warning("%s: its end could not be written: %s", self.run.path / "run.json", failure)
        for line in self._lost:
            log.warning("%s", line)
        if self.run.is_written:
            log.info("%s: %s; %s", self.run.path, status, stats)

    def __enter__(self) -> Logger:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is None:
            self._end("finished", None)
            return
        try:
            self._end(*exception_status(kind, value))
        except BaseException as failure:
            log.error("%s", failure)  # the exception of the loop is the one that must be seen

    def __reduce__(self) -> tuple[Any, ...]:
        """Become a no-op in another process, where a spawned `DataLoader` worker takes it along."""
        return NullLogger, ()

    # How it is done

    def _end(self, status: str, error: str | None) -> None:
        try:
            self.close(status=status, error=error)
        except SinkError:
            raise
        except BaseException:  # Ctrl-C, or a handler such as torch's for its workers: the run ends in good order first
            self.close(INTERRUPTED_CLOSE_S, status, error)
            raise

    def _refuse(self, record: Any) -> None:
        raise RuntimeError(f"this logger is closed; nothing more can be logged to {self.run.path}")

    def _nowhere(self, record: Any) -> None:
        """Take a record of a process that is not rank 0."""

    def _report(self, when: str, lines: list[str]) -> None:
        if lines and self._strict:
            raise SinkError(f"{when}: " + "; ".join(lines))

    def _at_exit(self) -> None:
        error = getattr(sys, "last_value", None)  # what ended the program, if nobody caught it
        status, why = exception_status(type(error), error) if error is not None else ("finished", None)
        try:
            self.close(status=status, error=why)
        except SinkError as failure:
            log.error("%s", failure)

    def _in_forked_child(self) -> None:
        """Become a no-op: the workers live in the parent, and so does what was logged before the fork."""
        self._put = NullLogger().warn_once
        self._closed = True
        atexit.unregister(self._at_exit)


def _history_of(run: Run) -> History | None:
    """Return what reads what a resumed run logged before; nothing for a new one."""
    if not run.is_resumed:
        return None

    files = event_files(run.path)  # before a sink adds one

    def read() -> Iterable[Sequence[Record]]:
        from monitor.events.reader import read_history

        return read_history(run.path, files=files)

    return read


def _after_fork() -> None:
    for logger in list(_live):
        logger._in_forked_child()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
