"""`Logger`: what a training loop sees. Validate, snapshot, enqueue; nothing else happens on the training thread."""

from __future__ import annotations

import atexit
import logging
import os
import sys
import threading
import weakref
from collections.abc import Iterable, Mapping, Sequence
from time import perf_counter, time
from types import TracebackType
from typing import Any

from monitor import entries
from monitor.elsewhere import Elsewhere
from monitor.errors import SinkError
from monitor.pipeline import Pipeline
from monitor.records import Config
from monitor.run import Run, outcome
from monitor.sinks import registry
from monitor.sinks.base import Sink
from monitor.stats import Stats

log = logging.getLogger("monitor")

_BOUND = 2**63  # of a step
_live: weakref.WeakSet[Logger] = weakref.WeakSet()


class Logger:
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
        strict: bool = False,
        close_timeout: float = 5.0,
    ) -> None:
        """Make the run directory and start one worker a sink.

        `run` is a directory, or a `Run`. `strict` makes `flush` and `close` raise `SinkError` where something was
        not delivered. `close_timeout` is in seconds, for the `with` statement and the interpreter's exit. Raises
        `SpecError` or `MissingExtra` for a sink that cannot be had, `OSError` for a directory that cannot be written.
        """
        if isinstance(sinks, str):
            raise TypeError(f"sinks is a list of sinks, such as [{sinks!r}], not the text {sinks!r}")
        if config is not None and not isinstance(config, Mapping):
            raise TypeError(f"config is a mapping of names to values, not {type(config).__name__}")
        made = registry.make_all(sinks)
        if isinstance(run, Run) and config is not None:
            raise TypeError("config goes with a directory; a Run has its own")
        self.run = run if isinstance(run, Run) else Run(run, config)
        self._strict, self._close_timeout = strict, close_timeout
        self._tags: set[str] = set()  # checked once, then known
        self._tensor: Any = None  # torch's, once it is there
        self._closing = threading.Lock()
        self._closed = False
        self._started = perf_counter()
        self._ended: float | None = None
        self._sampling = False
        self._sampled = self._slow = self._slow_tuples = 0
        self._sampled_seconds = self._slow_seconds = 0.0
        self._pipeline = Pipeline(made, self.run, self._tick)
        self._put = self._pipeline.inbox.append
        self._put(Config(self.run.config, time()))
        atexit.register(self._at_exit)
        _live.add(self)

    # Log calls

    def scalar(self, tag: str, value: Any, step: int) -> None:
        """Add a point to the curve `tag`: a number, or an array or tensor of one element, on any device.

        A CPU value is read now; a value on a GPU is cloned there and read by a worker, so the call never waits for it.
        Raises `TypeError` or `ValueError` for anything else, a tag that is no text, or a step that is no int.
        """
        try:
            read = value
            if type(value) is self._tensor and not value.is_cuda:
                read = value.item()
            if type(read) is float and type(step) is int and tag in self._tags and -_BOUND <= step < _BOUND:
                if self._sampling:
                    self._sample(self.scalar, tag, value, step)
                else:
                    self._put((tag, read, step, time()))
                return
        except (TypeError, RuntimeError):
            pass  # an unhashable tag, a tensor of several elements: told below
        self._measured(entries.scalar, tag, value, step)

    def scalars(self, values: Mapping[str, Any], step: int) -> None:
        """Add a point to each of several curves at one step; as `scalar`, and all or none of them."""
        try:
            tags, tensor = self._tags, self._tensor
            if type(values) is dict and type(step) is int and -_BOUND <= step < _BOUND:
                read = values.copy()
                for tag, value in values.items():
                    if type(value) is tensor and not value.is_cuda:
                        value = read[tag] = value.item()
                    if type(value) is not float or tag not in tags:
                        break
                else:
                    if self._sampling:
                        self._sample(self.scalars, values, step)
                    else:
                        self._put((None, read, step, time()))
                    return
        except (TypeError, RuntimeError):
            pass
        self._measured(entries.scalars, values, step)

    def images(self, tag: str, images: Any, step: int) -> None:
        """Show a grid of pictures: N×C×H×W (or N×H×W), C of 1 or 3, uint8, bool, or float in [0, 1] (clipped).

        The first 256 are kept. Raises `TypeError` or `ValueError` for any other shape or dtype.
        """
        self._measured(entries.images, tag, images, step)

    def predictions(
        self, tag: str, images: Any, predicted: Any, target: Any, step: int, names: Sequence[str] = ()
    ) -> None:
        """Show samples with their predicted and true classes; wrong ones are marked.

        `images` as in `images`; `predicted` and `target` are N integers each, `names` the classes' names.
        """
        self._measured(entries.predictions, tag, images, predicted, target, step, names)

    def text(self, tag: str, text: str, step: int) -> None:
        """Add a note, shown as plain text."""
        self._measured(entries.text, tag, text, step)

    def histogram(self, tag: str, values: Any, step: int) -> None:
        """Show the distribution of the values of an array or tensor of real numbers, of any shape but empty."""
        self._measured(entries.histogram, tag, values, step)

    def confusion_matrix(self, tag: str, counts: Any, step: int, names: Sequence[str] = ()) -> None:
        """Show K×K integers: how often the class of the row was taken for the class of the column."""
        self._measured(entries.confusion_matrix, tag, counts, step, names)

    def curve(
        self,
        tag: str,
        x: Any,
        y: Any,
        step: int,
        x_title: str = "x",
        y_title: str = "y",
        *,
        level: float | None = None,
        points: tuple[Any, Any] | None = None,
    ) -> None:
        """Show an x–y plot, replaced as a whole at the next call; `x` and `y` hold the same number of real numbers.

        `level` draws a line across at that height; `points` are data to show beside the curve, as their x and y.
        """
        self._measured(entries.curve, tag, x, y, step, x_title, y_title, level, points)

    def progress(self, epoch: int, epochs: int, step: int, steps: int) -> None:
        """Say that `epoch` of `epochs` are done, at `step` of `steps`; the console shows a line for it."""
        self._measured(entries.progress, epoch, epochs, step, steps)

    # The rest of a logger's life

    def stats(self) -> Stats:
        """Return what became of the records and what logging cost. Does no I/O."""
        sinks = self._pipeline.stats()
        fast = self._pipeline.tuples - self._slow_tuples
        seconds = self._slow_seconds + (fast * self._sampled_seconds / self._sampled if self._sampled else 0.0)
        wall = (self._ended or perf_counter()) - self._started
        return Stats(sinks, fast + self._slow, seconds, seconds / wall if wall else 0.0)

    def flush(self, timeout: float = 10.0) -> bool:
        """Wait until all that was logged is visible in every sink, at most `timeout` seconds; tell whether it is.

        Raises `SinkError` under `strict` where it is not.
        """
        if self._closed:
            return True
        behind = self._pipeline.flush(timeout)
        self._report("flush", [f"{name} is behind" for name in behind])
        return not behind

    def close(self, timeout: float | None = None, status: str = "finished", error: str | None = None) -> bool:
        """Deliver what is left, at most `timeout` seconds, and end the run; tell whether all was delivered.

        `status` and `error` go into `run.json`. Idempotent. Raises `SinkError` under `strict` if something is missing.
        """
        with self._closing:
            if self._closed:
                return True
            self._closed = True
        self._put = self._refuse
        self._ended = perf_counter()
        self.run.status = status
        self._pipeline.close(self._close_timeout if timeout is None else timeout)
        atexit.unregister(self._at_exit)
        _live.discard(self)
        stats = self.stats()
        lost = stats.undelivered()
        try:
            self.run.finish(status, error, logged={name: s._asdict() for name, s in stats.sinks.items()})
        except OSError as failure:
            log.warning("%s: its end could not be written: %s", self.run.path / "run.json", failure)
        for line in lost:
            log.warning("%s", line)
        log.info("%s: %s; %s", self.run.path, status, stats)
        self._report("close", lost)
        return not lost

    def __enter__(self) -> Logger:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
            return
        status, error = outcome(kind, value)
        try:
            self.close(status=status, error=error)
        except SinkError as failure:
            log.error("%s", failure)  # the exception of the loop is the one that must be seen

    def __reduce__(self) -> tuple[Any, ...]:
        """Become a no-op in another process, where a spawned `DataLoader` worker takes it along."""
        return Elsewhere, ()

    # How it is done

    def _measured(self, call: Any, *arguments: Any) -> None:
        """Do a call off the fast path, all or nothing, and note how long it took."""
        started = perf_counter()
        if self._tensor is None:
            self._tensor = getattr(sys.modules.get("torch"), "Tensor", None)
        for entry in call(self._tags, *arguments):
            self._put(entry)
            self._slow_tuples += type(entry) is tuple
        self._slow_seconds += perf_counter() - started
        self._slow += 1

    def _sample(self, call: Any, *arguments: Any) -> None:
        """Measure one call of the fast path, to stand for those that are too cheap to measure."""
        self._sampling = False
        started = perf_counter()
        call(*arguments)
        self._sampled_seconds += perf_counter() - started
        self._sampled += 1

    def _tick(self) -> None:
        self._sampling = True  # the next scalar call is measured

    def _refuse(self, record: Any) -> None:
        raise RuntimeError(f"this logger is closed; nothing more can be logged to {self.run.path}")

    def _report(self, when: str, lines: list[str]) -> None:
        if lines and self._strict:
            raise SinkError(f"{when}: " + "; ".join(lines))

    def _at_exit(self) -> None:
        error = getattr(sys, "last_value", None)  # what ended the program, if nobody caught it
        status, why = outcome(type(error), error) if error is not None else ("finished", None)
        try:
            self.close(status=status, error=why)
        except SinkError as failure:
            log.error("%s", failure)

    def _in_forked_child(self) -> None:
        """Become a no-op: the workers live in the parent, and so does what was logged before the fork."""
        self._put = Elsewhere().warn_once
        self._closed = True
        atexit.unregister(self._at_exit)


def _after_fork() -> None:
    for logger in list(_live):
        logger._in_forked_child()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
