"""The TensorBoard sink: every kind of record in one event file per run.

Scalars are float32 there, as TensorBoard stores them. All scalars of one step share one event.
"""

from __future__ import annotations

import time
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from monitor.events import summaries
from monitor.events.framing import frame
from monitor.events.index.live_index import LiveIndex
from monitor.events.media.projector import ProjectorFiles, encode_embedding, write_embedding
from monitor.events.scalars.encoding import encode_scalars
from monitor.events.writer import EventFileWriter
from monitor.metrics import SPLIT_ORDER, MetricSummary, best_tag, is_held_out, split_of
from monitor.records import RECORD_TYPES, Config, Embedding, Progress, Record, Scalar
from monitor.scalar_block import ScalarBlock
from monitor.sinks.base import Sink
from monitor.sinks.event_encoding import encode_record

if TYPE_CHECKING:
    from collections.abc import Sequence

    from monitor.machine.files import FileRange
    from monitor.runs.run import Run
    from monitor.scalar_block import TagGroup

MAX_KNOWN_GROUPS = 10_000  # sets of tags


class PreparedEvent(NamedTuple):
    """A record that is drawn and encoded: the frame of its event."""

    frame: bytes


_PREPARED = (PreparedEvent, ProjectorFiles)


class TensorBoardSink(Sink):
    """Write event files into the run directory. What was logged is on disk within a second."""

    name = "tensorboard"
    accepts = RECORD_TYPES - {Progress}
    durable = True
    scalars_first = True
    writes_event_files = True

    def __init__(self, rank: int = 0) -> None:
        """Make the sink of one training process; only rank 0 writes the run's settings and its end."""
        self._rank = rank
        if rank:
            self.accepts = self.accepts - {Config}
        self._file: EventFileWriter | None = None
        self._run: Run | None = None
        self._index: LiveIndex | None = None  # one for the event files of all processes
        self._embeddings: list[ProjectorFiles] = []  # that are not on disk yet
        self._summary = MetricSummary()
        self._known_groups: set[TagGroup] = set()  # whose tags are in `_splits`
        self._splits: dict[str, list[str]] = {}  # by metric: the splits that it was logged for

    def open(self, run: Run) -> None:
        """Prepare a writer; the file itself is made at the first flush."""
        self._run = run
        self._summary.goals = run.goals
        self._file = EventFileWriter(run.path, f".rank{self._rank}" if self._rank else "")
        self._index = None if self._rank else LiveIndex(run.path)

    def recall(self, records: Sequence[Record]) -> None:
        """Take in the best values so far."""
        for record in records:
            if type(record) is Scalar and self._has_best(record.tag):
                self._summary.add(record.tag, record.value, record.step)

    def prepare(self, record: Record) -> PreparedEvent | ProjectorFiles:
        """Draw and encode a record that is not a scalar. Pure, so any thread may call it."""
        if isinstance(record, Embedding):
            return encode_embedding(record)
        return PreparedEvent(frame(encode_record(record)))

    def write(self, records: Sequence[Record | PreparedEvent | ProjectorFiles]) -> None:
        """Encode the records into the writer's buffer; those that were prepared are taken as they are."""
        assert self._file is not None
        encoded: list[tuple[bytes, ScalarBlock | None]] = []
        embeddings: list[ProjectorFiles] = []
        for is_scalar, run in groupby(records, lambda record: type(record) is Scalar):
            if is_scalar:
                block = ScalarBlock.of(run)  # type: ignore[arg-type]
                encoded.append((encode_scalars(block), block))
            else:
                prepared = [item if isinstance(item, _PREPARED) else self.prepare(item) for item in run]
                embeddings += [item for item in prepared if isinstance(item, ProjectorFiles)]
                encoded += [(item.frame, None) for item in prepared if isinstance(item, PreparedEvent)]
        # All of it could be encoded, so all of it is taken.
        parts = [frames if block is None else frames + self._derived_events(block) for frames, block in encoded]
        if parts:
            self._file.add_framed(b"".join(parts))
        self._embeddings += embeddings

    def write_scalars(self, block: ScalarBlock) -> None:
        """Encode the scalars into the writer's buffer; `block.stored` is set once they are on disk."""
        assert self._file is not None
        frames = encode_scalars(block)
        if frames:
            self._file.add_framed(frames + self._derived_events(block), partial(set_stored, block, len(frames)))

    def flush(self) -> None:
        """Write and fsync the buffer; write the embeddings, which are files of their own."""
        if self._file is not None and self._run is not None:
            self._file.flush()
            while self._embeddings:
                write_embedding(self._run.path, self._embeddings[0])
                del self._embeddings[0]
            if self._index is not None:
                self._index.tick()

    def close(self) -> None:
        """Note the run's end in HPARAMS and close the file."""
        if self._file is None or self._run is None:
            return
        if not self._rank and not self._run.is_taken_over:
            end = time.time()
            value = summaries.session_end(succeeded=self._run.status == "finished", end=end)
            self._file.add(summaries.event([value], 0, end))
        try:
            self.flush()
        finally:
            self._file.close()
            self._file = None
            if self._index is not None:
                self._index.close()

    def _derived_events(self, block: ScalarBlock) -> bytes:
        """Return the framed events that follow from scalars: new charts, and the best values of held-out metrics."""
        numbers = np.flatnonzero(np.bincount(block.group)).tolist()
        new = [number for number in numbers if block.groups[number] not in self._known_groups]
        derived = b"".join([self._chart_layout(block, number) for number in new])
        if any(self._has_best(tag) for number in numbers for tag in block.groups[number]):
            derived += encode_scalars(self._best_values(block))
        return derived

    def _chart_layout(self, block: ScalarBlock, number: int) -> bytes:
        """Put the training's and the test's curves of one metric on one chart, in CUSTOM SCALARS."""
        tags = block.groups[number]
        if len(self._known_groups) >= MAX_KNOWN_GROUPS:
            self._known_groups.clear()
        self._known_groups.add(tags)
        changed = False
        for tag in tags:
            split, metric = split_of(tag)
            if split in SPLIT_ORDER and split not in self._splits.setdefault(metric, []):
                self._splits[metric].append(split)
                changed = changed or len(self._splits[metric]) == 2
        if not changed:
            return b""
        call = int((block.group == number).argmax())
        step, wall_time = int(block.steps[call]), float(block.times[call])
        event = summaries.event([summaries.chart_layout(self._splits)], step, wall_time)
        return frame(event.SerializeToString())

    def _has_best(self, tag: str) -> bool:
        """Tell whether the best value of a metric is written."""
        goals = self._summary.goals
        return goals.of(tag) is not None if is_held_out(tag) else goals.defined_for(tag) is not None

    def _best_values(self, block: ScalarBlock) -> ScalarBlock:
        """Return the values that were the best of their metrics so far, under tags of their own.

        HPARAMS shows the last value of each tag and nothing else.
        """
        tags: list[TagGroup] = []
        groups: list[np.ndarray] = []
        calls: list[np.ndarray] = []
        places: list[np.ndarray] = []
        for tag, at, found in block.places():
            if self._has_best(tag):
                improved = self._summary.extend(tag, block.steps[at], block.values[found])
                groups.append(np.full(len(improved), len(tags), np.int32))
                tags.append((best_tag(tag),))
                calls.append(at[improved])
                places.append(found[improved])
        place = np.concatenate(places)
        order = np.argsort(place)
        call = np.concatenate(calls)[order]
        return ScalarBlock(
            tags, np.concatenate(groups)[order], block.steps[call], block.times[call], block.values[place[order]]
        )


def set_stored(block: ScalarBlock, length: int, place: FileRange) -> None:
    """Note where a block is, at the beginning of what was written."""
    block.stored = place._replace(length=length)
