"""`FileWriter`: the part of a writer that owns its directory, its event files, and the `Logger` behind them."""

from __future__ import annotations

import contextlib
import os
import threading
import time
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any

from monitor.integrations.writer.event_writer import EventWriter
from monitor.integrations.writer.loggers import SilentLogger, WriterLogger
from monitor.integrations.writer.names import Names
from monitor.integrations.writer.summaries import capture
from monitor.integrations.writer.summaries.encoding import summary_record
from monitor.integrations.writer.summaries.raw_events import event_record, graph_records
from monitor.records import Restart
from monitor.rules.alerts import parse_rules
from monitor.sinks.registry import as_list

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from monitor.integrations.writer.sink import WriterFileSink
    from monitor.rules.alerts import Rule, StallRule
    from monitor.sinks.base import Sink

MAX_STEP = 2**63
_open_writers: weakref.WeakSet[FileWriter] = weakref.WeakSet()


class FileWriter:
    """Log to a directory as the stock classes of this name do, through a `Logger`.

    The `Logger` is made when something is logged, and made anew after `close` and in a forked child.

    Attributes:
        base: the working directory when it was made; the program may change it, and the files stay together.
        names: the names of the scalars.
        ready: the logger if it can be used as it is, without default metadata; None otherwise.
        settings: the hyperparameters that the run's own file holds, or None.
    """

    def __init__(
        self,
        logdir: Any,
        max_queue: int = 10,
        flush_secs: float = 120,
        filename_suffix: str = "",
        *,
        purge_step: int | None = None,
        write_to_disk: bool = True,
        sinks: Iterable[str | Sink] | None = None,
        alerts: Iterable[str | Rule | StallRule] = (),
        children: str = "off",
    ) -> None:
        """Make the directory. `max_queue` and `flush_secs` change nothing: what is logged is on disk in a second.

        Args:
            logdir: the directory.
            max_queue: ignored.
            flush_secs: ignored.
            filename_suffix: the end of the names of the event files.
            purge_step: TensorBoard drops what is in the directory already, from this step on.
            write_to_disk: false for a writer that checks its calls and logs nothing.
            sinks: as for a `Logger`, where `"tensorboard"` stands for the event files of this writer. By default these
                and the sinks in `MONITOR_SINKS`.
            alerts: as for a `Logger`.
            children: as for a `Logger`; with "off", a forked child writes a file of its own.
        """
        self.base = _working_directory()
        self._logdir = os.fspath(logdir) if isinstance(logdir, os.PathLike) else str(logdir)
        self.max_queue, self.flush_secs = max_queue, flush_secs
        self._suffix, self._purge_step, self._writes = filename_suffix or "", purge_step, bool(write_to_disk)
        self._sinks, self._alerts, self._children = as_list(sinks), parse_rules(alerts), children
        self.names = Names()
        self.ready: WriterLogger | SilentLogger | None = None
        self.settings: dict[str, Any] | None = None
        self._log: WriterLogger | SilentLogger | None = None
        self._file: WriterFileSink | None = None
        self._finalizer: Any = None
        self._default_metadata: dict[str, Any] = {}
        self._lock = threading.RLock()
        if self._writes:
            Path(self._logdir).mkdir(parents=True, exist_ok=True)
        _open_writers.add(self)

    def get_logdir(self) -> str:
        """Return the directory."""
        return self._logdir

    @property
    def event_writer(self) -> EventWriter:
        """What stock code calls to write events."""
        return EventWriter(self)

    @property
    def path(self) -> str | None:
        """The event file, which is made if it is not there yet; None without one. Blocks until it is there."""
        self.logger()
        self.flush()
        return str(self._file.path) if self._file is not None and self._file.path is not None else None

    def step_and_time(self, step: Any, walltime: Any) -> tuple[int, float]:
        """Return the step and the time of an event, as the stock classes find them.

        Raises `TypeError` or `ValueError` if they are no numbers, or the step does not fit in 64 bits.
        """
        default = self._default_metadata
        step = default.get("global_step") if step is None else step
        walltime = default.get("walltime") if walltime is None else walltime
        if isinstance(walltime, str):
            raise TypeError(f"walltime must be a number, not {walltime!r}")
        number = 0 if step is None else int(step)
        if not -MAX_STEP <= number < MAX_STEP:
            raise ValueError(f"Value out of range: {number}")
        return number, time.time() if walltime is None else float(walltime)

    def put(self, call: Callable[..., Any], *arguments: Any) -> None:
        """Log the entries that `call` returns for these arguments, all or nothing; it raises what `call` raises."""
        while True:
            log = self.logger()
            try:
                log.put(call, *arguments)
                return
            except RuntimeError:
                if not log.is_over:
                    raise

    def logger(self) -> WriterLogger | SilentLogger:
        """Return the logger, made anew if there is none that is open. Raises `OSError`."""
        log = self._log
        if log is None or log.is_over:
            with self._lock:
                if self._log is None or self._log.is_over:
                    self._open()
                log = self._log
                assert log is not None
        return log

    # What stock code calls

    def add_event(self, event: Any, step: Any = None, walltime: Any = None) -> None:
        """Add an `Event` message of either package, at a step and a time. It is not changed afterwards."""
        number, event.wall_time = self.step_and_time(step, walltime)
        if step is not None or self._default_metadata.get("global_step") is not None:
            event.step = number
        self.put(capture.ready, event_record(event))

    def add_summary(self, summary: Any, global_step: Any = None, walltime: Any = None) -> None:
        """Add a `Summary` message of either package."""
        step, now = self.step_and_time(global_step, walltime)
        tag = summary.value[0].tag if len(summary.value) else ""
        self.put(capture.ready, summary_record(tag, summary, step, now))

    def add_graph(self, graph_profile: Any, walltime: Any = None) -> None:
        """Add a pair of a `GraphDef` and a `RunMetadata` message."""
        step, now = self.step_and_time(None, walltime)
        self.put(capture.ready, *graph_records(graph_profile[0], graph_profile[1], step, now))

    def add_onnx_graph(self, graph: Any, walltime: Any = None) -> None:
        """Add a `GraphDef` message."""
        step, now = self.step_and_time(None, walltime)
        self.put(capture.ready, *graph_records(graph, None, step, now))

    add_openvino_graph = add_onnx_graph

    def flush(self) -> None:
        """Wait until everything logged so far is on disk, for at most 30 s. Other sinks are not waited for."""
        if self._log is not None:
            self._log.flush_files()

    def close(self, status: str = "finished", error: str | None = None) -> None:
        """Deliver what is left and end the run. What is logged later goes into a new file."""
        with self._lock:
            log, self._log, self.ready, self._file = self._log, None, None, None
            if self._finalizer is not None:
                self._finalizer.detach()
            if log is not None:
                log.close(status=status, error=error)

    def reopen(self) -> None:
        """Do nothing: what is logged after `close` goes into a new file."""

    @contextlib.contextmanager
    def use_metadata(self, *, global_step: Any = None, walltime: Any = None) -> Iterator[FileWriter]:
        """Log at this step and time what names none."""
        assert not self._default_metadata, "Default metadata is already set."
        assert global_step is not None or walltime is not None, (
            "At least one of `global_step` or `walltime` must be provided."
        )
        self._default_metadata, self.ready = {"global_step": global_step, "walltime": walltime}, None
        try:
            yield self
        finally:
            self._default_metadata, self.ready = {}, self._log

    def _open(self) -> None:
        """Make the logger."""
        if not self._writes:
            self._log = SilentLogger(self._logdir)
        else:
            from monitor.integrations.writer.opening import open_logger

            purge_step, self._purge_step = self._purge_step, None
            log, self._file = open_logger(
                self.base, self._logdir, self._suffix, self.names, self._sinks, self._alerts, self._children
            )
            self._log = log
            self._finalizer = weakref.finalize(self, _close_dropped, log)
            self._finalizer.atexit = False  # the logger closes itself, and knows how the program ends
            if purge_step is not None:
                log.put(capture.ready, Restart(int(purge_step), time.time()))
        self.ready = None if self._default_metadata else self._log

    def after_fork_in_child(self) -> None:
        """Leave the logger to the parent, unless this process sends it what is logged here."""
        self._lock = threading.RLock()
        self.names.after_fork()
        if self._finalizer is not None:
            self._finalizer.detach()
        if self._children == "off":
            self._log = self.ready = self._file = None


def _close_dropped(log: WriterLogger) -> None:
    """Close the logger of a writer that was garbage collected, on a thread that may wait for it."""
    if threading.current_thread().name.startswith("monitor-"):
        threading.Thread(target=log.close, name="monitor-close", daemon=True).start()
    else:
        log.close()


def _after_fork() -> None:
    capture.PendingSummary.building = threading.Lock()  # a worker of the parent may have held it
    for writer in list(_open_writers):
        writer.after_fork_in_child()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def _working_directory() -> str:
    try:
        return os.getcwd()  # noqa: PTH109 - a text, as the directory is
    except OSError:  # it was removed; an absolute directory is fine without it
        return ""
