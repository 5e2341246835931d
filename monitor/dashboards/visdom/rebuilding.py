"""Make the windows of a run from its event files, by the sink that would have made them, for a server of ours."""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import TYPE_CHECKING

from monitor.errors import BadRecord
from monitor.imports.sources import open_source
from monitor.records import Config, Scalar
from monitor.runs.listing.series_folders import folders_of_series, series_tag
from monitor.runs.run import Run
from monitor.runs.settings.convert import read_settings
from monitor.sinks import registry

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from monitor.imports.sources import Source
    from monitor.records import Record

log = logging.getLogger("monitor")


class Rebuilding:
    """One run on its way from its event files to an env.

    Attributes:
        problem: what could not be read; empty if nothing.
        is_closed: whether the run has ended, and everything of it was sent.
    """

    def __init__(self, env: str, path: Path, url: str) -> None:
        """Prepare to send the run at `path` to the env of the server at `url`; nothing is read yet."""
        self.problem, self.is_closed = "", False
        self._path = path
        self._source = open_source(path, path.name)
        self._below: dict[Path, Source] = {}
        self._sink = registry.make(f"visdom://{url.partition('://')[2]}/{env}")
        self._sink.open(Run(path, is_written=False))

    def update(self) -> None:
        """Send what is new in the event files. Blocks. What cannot be read or shown is told in one line."""
        try:
            for records in self._source.records():
                self._write([_readable(record) for record in records if type(record) in self._sink.accepts])
            for name, folder in folders_of_series(self._path).items():
                for records in self._below.setdefault(folder, open_source(folder, name)).records():
                    scalars = [record for record in records if type(record) is Scalar]
                    self._write([record._replace(tag=series_tag(name, record.tag)) for record in scalars])
            self._sink.flush()
        except Exception as error:  # the run is untrusted: whatever is in it, the others are shown
            self._tell(str(error) if isinstance(error, BadRecord) else f"{type(error).__name__}: {error}")
        for path, reason in self._source.unreadable.items():
            self._tell(f"{path.name}: {reason}")

    def close(self) -> None:
        """Release the connection."""
        self.is_closed = True
        self._sink.close()

    def _write(self, records: Iterable[Record]) -> None:
        try:
            self._sink.write(list(records))
        except Exception:
            for record in records:
                with suppress(Exception):  # the one that is bad
                    self._sink.write([record])

    def _tell(self, problem: str) -> None:
        if problem != self.problem:
            log.warning("Visdom: the run %r is shown in part: %s", self._path.name, problem)
        self.problem = problem


def _readable(record: Record) -> Record:
    """Mask the secrets of settings that another program logged."""
    return record._replace(values=read_settings(record.values)) if isinstance(record, Config) else record
