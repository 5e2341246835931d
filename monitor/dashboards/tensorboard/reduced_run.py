"""A large run as a small event file: its curves as its index has them, which TensorBoard loads in no time.

Each curve has the first, last, lowest, and highest point of up to 256 intervals, with their own steps and values. What
is logged from now on is appended in the same way. Everything but scalars is copied as it is.
"""

from __future__ import annotations

import itertools
import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np

from monitor.events.event_decoder import EventDecoder
from monitor.events.files import event_bytes, event_files
from monitor.events.framing import frame
from monitor.events.index.index_update import current_index, update_index
from monitor.events.index.run_index import TooManyCurves
from monitor.events.reading.batches import BatchDecoder
from monitor.events.reading.history import KINDS, RestartFound, before_restart
from monitor.events.reading.pieces import PieceReader
from monitor.events.reading.reader import EventReader, find_restarts
from monitor.events.scalars.encoding import encode_scalars
from monitor.records import Config, Summary
from monitor.render.reduction.downsampling import DownsampledSeries
from monitor.runs.run_file import RUN_FILE
from monitor.scalar_block import ScalarBlock

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path
    from threading import Event as Flag

    from numpy.typing import NDArray

    from monitor.events.index.run_index import RunIndex
    from monitor.records import Record

    Curve = tuple[str, NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]  # tag, steps, values, times

log = logging.getLogger("monitor")

MIN_BYTES = 2**23  # of event files, from which on a run is reduced
FOLLOWED_BUCKETS = 4  # of a curve's new points, at each look
MAX_OTHER_BYTES = 2**24  # of pictures, texts, and the like that are copied of a run
BYTES_AT_ONCE = 2**24  # that are searched for them between two looks at whether to stop
FILE_NAME = "events.out.tfevents.{:010d}.reduced"
_numbers = itertools.count()


class ReducedRun:
    """The small event file of one run. Only one thread may use it."""

    def __init__(self, index: RunIndex, folder: Path) -> None:
        """Write the curves of the index into `folder`. Blocks; raises `OSError`, or another error for a damaged index.

        Of the rest, only what is in the first megabyte is there, such as the settings, until `copy_others`.
        """
        from tensorboard.compat.proto.event_pb2 import Event

        self._run, self._path = index.run, folder / FILE_NAME.format(next(_numbers))
        self._last = {tag: step for tag, (step, _) in index.last.items()}
        self._highest = index.highest_step
        self._reader = EventReader(index.run, kinds=KINDS | {Config}, keeps_copies=True)
        self._reader.skip(index.offsets, index.tensor_tags)
        restarts = find_restarts(event_files(index.run)) if index.is_resumed else []
        self._others = _OtherEvents(index.tensor_tags, restarts)
        self._other_readers: dict[Path, PieceReader] = {}
        self._other_decoder = BatchDecoder(self._others)
        self._other_bytes = 0
        self._parts, self._covered = index.others, index.offsets
        started = Event(wall_time=index.times[0] if index.times else 0.0, file_version="brain.Event:2")
        curves = list(_curves(index))
        if not all((steps[1:] >= steps[:-1]).all() for _, steps, _, _ in curves):
            raise StepsGoBack(index.run)
        try:
            self._path.write_bytes(frame(started.SerializeToString()) + encode_scalars(_block(curves)))
            for path in event_files(index.run)[:1]:
                self._copy(path, 1)
        except BaseException:
            self.remove()
            raise

    def follow(self) -> bool:
        """Append what is new in the curves; tell whether the small file still stands for the run. Blocks.

        It does not after a restart that supersedes something, where steps go back, and where a file has become shorter.
        Raises `OSError`.
        """
        if any(path.stat().st_size < offset for path, offset in self._reader.offsets.items()):
            return False
        new: dict[str, DownsampledSeries] = {}
        try:
            for batch in before_restart(self._reader.batches(), self._highest):
                if isinstance(batch, ScalarBlock):
                    self._highest = max(self._highest, int(batch.steps.max()))
                    for tag, steps, values, times in batch.series():
                        new.setdefault(tag, DownsampledSeries(FOLLOWED_BUCKETS)).extend(steps, values, times)
        except RestartFound:
            return False
        curves = [(tag, *_columns(series)) for tag, series in new.items()]
        for tag, steps, _, _ in curves:
            if (np.diff(steps, prepend=self._last.get(tag, steps[0])) < 0).any():
                return False
            self._last[tag] = int(steps[-1])
        self._append(encode_scalars(_block(curves)))
        return True

    def copy_others(self, stop: Flag) -> None:
        """Append everything but scalars that is new, until `stop` is set. Blocks; raises `OSError`."""
        for path in event_files(self._run):
            size = path.stat().st_size
            while not stop.is_set() and self._copy(path, None) < size:
                pass

    def remove(self) -> None:
        """Remove the small file."""
        with suppress(OSError):
            self._path.unlink(missing_ok=True)

    def _copy(self, path: Path, most: int | None) -> int:
        """Append the other events of a part of a file; return how far it was read, or its size if no more is to be."""
        reader = self._other_readers.setdefault(path, PieceReader(path))
        reader.offset = self._next_part(path, reader.offset)
        before, frames = reader.offset, list[bytes]()
        for batch in self._other_decoder.batches(reader, before + (most or BYTES_AT_ONCE)):
            for record in batch if isinstance(batch, list) else ():
                assert isinstance(record, Summary)
                if self._other_bytes + len(record.event) > MAX_OTHER_BYTES:
                    self._tell_left_out()
                else:
                    self._other_bytes += len(record.event)
                    frames.append(frame(record.event))
        self._append(b"".join(frames))
        return reader.offset if reader.offset > before else path.stat().st_size

    def _next_part(self, path: Path, offset: int) -> int:
        """Return where, from an offset of a file on, the next events may be that are no scalars."""
        covered = self._covered.get(path, 0)
        if self._parts is None or offset >= covered:
            return offset
        starts = (max(start, offset) for name, start, end in self._parts if name == path.name and end > offset)
        return next(starts, covered)

    def _tell_left_out(self) -> None:
        if self._other_bytes <= MAX_OTHER_BYTES:  # the first time
            self._other_bytes = MAX_OTHER_BYTES + 1
            log.warning(
                "%s: pictures, texts, and the like beyond the first %s MiB are left out; --full has them",
                self._run,
                MAX_OTHER_BYTES >> 20,
            )

    def _append(self, frames: bytes) -> None:
        if frames:
            with self._path.open("ab") as file:
                file.write(frames)


class StepsGoBack(Exception):
    """The steps of a curve go back, so that its points cannot be told apart from those that a restart supersedes."""


def reduce_run(run: Path, folder: Path) -> ReducedRun | None:
    """Write the small event file of a large run into `folder`; None for one that must be loaded as it is.

    That is a run of less than 8 MiB, one whose steps go back, and one without an index that can be trusted; a run of
    ours gets one. Blocks; never raises for a run that cannot be read.
    """
    try:
        if event_bytes(run) < MIN_BYTES:
            return None
        index = current_index(run)
        if index is None and (run / RUN_FILE).is_file():
            update_index(run)
            index = current_index(run)
        return None if index is None else ReducedRun(index, folder)
    except (OSError, TooManyCurves, StepsGoBack) as error:
        log.debug("%s is shown as it is: %s", run, error)
    except Exception as error:  # an index is of unknown origin
        log.debug("%s: its index is damaged: %s", run, error)
    return None


class _OtherEvents(EventDecoder):
    """Pass on what events hold beside scalars, as they are, without what restarts supersede."""

    def __init__(self, tensor_tags: Sequence[str], restarts: Sequence[int]) -> None:
        super().__init__(frozenset({Summary}))
        self.know_tensors(tensor_tags)
        self._restarts, self._count = restarts, 0

    def decode(self, event: Any, records: list[Record]) -> None:
        """Append an event without its scalars, if anything remains."""
        kind = event.WhichOneof("what")
        if kind == "session_log":
            self._count += event.session_log.status == event.session_log.START
            return
        if kind in ("file_version", None) or self._is_superseded(event):
            return
        if kind == "summary":
            kept = [value for value in event.summary.value if not self._is_scalar(value)]
            if not kept:
                return
            if len(kept) < len(event.summary.value):
                event = type(event)(wall_time=event.wall_time, step=event.step, summary=type(event.summary)(value=kept))
        records.append(Summary("", event.SerializeToString(), event.step, event.wall_time))

    def _is_scalar(self, value: Any) -> bool:
        if value.WhichOneof("value") == "simple_value":
            return True
        return self._plugin(value.tag, value.metadata.plugin_data.plugin_name) == "scalars"

    def _is_superseded(self, event: Any) -> bool:
        if self._count >= len(self._restarts) or event.step < self._restarts[self._count]:
            return False
        return not any(value.metadata.plugin_data.plugin_name == "hparams" for value in event.summary.value)


def _curves(index: RunIndex) -> Iterator[Curve]:
    for tag in index.tags:
        steps, values, _ = _columns(index.series(tag))
        yield tag, steps, values, index.times_of(tag, steps)


def _columns(series: DownsampledSeries) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    """Return the stored points in their order: steps, values, and times. NaN and infinity are as they were."""
    points = sorted({point for bucket in series.buckets()[1] for point in bucket if point is not None})
    _, steps, values, times = zip(*points) if points else ((), (), (), ())
    return np.array(steps, np.int64), np.array(values, np.float64), np.array(times, np.float64)


def _block(curves: Iterable[Curve]) -> ScalarBlock:
    """Return the points of curves as a block, one curve after the other."""
    own = [curve for curve in curves if len(curve[1])]
    empty = [np.zeros(0)]
    return ScalarBlock(
        [(tag,) for tag, _, _, _ in own],
        np.repeat(np.arange(len(own), dtype=np.int32), [len(steps) for _, steps, _, _ in own]),
        np.concatenate([steps for _, steps, _, _ in own] or [np.zeros(0, np.int64)]),
        np.concatenate([times for *_, times in own] or empty),
        np.concatenate([values for _, _, values, _ in own] or empty),
    )
