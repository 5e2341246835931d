"""Make the windows of a run from its event files, by the sink that would have made them, for a server of ours."""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import TYPE_CHECKING

from monitor.errors import BadRecord
from monitor.events.files import runs_under
from monitor.imports.sources import open_source
from monitor.records import Config, Scalar
from monitor.runs.run import Run
from monitor.runs.run_file import RUN_FILE
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
            for folder in folders_of_series(self._path):
                name = folder.relative_to(self._path).as_posix()
                for records in self._below.setdefault(folder, open_source(folder, name)).records():
                    self._write([_series(name, record) for record in records if type(record) is Scalar])
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


def folders_of_series(run: Path) -> list[Path]:
    """Return the folders where our `SummaryWriter` of a run has curves of `add_scalars`, and none of another run.

    Below a run of another program, each folder with event files is a run of its own.
    """
    folders = runs_under(run).values() if (run / RUN_FILE).is_file() else ()
    return [folder for folder in folders if folder != run and not _is_in_another(folder, run)]


def _is_in_another(folder: Path, run: Path) -> bool:
    """Tell whether a folder below a run is, or is in, another run."""
    between = [place for place in (folder, *folder.parents) if place != run and place.is_relative_to(run)]
    return any((place / RUN_FILE).exists() for place in between)


def _series(folder: str, record: Scalar) -> Scalar:
    """Return a point of a curve of `add_scalars` as the writer's other sinks get it: under both of its names."""
    of_torch, of_tensorboardx = f"{record.tag.replace('/', '_')}_", f"{record.tag}/"
    for prefix in (of_torch, of_tensorboardx):
        if folder.startswith(prefix):
            return record._replace(tag=f"{record.tag}/{folder.removeprefix(prefix)}")
    return record._replace(tag=f"{folder}/{record.tag}")


def _readable(record: Record) -> Record:
    """Mask the secrets of settings that another program logged."""
    return record._replace(values=read_settings(record.values)) if isinstance(record, Config) else record
