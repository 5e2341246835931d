"""Runs that other programs log to a log directory: folders with event files and without `run.json`."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from monitor.events.files import event_files, runs_under
from monitor.metrics import MetricSummary
from monitor.records import Config, Record, Scalar
from monitor.runs.listing import RunInfo
from monitor.runs.run_file import RUN_FILE, timestamp
from monitor.runs.status import RunStatus

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from monitor.events.reader import EventReader

MAX_BYTES = 2**28  # of a run's event files; the metrics of a larger run are not read for a list


class ForeignRuns:
    """The runs of other programs under a log directory; each `scan` reads only what is new in their event files."""

    def __init__(self, logdir: Path) -> None:
        self._logdir = logdir
        self._runs: dict[Path, _ForeignRun] = {}

    def scan(self, own: Iterable[Path]) -> Iterator[RunInfo]:
        """Yield them by name; what lies below the directories of our `own` runs is theirs. Blocks while it reads."""
        taken = set(own)
        for name, path in runs_under(self._logdir).items():
            if not taken.isdisjoint([path, *path.parents]) or (path / RUN_FILE).exists():
                continue
            yield self._runs.setdefault(path, _ForeignRun(path)).info(name)


class _ForeignRun:
    """One run of another program, as its event files describe it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._reader: EventReader | None = None
        self._summary = MetricSummary()
        self._config: dict[str, Any] = {}
        self._times: list[float] = []  # of the first and the last record, in seconds since the epoch
        self._problem: str | None = None

    def info(self, name: str) -> RunInfo:
        """Read what is new, and return the run."""
        self._read()
        fields: dict[str, Any] = {"config": self._config, "metrics": self._summary.summary()}
        if self._times:
            fields |= {"start": timestamp(self._times[0]), "heartbeat": timestamp(self._times[1])}
        if self._summary.step is not None:
            fields["progress"] = {"step": self._summary.step}
        return RunInfo(name, self._path, RunStatus.FOREIGN, fields, self._problem, time.time())

    def _read(self) -> None:
        from monitor.events.reader import EventReader

        try:
            if self._reader is None:
                size = sum(file.stat().st_size for file in event_files(self._path))
                if size > MAX_BYTES:
                    self._problem = f"its event files have {size / 2**20:,.0f} MiB; monitor compare reads them"
                    return
                self._reader = EventReader(self._path, kinds=frozenset({Scalar, Config}))
            for records in self._reader.records():
                for record in records:
                    self._take(record)
        except OSError as error:
            self._problem = f"{error.filename or self._path} cannot be read: {error.strerror or error}"

    def _take(self, record: Record) -> None:
        if isinstance(record, Scalar):
            self._summary.add(record.tag, record.value, record.step)
        elif isinstance(record, Config):
            self._config |= record.values
        if isinstance(record, Scalar | Config):
            first = self._times[0] if self._times else record.time
            self._times = [min(first, record.time), max(first, record.time)]
