"""`Logger`: what a training loop talks to, and a run's life from its start to its close."""

from __future__ import annotations

import atexit
import os
import threading
import weakref
from functools import partial
from time import perf_counter, time
from typing import TYPE_CHECKING, Any

from monitor.capture import validation
from monitor.capture.calls.log_methods import LogMethods
from monitor.capture.run_config import RunConfig
from monitor.dashboards.announcement import join_servers, say_where_to_look
from monitor.delivery.children.forwarding import logger_for_child
from monitor.delivery.children.receiving import Receiver
from monitor.delivery.ending import EndingMethods, record_end
from monitor.delivery.pipeline import INBOX_ENTRIES, Pipeline
from monitor.delivery.pruning import parse_pruning
from monitor.delivery.recall import history_of
from monitor.delivery.steering import connect_controls, parse_controls
from monitor.errors import SinkError
from monitor.recording.options import NOTHING, parse_record
from monitor.recording.recorder import Recorder
from monitor.records import Checkpoint, Config
from monitor.remote.sending import start_upload
from monitor.rules.alerts import Rule, StallRule, parse_rules
from monitor.runs.opening import open_run
from monitor.runs.processes.process import interrupt_main_thread
from monitor.runs.processes.rank import process_rank
from monitor.runs.run import Run
from monitor.runs.status import RunStatus, ending
from monitor.sinks import registry
from monitor.sinks.run_status import RunStatusSink
from monitor.stats import Stats
from monitor.steering.handler import Handler

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from monitor.capture.calls.null_logger import NullLogger
    from monitor.render.charts.grouping import Charts
    from monitor.rules.halving import PruneRule
    from monitor.sinks.base import Sink
    from monitor.steering.controls import Controls

CHILDREN = ("off", "forward")
SETTLE_TIMEOUT_S = 1.0  # the part of `close` that the alerts may take for the last values
RECORD_TIMEOUT_S = 2.0  # the part of `close` that the files of a short run may take
_open_loggers: weakref.WeakSet[Logger] = weakref.WeakSet()


class Logger(LogMethods, EndingMethods):
    """Stream what a training run logs to any number of sinks.

    Log calls may come from any thread. They raise `TypeError` or `ValueError` for what cannot be logged, and nothing
    else. Problems in a sink are reported through `logging.getLogger("monitor")` and never reach the training loop.

    Attributes:
        run: the run that is logged to.
    """

    def __init__(
        self,
        run: str | os.PathLike[str] | Run | None = None,
        sinks: Iterable[str | Sink] | None = None,
        config: Any = None,
        *,
        alerts: Iterable[str | Rule | StallRule] = (),
        stop_on_alert: bool = False,
        prune: str | PruneRule | None = None,
        every_rank: bool = False,
        strict: bool = False,
        close_timeout: float = 5.0,
        children: str = "off",
        record: str | Iterable[str] | bool | None = None,
        charts: Charts = None,
        controls: Mapping[str, Any] | Controls | None = None,
    ) -> None:
        """Make the run directory and start one worker thread per sink.

        Args:
            run: a directory, an address in a store such as `s3://bucket/runs/mlp`, or a `Run`. By default, a directory
                under `runs` with the name of the script and the time, or under `monitor run` that of the script.
            sinks: specs such as `"visdom://host:port/env"`, or `Sink` objects; by default, `"tensorboard"` and
                `"console"`, or in a notebook `"notebook"` in place of the console.
            config: the run's settings: a mapping of names to values, a namespace, or an object of a dataclass, attrs,
                OmegaConf, or pydantic. Nested settings are joined by dots (`model.layers`), and secrets are masked.
            alerts: rules such as `"test/loss > 2 * best for 3"`. The first NaN or infinity is an alert without a
                rule. Each alert fires once: in the log, as a text in every sink, and in `run.json`.
            stop_on_alert: whether the first alert turns `should_stop` on.
            prune: a rule such as `"test/accuracy max peers=lr-search"`, by which runs of these peers prune each other;
                by default that of the sweep of which this process is a trial, and `"none"` is none. A loop that never
                asks `should_stop` is interrupted. The run ends as `pruned`.
            every_rank: whether every process of a distributed training logs. By default only rank 0 does, under any
                launcher; the calls of the others are checked and dropped.
            strict: whether `flush` and `close` raise `SinkError` if records were not delivered.
            close_timeout: seconds without progress after which a sink is given up, at the end of a `with` block or of
                the program.
            children: what happens to log calls in forked and spawned processes: "off" ignores them with a warning,
                "forward" sends them to this process, and they block until they are sent.
            record: what is recorded by itself, from other threads: "all", "none", or some of "system" (what the machine
                and this process use, every 10 seconds; "system:30" every 30), "git" (uncommitted changes), and
                "packages" (what is installed). By default what `MONITOR_RECORD` says, or all. Only rank 0 records.
            charts: which curves share a chart, such as `{"norms": ["grad_norm/*"]}`; by default, those of one metric.
            controls: what Visdom's page may change while the loop runs, such as `{"lr": optimizer}`, or a `Controls`.
                The loop calls `steer` at each step. The server must have a login, or be one that nobody else can reach.

        Raises:
            SpecError: if a sink is unknown, or its spec, what to record, or a chart cannot be read.
            MissingExtra: if a sink's packages are not installed.
            AlertError: if an alert or `prune` is not a rule.
            DataError: if the run whose changes `controls` repeats cannot be read.
            TypeError, ValueError: if `run` is no directory or is empty, if a setting cannot be stored, if two have the
                same name, or if something cannot be a control; the message names them.
            OSError: if the directory cannot be written.
        """
        if children not in CHILDREN:
            raise ValueError(f"children must be {' or '.join(map(repr, CHILDREN))}, not {children!r}")
        super().__init__(self._refuse)
        made, rules, recorded = registry.make_all(sinks, charts), parse_rules(alerts), parse_record(record)
        pruning = parse_pruning(prune)
        steered = parse_controls(controls)
        self._silent = process_rank() > 0 and not every_rank
        if self._silent:
            made, rules = [], []
        self.run: Run = open_run(run, config, is_written=not self._silent)
        self._upload = None if self._silent else start_upload(self.run.path, process_rank(), is_own=self.run.is_written)
        self._leases = [] if self._silent else join_servers(self.run, made)
        self._status_sink = RunStatusSink(rules)
        self._is_asked = False  # whether the loop asks whether to stop
        pruning.connect(self.run, self._status_sink, self._interrupt_unasked)
        self._config = RunConfig(self.run, self._measure)
        self._strict, self._close_timeout = strict, close_timeout
        self._closing = threading.RLock()
        self._closed, self._started = False, perf_counter()
        self._undelivered: list[str] = []
        self._ended: float | None = None
        self._outcome: tuple[RunStatus, str | None] | None = None
        self._stop_on_alert = stop_on_alert
        watch = None if self._silent else self._status_sink
        connect_controls(steered, made, self.run)
        self._pipeline = Pipeline(made, self.run, self._tick, watch=watch, history=history_of(self.run))
        self._status_sink.on_alert = self._pipeline.alert
        if stop_on_alert:
            self._status_sink.on_stall = interrupt_main_thread  # a loop that hangs never asks whether to stop
        is_forwarding = children == "forward"
        receive = partial(self._config.receive, self._pipeline.receive)
        self._receiver = Receiver(receive) if is_forwarding and not self._silent else None
        self._drops_children = is_forwarding and self._silent
        self._put = _drop if self._silent else self._pipeline.inbox.append
        self._inbox, self._limit, self._hold = self._pipeline.inbox, INBOX_ENTRIES, self._pipeline.hold
        self._note_array = self._pipeline.note_array
        self._watches_models = not self._silent
        records = self.run.is_written and process_rank() == 0
        self._recorder = Recorder(self.run, recorded if records else NOTHING, self._pipeline.alert)
        if steered is not None:
            self._controls = steered
            Handler(steered, self, self.run, self._status_sink.pause)
        if not self.run.is_resumed:
            self._put(Config(self.run.config, time()))
        atexit.register(self._at_exit)
        _open_loggers.add(self)
        if not self._silent and not isinstance(run, Run):
            say_where_to_look(self.run, made)

    @property
    def should_stop(self) -> bool:
        """Whether an alert, a dashboard, or its peers have ended the run; for the loop to ask. Does not block."""
        self._is_asked = True
        return self._status_sink.tells_pruned() or self._is_stopped

    @property
    def _is_stopped(self) -> bool:
        return self._controls.stop_step is not None or (self._stop_on_alert and bool(self._status_sink.first_alert))

    def stats(self) -> Stats:
        """Return the delivery counters per sink and what logging cost. Does no I/O."""
        sinks = self._pipeline.stats()
        calls, seconds = self._cost(self._pipeline.tuples - (self._receiver.tuples if self._receiver else 0))
        wall = (self._ended or perf_counter()) - self._started
        return Stats(sinks, calls, seconds, seconds / wall if wall else 0.0)

    def flush(self, timeout: float = 10.0) -> bool:
        """Wait until everything logged so far is visible in every sink; tell whether it is.

        Blocks for at most `timeout` seconds, over all sinks together. Raises `SinkError` under `strict` if a sink is
        behind.
        """
        if self._closed:
            return True
        behind = self._pipeline.flush(timeout)
        self._raise_if_strict("flush", [f"{name} is behind" for name in behind])
        return not behind

    def checkpoint(self, name: str, step: int, timeout: float = 10.0) -> bool:
        """Mark the place of a checkpoint, so that `monitor.reopen` can continue from there.

        Call it before you rely on the checkpoint `name`. Blocks for at most `timeout` seconds, until everything logged
        before is on disk, and tells whether it is. Without a durable sink, such as `tensorboard`, it never is.
        """
        self._put(Checkpoint(validation.text(name, "a checkpoint's name"), validation.step(step), time()))
        durable = any(worker.sink.durable for worker in self._pipeline.workers)
        return durable and not self._pipeline.flush(timeout, durable=True)

    def close(self, timeout: float | None = None, status: str = "finished", error: str | None = None) -> bool:
        """Deliver what is left and end the run; tell whether everything was delivered, to a store too.

        Blocks as long as the sinks make progress, however much is left; one that makes none for `timeout` seconds, by
        default `close_timeout`, is given up, or after twelve times that if it works. A line says what is left.

        `status` (finished, failed, interrupted, killed, stopped, or pruned) and `error` go into `run.json`. Idempotent.
        Raises `SinkError` under `strict` if records were not delivered, `ValueError` for another status.
        """
        final = ending(status)
        with self._closing:
            if not self._closed:
                self._close(self._close_timeout if timeout is None else timeout, final, error)
                self._closed = True
            undelivered = self._undelivered
            self._undelivered = []
        self._raise_if_strict("close", undelivered)
        return not undelivered

    def _close(self, timeout: float, status: RunStatus, error: str | None) -> None:
        """Do what `close` does; if a signal handler's exception breaks it off, a second call continues."""
        status, error = self._outcome = self._outcome or (status, error)  # the first cause is the cause
        pruned = self._status_sink.end(status)
        self._recorder.stop_sampling()
        self._pipeline.seal()
        self._limit = -1  # so that a call of another thread that is on its way looks whether it came too late
        self._put = self._refuse
        self.unwatch()
        if self._receiver is not None:
            self._receiver.close()
        self._ended = self._ended or perf_counter()
        self._pipeline.settle(min(timeout, SETTLE_TIMEOUT_S))  # so that an alert on the last values counts
        if status in (RunStatus.FINISHED, RunStatus.INTERRUPTED, RunStatus.KILLED):
            if pruned is not None:
                status, error = RunStatus.PRUNED, pruned.reason
            elif self._is_stopped:
                status, error = RunStatus.STOPPED, self._controls.stop_reason or self._status_sink.first_alert
        self.run.status = status
        self._pipeline.close(timeout)
        self._recorder.close(min(timeout, RECORD_TIMEOUT_S))
        self._leases.clear()
        if self._closed:
            return  # a signal handler closed it meanwhile
        atexit.unregister(self._at_exit)
        _open_loggers.discard(self)
        durable = [worker.name for worker in self._pipeline.workers if worker.sink.durable]
        self._undelivered = record_end(self.run, self.stats(), durable, status, error)
        if self._upload is not None and not self._upload.close(timeout):
            self._undelivered.append(f"{self._upload.url} is not complete")

    def _interrupt_unasked(self) -> None:
        """End a loop that never asks whether to stop, when its run is pruned."""
        if not self._is_asked and self._outcome is None:
            interrupt_main_thread()

    def __reduce__(self) -> tuple[Any, ...]:
        """Become a `NullLogger` in a spawned process, such as a `DataLoader` worker, or one that forwards."""
        return self._logger_for_child().__reduce__()

    def _check_open(self) -> None:
        if self._put == self._refuse:
            self._refuse(None)

    def _refuse(self, _record: Any) -> None:
        raise RuntimeError(f"this logger is closed; nothing more can be logged to {self.run.label}")

    def _raise_if_strict(self, action: str, problems: list[str]) -> None:
        if problems and self._strict:
            raise SinkError(f"{action}: " + "; ".join(problems))

    def _in_forked_child(self) -> None:
        """Forward or ignore what is logged: the workers live in the parent, and so does everything logged before."""
        atexit.unregister(self._at_exit)
        self._closed, self._stop_on_alert = True, False
        self._logger_for_child().stand_in_for(self, self._cost, self._tick)

    def _logger_for_child(self) -> NullLogger:
        return logger_for_child(self.run, self._receiver, is_silent=self._drops_children)


def _drop(_record: Any) -> None:
    """Drop a record of a process that is not rank 0."""


def _after_fork() -> None:
    for logger in list(_open_loggers):
        logger._in_forked_child()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
