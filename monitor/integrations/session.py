"""The run of an adapter: opened when it is first used, continued after its end, and shared by all its copies."""

from __future__ import annotations

import logging
import secrets
import weakref
from typing import TYPE_CHECKING, Any

from monitor.errors import DataError
from monitor.integrations.common import LOGDIR, add_config, check_arguments, default_sinks, open_logger
from monitor.logger import Logger
from monitor.rules.alerts import parse_rules
from monitor.runs.resume import continue_run, refuse_running
from monitor.runs.scripts.script_session import alerts_from_environment
from monitor.runs.settings.convert import as_mapping
from monitor.runs.status import RunStatus
from monitor.sinks.base import Sink
from monitor.sinks.registry import as_list, make_all

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from monitor.records import Record
    from monitor.rules.alerts import Rule, StallRule

log = logging.getLogger("monitor")

_sessions: weakref.WeakValueDictionary[str, Session] = weakref.WeakValueDictionary()  # of this process, by key


class Session:
    """Hold the logger of an adapter over everything that a framework does with its callbacks.

    They are made long before the training, copied, pickled, sent to other processes, and used again after the end. So
    the run is opened when the logger is first asked for. If it is asked for after the end, the run is continued in the
    same directory, so that a final test belongs to its training. Copies in the same process are the same session; in a
    child process, what is logged is forwarded to the process that has the run open. If none has, the child opens it,
    with the sinks that have specs.

    Attributes:
        owns: whether the session opens and ends the run; false for a logger of the caller's own.
        path: the run directory, once it is known.
    """

    def __init__(
        self,
        logger: Logger | None = None,
        *,
        name: str | None = None,
        default: str = "run",
        logdir: str | os.PathLike[str] = LOGDIR,
        sinks: Iterable[str | Sink] | None = None,
        config: Any = None,
        alerts: Iterable[str | Rule | StallRule] = (),
    ) -> None:
        """Check the arguments, which are those of `open_logger`; nothing is written yet. Raises what it raises."""
        check_arguments(logger, name, logdir)
        alerts, sinks = parse_rules(alerts), as_list(sinks)
        if logger is not None:
            open_logger(logger, name=name, sinks=sinks, config=config, alerts=alerts)
        self.owns = logger is None
        self.path: Path | None = None if logger is None else logger.run.path
        self._logger = logger
        self._name, self._default, self._logdir = name, default, logdir
        self._is_named = name is not None
        self._sinks = default_sinks() if sinks is None else sinks
        self._alerts = alerts
        self._config = dict(as_mapping(config))
        make_all(self._sinks)
        self._key = secrets.token_hex(8)
        _sessions[self._key] = self

    @property
    def is_open(self) -> bool:
        """Whether the run is open and can be logged to."""
        return self._logger is not None and not getattr(self._logger, "_closed", False)

    @property
    def logger(self) -> Logger:
        """The logger. Opens the run, or continues it after its end; raises `OSError` if it cannot be written."""
        if self._logger is None or (self.owns and not self.is_open):
            self._logger = self._open() if self.path is None else self._continue(self.path)
            self.path = self._logger.run.path
        return self._logger

    def add_config(self, config: Any) -> None:
        """Add settings, to the run if it is open, and otherwise to those that it will start with."""
        if self.is_open or self.path is not None:
            add_config(self.logger, config)
        else:
            self._config.update(as_mapping(config))

    def suggest(self, name: str, *, is_chosen: bool = False) -> None:
        """Name a run that is not open yet, unless the arguments have named it.

        Under `monitor run`, such a name counts only if `is_chosen`: the user has chosen it, in the framework's terms.
        """
        if not self._is_named:
            self._default, self._name = name, name if is_chosen else None

    def start_over(self) -> None:
        """Forget the run, which has ended: what follows goes into another one."""
        if self.owns and not self.is_open:
            self._logger = self.path = None
            self._config = {}

    def end(self, status: str = RunStatus.FINISHED, error: str | None = None) -> None:
        """End the run if the session has opened it. Blocks as `Logger.close` does."""
        if self.owns and self.is_open:
            assert self._logger is not None
            self._logger.close(status=status, error=error)

    def _open(self) -> Logger:
        return open_logger(
            None,
            name=self._name,
            default=self._default,
            logdir=self._logdir,
            sinks=self._sinks,
            config=self._config,
            alerts=self._alerts,
            children="forward",
        )

    def _continue(self, path: Path) -> Logger:
        try:
            run = continue_run(path)
        except (DataError, OSError) as error:
            log.warning("%s; what follows goes into another run", error)
            return self._open()
        for sink in self._sinks:
            if isinstance(sink, Sink):  # it still has what it took in; the others are made anew
                sink.recall = _recall_nothing  # type: ignore[method-assign, assignment]
        alerts = self._alerts or alerts_from_environment()
        return Logger(run, self._sinks, alerts=alerts, children="forward")

    def __reduce__(self) -> tuple[Any, ...]:
        """Become the same session in this process, and one that forwards to it in another."""
        sinks = [sink for sink in self._sinks if isinstance(sink, str)]  # objects stay where they are
        state = {**self.__dict__, "_logger": self._logger if self.is_open else None, "_sinks": sinks}
        return _restore, (self._key, state)


def _restore(key: str, state: dict[str, Any]) -> Session:
    """Return the session of a pickle or a copy."""
    session = _sessions.get(key)
    if session is None:
        if state["owns"] and not _is_running_elsewhere(state["path"]):
            state["_logger"] = None  # the process that had it open is gone: continue the run
        session = _sessions[key] = Session.__new__(Session)
        session.__dict__.update(state)
    return session


def _is_running_elsewhere(path: Path | None) -> bool:
    try:
        if path is not None:
            refuse_running(path)
    except DataError:
        return True
    return False


def _recall_nothing(_records: Sequence[Record]) -> None:
    """Take in nothing."""
