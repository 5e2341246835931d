"""Read event files as records: our own files, and those of PyTorch, TensorFlow, JAX, and other writers."""

from __future__ import annotations

import logging
from collections import Counter
from typing import TYPE_CHECKING, Any

from monitor.events.decoding import TEXT_SUFFIX, decode_settings, decode_value
from monitor.events.files import event_files
from monitor.events.framing import FrameReader
from monitor.metrics import BEST_PREFIX
from monitor.records import Checkpoint, Config, Images, Record, Restart, Scalar, Text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from tensorboard.compat.proto.event_pb2 import Event

log = logging.getLogger("monitor")

RECORDS_PER_LIST = 2000  # fewer if there are images among them
BYTES_PER_RECORD = 16_384  # this many bytes of images count as one more record
SESSION_START, SESSION_CHECKPOINT = 1, 3  # of `SessionLog.SessionStatus`


class EventReader:
    """Read the event files of one run as records, repeatedly while they grow.

    Attributes:
        run: the run directory, or one event file.
        skipped: the number of values for which there is no record, by plugin or kind.
    """

    def __init__(
        self, run: Path, is_wanted: Callable[[str], bool] | None = None, files: Sequence[Path] | None = None
    ) -> None:
        """Prepare to read; no file is opened yet.

        Args:
            run: the run directory, or one event file.
            is_wanted: tells for a tag whether to read it; by default, all are read.
            files: the files to read; by default, all event files of the run, also new ones.
        """
        self.run = run
        self.skipped: Counter[str] = Counter()
        self._files = files
        self._is_wanted = is_wanted
        self._frame_readers: dict[Path, FrameReader] = {}
        self._image_bytes = 0  # in the list that is being filled
        self._has_settings = False  # then the run also has the copies of records that our writer adds
        self._plugins: dict[str, str] = {}  # by tag; writers name the plugin in the first value of a tag only

    @property
    def damaged(self) -> int:
        """The number of events that could not be read."""
        return sum(reader.damaged for reader in self._frame_readers.values())

    @property
    def torn(self) -> int:
        """The number of bytes at the ends of the files that are not a complete event."""
        return sum(reader.torn for reader in self._frame_readers.values())

    def records(self) -> Iterator[list[Record]]:
        """Yield the records since the last call, in lists of a few thousand. Blocks while it reads.

        Records that a restart supersedes are included; `read_history` leaves them out. Raises `OSError`.
        """
        records: list[Record] = []
        for path in event_files(self.run) if self._files is None else self._files:
            reader = self._frame_readers.setdefault(path, FrameReader(path))
            for event in reader.events():
                self._read_event(event, records)
                if len(records) + self._image_bytes // BYTES_PER_RECORD >= RECORDS_PER_LIST:
                    yield records
                    records, self._image_bytes = [], 0
        if records:
            yield records

    def _read_event(self, event: Event, records: list[Record]) -> None:
        """Append the records of one event."""
        kind = event.WhichOneof("what")
        if kind == "summary":
            step, wall_time = event.step, event.wall_time
            for value in event.summary.value:
                tag = value.tag
                if value.WhichOneof("value") == "simple_value":
                    if tag[:5] == BEST_PREFIX and self._has_settings:
                        continue  # the best value so far, which follows from the others
                    if self._is_wanted is None or self._is_wanted(tag):
                        records.append(Scalar(tag, value.simple_value, step, wall_time))
                else:
                    self._read_value(value, step, wall_time, records)
        elif kind == "session_log":
            if event.session_log.status == SESSION_START:
                records.append(Restart(event.step, event.wall_time))
            elif event.session_log.status == SESSION_CHECKPOINT:
                records.append(Checkpoint(event.session_log.checkpoint_path, event.step, event.wall_time))
        elif kind not in ("file_version", None):
            self.skipped[kind.replace("_", " ")] += 1

    def _read_value(self, value: Any, step: int, wall_time: float, records: list[Record]) -> None:
        """Append the record of a value that is not a plain scalar."""
        tag = value.tag
        if value.metadata.plugin_data.plugin_name:
            self._plugins.setdefault(tag, value.metadata.plugin_data.plugin_name)
        plugin = self._plugins.get(tag)
        if plugin == "hparams":
            settings = decode_settings(value.metadata.plugin_data.content, wall_time)
            if settings is not None:
                self._has_settings = True
                records.append(settings)
            return
        if self._is_wanted is not None and not self._is_wanted(tag.removesuffix(TEXT_SUFFIX)):
            return
        try:
            record = decode_value(value, plugin, step, wall_time)
        except Exception as error:  # a damaged value must not hide the others
            log.debug("%s: %s at step %s: %s", self.run, tag, step, error)
            record = None
        if isinstance(record, Text) and record.tag == "config" and self._has_settings:
            return  # the settings again, as text
        if record is None:
            self.skipped[plugin or str(value.WhichOneof("value") or "empty value")] += 1
        else:
            self._image_bytes += record.images.nbytes if isinstance(record, Images) else 0
            records.append(record)


def read_history(
    run: Path, is_wanted: Callable[[str], bool] | None = None, files: Sequence[Path] | None = None
) -> Iterator[list[Record]]:
    """Yield the records of a run without those that a restart supersedes, as TensorBoard shows them.

    The arguments are those of `EventReader`. Blocks while it reads: 1,000,000 scalars take about ten seconds. Raises
    `OSError`.
    """
    files = event_files(run) if files is None else files
    restart_steps = _restart_steps(files)
    restarts = 0
    for records in EventReader(run, is_wanted, files).records():
        current: list[Record] = []
        for record in records:
            if isinstance(record, Restart):
                restarts += 1
            elif (
                restarts >= len(restart_steps)
                or isinstance(record, Config | Checkpoint)
                or record.step < restart_steps[restarts]
            ):
                current.append(record)
        if current:
            yield current


def read_scalars(run: Path, tags: Iterable[str]) -> dict[str, list[tuple[int, float]]]:
    """Return the (step, value) points of each tag, without those that a restart supersedes. Blocks while it reads."""
    points: dict[str, list[tuple[int, float]]] = {tag: [] for tag in tags}
    for records in read_history(run, points.__contains__):
        for record in records:
            if isinstance(record, Scalar) and record.tag in points:
                points[record.tag].append((record.step, record.value))
    return points


def _restart_steps(files: Sequence[Path]) -> list[int]:
    """Return, for each number of restarts before a record, the step from which on the record is superseded."""
    from tensorboard.compat.proto.event_pb2 import Event

    steps = []
    for path in files:
        for data in FrameReader(path).frames():
            if b"\x3a" in data:  # the key of the field `session_log`; most events do not contain this byte
                event = Event.FromString(data)
                if event.HasField("session_log") and event.session_log.status == SESSION_START:
                    steps.append(event.step)
    for index in range(len(steps) - 2, -1, -1):
        steps[index] = min(steps[index], steps[index + 1])
    return steps
