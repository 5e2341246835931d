"""The event files of a `SummaryWriter`: what the stock writers put into theirs, and nothing else.

A trial of a sweep is the exception: the settings of the sweep go into HPARAMS, since the script does not know them.
"""

from __future__ import annotations

import logging
from functools import partial
from time import time
from typing import TYPE_CHECKING, Any, NamedTuple

from monitor.events.framing import frame
from monitor.events.scalars.encoding import encode_scalars
from monitor.events.summaries import event, session_end, session_start
from monitor.events.writer import EventFileWriter
from monitor.integrations.writer.records import FileSummary, ProjectorFiles
from monitor.records import Config, Restart, Scalar, Summary
from monitor.scalar_block import ScalarBlock
from monitor.sinks.base import Sink
from monitor.sinks.event_encoding import encode_record
from monitor.sinks.tensorboard import TensorBoardSink, set_stored

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from monitor.machine.files import FileRange
    from monitor.records import Record
    from monitor.runs.run import Run

log = logging.getLogger("monitor")


class Prepared(NamedTuple):
    """A framed event, and the directory that it goes to; empty for the run's own."""

    directory: str
    frame: bytes


class WriterFileSink(TensorBoardSink):
    """Write event files without what `TensorBoardSink` adds for runs of our own: best values, charts, settings.

    Attributes:
        is_trial: whether the settings of the run are those of a trial, for a row in HPARAMS; set before `open`.
        path: the event file in the run's own directory, once it is there.
    """

    accepts = frozenset({Scalar, Summary, Restart, Config, FileSummary, ProjectorFiles})
    recall = Sink.recall  # it has no state that depends on earlier records

    def __init__(self, base: str, suffix: str, routes: Mapping[str, tuple[str | None, str]]) -> None:
        """Append `suffix` to the names of the files; `routes` is that of the writer's `Names`, relative to `base`."""
        super().__init__()
        self._base, self._suffix, self._routes = base, suffix, routes
        self._others: dict[str, EventFileWriter] = {}  # by directory
        self.is_trial = False
        self.path: Path | None = None

    def open(self, run: Run) -> None:
        """Prepare the file of the run's own directory; the first flush makes it, even if nothing is logged."""
        self._run = run
        self._file = EventFileWriter(run.path, self._suffix)
        self._file.add_framed(b"", self._note_path)
        self.is_trial = self.is_trial and bool(run.config)
        if self.is_trial:
            start = session_start(run.config, run.started)
            self._file.add(event([start], 0, run.started))

    def prepare(self, record: Any) -> Any:
        """Encode a record that is not a scalar. Pure, so any thread may call it."""
        if isinstance(record, ProjectorFiles | Config):
            return record
        if isinstance(record, FileSummary):
            return Prepared(record.directory, frame(record.event))
        return Prepared("", frame(encode_record(record)))

    def write(self, records: Sequence[Any]) -> None:
        """Take in what is not a scalar, or was drawn; the files of embeddings are written at once."""
        scalars = [record for record in records if type(record) is Scalar]
        others = [
            item if isinstance(item, Prepared) else self.prepare(item) for item in records if type(item) is not Scalar
        ]
        for item in others:  # these may raise an OSError, and are then done again; framed events must not be
            if isinstance(item, ProjectorFiles):
                item.write()
        for item in others:
            if isinstance(item, Prepared):
                self._writer(item.directory).add_framed(item.frame)
        if scalars:
            self.write_scalars(ScalarBlock.of(scalars))

    def write_scalars(self, block: ScalarBlock) -> None:
        """Encode scalars, each call as an event of its own, as the stock writers do."""
        routes = self._routes
        if not any(tag in routes for tags in block.groups for tag in tags):
            frames = encode_scalars(block, shares_events=False)
            self._writer("").add_framed(frames, partial(set_stored, block, len(frames)))
            return
        by_directory: dict[str, list[Record]] = {}
        for scalar in block.records():
            directory, tag = routes.get(scalar.tag, ("", scalar.tag))
            if directory is not None:
                by_directory.setdefault(directory, []).append(scalar._replace(tag=tag))
        for directory, scalars in by_directory.items():
            frames = encode_scalars(ScalarBlock.of(scalars), shares_events=False)  # type: ignore[arg-type]
            self._writer(directory).add_framed(frames)

    def flush(self) -> None:
        """Write and fsync all files."""
        super().flush()
        for file in self._others.values():
            file.flush()

    def close(self) -> None:
        """Close the files; nothing is added to them but the end of a trial."""
        if self.is_trial and self._file is not None and self._run is not None:
            now = time()
            self._file.add(event([session_end(succeeded=self._run.status == "finished", end=now)], 0, now))
        for file in [*([self._file] if self._file else []), *self._others.values()]:
            file.flush()
            file.close()
        self._file = None
        self._others = {}

    def _writer(self, directory: str) -> EventFileWriter:
        if not directory:
            assert self._file is not None
            return self._file
        from pathlib import Path

        if directory not in self._others:
            self._others[directory] = EventFileWriter(Path(self._base, directory), self._suffix)
        return self._others[directory]

    def _note_path(self, place: FileRange) -> None:
        self.path = place.path
