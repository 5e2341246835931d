"""Read event files as records: our own files, and those of PyTorch, TensorFlow, JAX, and other writers."""

from __future__ import annotations

import logging
from collections import Counter
from typing import TYPE_CHECKING, Any

from monitor.events.decoding import TEXT_SUFFIX, decode_settings, decode_value, record_type
from monitor.events.files import event_files
from monitor.events.framing import FrameReader, parse_event
from monitor.metrics import BEST_PREFIX
from monitor.records import RECORD_TYPES, Checkpoint, Config, Histogram, Images, Record, Restart, Scalar, Text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from tensorboard.compat.proto.event_pb2 import Event

log = logging.getLogger("monitor")

RECORDS_PER_LIST = 2000  # fewer if there are large ones among them
BYTES_PER_RECORD = 16_384  # this many bytes of images, texts, and tags count as one more record
MAX_TAG_CHARS = 2**14
MAX_KIND_CHARS = 60
MAX_PLUGIN_CHARS = 2**24  # of all tags whose plugin is remembered
MAX_TIME_S = 2**37  # since the epoch; later times are no dates
SESSION_START, SESSION_CHECKPOINT = 1, 3  # of `SessionLog.SessionStatus`


class EventReader:
    """Read the event files of one run as records, repeatedly while they grow.

    Attributes:
        run: the run directory, or one event file.
        skipped: the number of values for which there is no record, by plugin or kind.
    """

    def __init__(
        self,
        run: Path,
        is_wanted: Callable[[str], bool] | None = None,
        files: Sequence[Path] | None = None,
        on_error: Callable[[Path, OSError], None] | None = None,
        kinds: frozenset[type] = RECORD_TYPES,
    ) -> None:
        """Prepare to read; no file is opened yet.

        Args:
            run: the run directory, or one event file.
            is_wanted: tells for a tag whether to read it; by default, all are read.
            files: the files to read; by default, all event files of the run, also new ones.
            on_error: called for a file that cannot be read, which is then left out; by default, the error is raised.
            kinds: the types of records to read. Others need not be decoded.
        """
        self.run = run
        self.skipped: Counter[str] = Counter()
        self._files, self._on_error, self._kinds = files, on_error, kinds
        self._is_wanted = is_wanted
        self._wants_scalars = Scalar in kinds
        self._frame_readers: dict[Path, FrameReader] = {}
        self._large_bytes = 0  # of images, texts, and tags in the list that is being filled
        self._has_settings = False  # then the run also has the copies of records that our writer adds
        self._plugins: dict[str, str] = {}  # by tag; writers name the plugin in the first value of a tag only
        self._plugin_chars = 0

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
            for event in reader.events() if self._on_error is None else _events(reader, self._on_error):
                self._read_event(event, records)
                del event  # only one large event is in memory at a time
                if len(records) + self._large_bytes // BYTES_PER_RECORD >= RECORDS_PER_LIST:
                    full, records, self._large_bytes = [records], [], 0
                    yield full.pop()
        if records:
            yield records

    def _read_event(self, event: Event, records: list[Record]) -> None:
        """Append the records of one event."""
        kind = event.WhichOneof("what")
        wall_time = event.wall_time if 0 <= event.wall_time < MAX_TIME_S else 0.0  # NaN is neither
        if kind == "summary":
            step = event.step
            for value in event.summary.value:
                tag = value.tag
                if len(tag) > MAX_TAG_CHARS:
                    self.skipped[f"tag of more than {MAX_TAG_CHARS:,} characters"] += 1
                elif value.WhichOneof("value") == "simple_value":
                    if tag[:5] == BEST_PREFIX and self._has_settings:
                        continue  # the best value so far, which follows from the others
                    if self._wants_scalars and (self._is_wanted is None or self._is_wanted(tag)):
                        self._large_bytes += len(tag)
                        records.append(Scalar(tag, value.simple_value, step, wall_time))
                else:
                    self._read_value(value, step, wall_time, records)
        elif kind == "session_log":
            records += [record for record in _session_records(event, wall_time) if type(record) in self._kinds]
        elif kind not in ("file_version", None):
            self.skipped[kind.replace("_", " ")] += 1

    def _read_value(self, value: Any, step: int, wall_time: float, records: list[Record]) -> None:
        """Append the record of a value that is not a plain scalar."""
        tag = value.tag
        plugin = self._plugin(tag, value.metadata.plugin_data.plugin_name)
        if record_type(value, plugin) not in (None, *self._kinds):
            return
        if plugin != "hparams" and self._is_wanted is not None and not self._is_wanted(tag.removesuffix(TEXT_SUFFIX)):
            return
        try:
            if plugin == "hparams":
                settings = decode_settings(value.metadata.plugin_data.content, wall_time)
                if settings is not None:
                    self._has_settings = True
                    records.append(settings)
                return
            record = decode_value(value, plugin, step, wall_time)
        except Exception as error:  # a damaged value must not hide the others
            log.debug("%s: %s at step %s: %s", self.run, tag[:200], step, error)
            record = None
        if isinstance(record, Text) and record.tag == "config" and self._has_settings:
            return  # the settings again, as text
        if record is None:
            self.skipped[(plugin or str(value.WhichOneof("value") or "empty value"))[:MAX_KIND_CHARS]] += 1
        else:
            self._large_bytes += len(tag) + _size(record)
            records.append(record)

    def _plugin(self, tag: str, named: str) -> str | None:
        """Return the plugin of a tag: the one named in its first value that names one."""
        plugin = self._plugins.get(tag)
        if plugin is None and named:
            plugin = named
            if self._plugin_chars < MAX_PLUGIN_CHARS:
                self._plugins[tag] = named
                self._plugin_chars += len(tag) + len(named)
        return plugin


def _events(reader: FrameReader, on_error: Callable[[Path, OSError], None]) -> Iterator[Event]:
    """Yield the events of a file; of one that cannot be read, those before the error."""
    try:
        yield from reader.events()
    except OSError as error:
        on_error(reader.path, error)


def _session_records(event: Event, wall_time: float) -> list[Record]:
    """Return the record of an event that marks a restart or a checkpoint."""
    if event.session_log.status == SESSION_START:
        return [Restart(event.step, wall_time)]
    if event.session_log.status == SESSION_CHECKPOINT:
        return [Checkpoint(event.session_log.checkpoint_path, event.step, wall_time)]
    return []


def _size(record: Record) -> int:
    """Return about how many bytes a record takes that may be a large one."""
    if isinstance(record, Images):
        return record.images.nbytes
    if isinstance(record, Histogram) and record.buckets is not None:
        return record.buckets[0].nbytes + record.buckets[1].nbytes
    return 4 * len(record.text) if isinstance(record, Text) else 0


def read_history(
    run: Path,
    is_wanted: Callable[[str], bool] | None = None,
    files: Sequence[Path] | None = None,
    on_error: Callable[[Path, OSError], None] | None = None,
    kinds: frozenset[type] = RECORD_TYPES,
) -> Iterator[list[Record]]:
    """Yield the records of a run without those that a restart supersedes, as TensorBoard shows them.

    The arguments are those of `EventReader`. Blocks while it reads: 1,000,000 scalars take about ten seconds. Raises
    `OSError`.
    """
    files = event_files(run) if files is None else files
    restart_steps = _restart_steps(files, None if on_error is None else _ignore_error)
    restarts = 0
    for records in EventReader(run, is_wanted, files, on_error, kinds | {Restart}).records():
        only = [_not_superseded(records, restart_steps[restarts:])]
        restarts += sum(isinstance(record, Restart) for record in records)
        del records  # large ones are held by the caller alone
        if only[0]:
            yield only.pop()


def _not_superseded(records: list[Record], restart_steps: list[int]) -> list[Record]:
    """Return the records that the restarts among them and after them leave, without the restarts."""
    restarts = 0
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
    return current


def read_scalars(
    run: Path, tags: Iterable[str], on_error: Callable[[Path, OSError], None] | None = None
) -> dict[str, list[tuple[int, float]]]:
    """Return the (step, value) points of each tag, without those that a restart supersedes. Blocks while it reads."""
    points: dict[str, list[tuple[int, float]]] = {tag: [] for tag in tags}
    for records in read_history(run, points.__contains__, on_error=on_error):
        for record in records:
            if isinstance(record, Scalar) and record.tag in points:
                points[record.tag].append((record.step, record.value))
    return points


def _restart_steps(files: Sequence[Path], on_error: Callable[[Path, OSError], None] | None) -> list[int]:
    """Return, for each number of restarts before a record, the step from which on the record is superseded."""
    steps = []
    for path in files:
        try:
            for data in FrameReader(path).frames():
                if b"\x3a" in data:  # the key of the field `session_log`; most events do not contain this byte
                    event = parse_event(data)
                    session = event.session_log if event is not None and event.HasField("session_log") else None
                    if event is not None and session is not None and session.status == SESSION_START:
                        steps.append(event.step)
        except OSError as error:
            if on_error is None:
                raise
            on_error(path, error)
    for index in range(len(steps) - 2, -1, -1):
        steps[index] = min(steps[index], steps[index + 1])
    return steps


def _ignore_error(_path: Path, _error: OSError) -> None:
    """Do nothing: the second pass reports the error."""
