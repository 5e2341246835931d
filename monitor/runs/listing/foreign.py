"""A run that another program logs to a log directory: a folder with event files and without `run.json`."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

from monitor.events.files import event_files
from monitor.metrics import MetricSummary
from monitor.records import Config, Record, Scalar
from monitor.runs.listing.run_info import RunInfo
from monitor.runs.run_file import timestamp
from monitor.runs.status import RunStatus

if TYPE_CHECKING:
    from pathlib import Path

    from monitor.events.reading.reader import EventReader

MAX_BYTES = 2**28  # of a run's event files; the metrics of a larger run are not read for a list


class ForeignRun:
    """One run of another program, as its event files describe it; each call reads only what is new in them."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._reader: EventReader | None = None
        self._summary = MetricSummary()
        self._config: dict[str, Any] = {}
        self._times: list[float] = []  # of the first and the last record, in seconds since the epoch
        self._problem: str | None = None

    def info(self, name: str) -> RunInfo:
        """Read what is new, and return the run. Blocks while it reads."""
        self._read()
        fields: dict[str, Any] = {"config": self._config, "metrics": self._summary.summary()}
        if self._times:
            fields |= {"start": timestamp(self._times[0]), "heartbeat": timestamp(self._times[1])}
        if self._summary.step is not None:
            fields["progress"] = {"step": self._summary.step}
        return RunInfo(name, os.fspath(self._path), RunStatus.FOREIGN, fields, self._problem, time.time())

    def _read(self) -> None:
        from monitor.events.index.index_update import current_index
        from monitor.events.reading.reader import EventReader

        try:
            if self._reader is None:
                index = current_index(self._path)
                size = sum(file.stat().st_size for file in event_files(self._path))
                if index is None and size > MAX_BYTES:
                    self._problem = (
                        f"its event files have {size / 2**20:,.0f} MiB; monitor index makes them quick to list"
                    )
                    return
                self._reader = EventReader(self._path, kinds=frozenset({Scalar, Config}))
                if index is not None and index.config is not None:
                    self._summary, self._config, self._times = index.summarize(), dict(index.config), index.times
                    self._reader.skip(index.offsets, index.tensor_tags, has_settings=index.has_settings)
            for batch in self._reader.batches():
                if isinstance(batch, list):
                    for record in batch:
                        self._take(record)
                else:
                    for tag, steps, values, _ in batch.series():
                        self._summary.extend(tag, steps, values)
                    self._take_times(float(batch.times.min()), float(batch.times.max()))
        except OSError as error:
            self._problem = f"{error.filename or self._path} cannot be read: {error.strerror or error}"

    def _take(self, record: Record) -> None:
        if isinstance(record, Scalar):
            self._summary.add(record.tag, record.value, record.step)
        elif isinstance(record, Config):
            self._config |= record.values
        if isinstance(record, Scalar | Config):
            self._take_times(record.time, record.time)

    def _take_times(self, first: float, last: float) -> None:
        self._times = [min([first, *self._times[:1]]), max([last, *self._times[1:]])]
