"""Read event files as records: our own files, and those of PyTorch, TensorFlow, JAX, and other writers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from monitor.events.event_decoder import EventDecoder
from monitor.events.files import event_files
from monitor.events.media.projector import ProjectorReader
from monitor.records import RECORD_TYPES, Checkpoint, Config, Embedding, Record, Restart, Scalar

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from monitor.events.reading.batches import BatchDecoder
    from monitor.events.reading.pieces import PieceReader
    from monitor.scalar_block import ScalarBlock

RECORDS_PER_LIST = 2000  # fewer if there are large ones among them
RECORDS_PER_PART = 500  # of a block
BYTES_PER_RECORD = 16_384  # this many bytes of images, texts, and tags count as one more record


class EventReader:
    """Read the event files of one run as records, repeatedly while they grow.

    Attributes:
        run: the run directory, or one event file.
    """

    def __init__(
        self,
        run: Path,
        is_wanted: Callable[[str], bool] | None = None,
        files: Sequence[Path] | None = None,
        on_error: Callable[[Path, OSError], None] | None = None,
        kinds: frozenset[type] = RECORD_TYPES,
        *,
        keeps_copies: bool = False,
    ) -> None:
        """Prepare to read; no file is opened yet.

        Args:
            run: the run directory, or one event file.
            is_wanted: tells for a tag whether to read it; by default, all are read.
            files: the files to read; by default, all event files of the run, also new ones.
            on_error: called for a file that cannot be read, which is then left out; by default, the error is raised.
            kinds: the types of records to read. Others need not be decoded.
            keeps_copies: read the best values that our writer adds, too, if there are settings; by default, they are
                read only if `kinds` is without `Config`.
        """
        self.run = run
        self._files, self._on_error = files, on_error
        self._decoder = EventDecoder(kinds, is_wanted, keeps_copies=keeps_copies)
        self._batch_decoder: BatchDecoder | None = None
        self._frame_readers: dict[Path, PieceReader] = {}
        has_embeddings = Embedding in kinds and files is None and is_wanted is None and run.is_dir()
        self._projector = ProjectorReader(run, self.skipped) if has_embeddings else None

    @property
    def skipped(self) -> Counter[str]:
        """The number of values for which there is no record, by plugin or kind."""
        return self._decoder.skipped

    @property
    def damaged(self) -> int:
        """The number of events that could not be read."""
        return sum(reader.damaged for reader in self._frame_readers.values())

    @property
    def torn(self) -> int:
        """The number of bytes at the ends of the files that are not a complete event."""
        return sum(reader.torn for reader in self._frame_readers.values())

    @property
    def offsets(self) -> dict[Path, int]:
        """How far each file was read, in bytes."""
        return {path: reader.offset for path, reader in self._frame_readers.items()}

    @property
    def others(self) -> int:
        """The number of values and marks so far that are no scalars, wanted or not, unless all were left out."""
        return self._decoder.others

    @property
    def tensor_tags(self) -> list[str]:
        """The tags of the tensors that are scalars, so far."""
        return self._decoder.tensor_tags()

    def skip(self, offsets: Mapping[Path, int], tensor_tags: Sequence[str] = (), *, has_settings: bool = False) -> None:
        """Leave out the first bytes of files, which end between two events.

        They say that tensors with `tensor_tags` are scalars, and may have settings.
        """
        self._decoder.has_settings = has_settings
        self._decoder.know_tensors(tensor_tags)
        for path, offset in offsets.items():
            self._reader(path).offset = offset

    def batches(self, stops: Mapping[Path, int] | None = None) -> Iterator[ScalarBlock | list[Record]]:
        """Yield what is new since the last call, in order: scalars as blocks, and the other records. Blocks.

        A plain `Scalar` comes in a list only beside other records of its event. Takes memory for a megabyte of a file,
        or for one event. Raises `OSError`.

        Args:
            stops: for each file that is to be read, about how far; by default, all are read to their ends.
        """
        from monitor.events.reading.batches import BatchDecoder

        if self._batch_decoder is None:
            self._batch_decoder = BatchDecoder(self._decoder)
        files = event_files(self.run) if self._files is None else self._files
        for path in files if stops is None else [path for path in files if path in stops]:
            try:
                yield from self._batch_decoder.batches(self._reader(path), None if stops is None else stops[path])
            except OSError as error:
                if self._on_error is None:
                    raise
                self._on_error(path, error)
        for embedding in self._projector.new() if self._projector is not None else ():
            yield [embedding]

    def records(self) -> Iterator[list[Record]]:
        """Yield the records since the last call, in lists of a few thousand. Blocks while it reads.

        Records that a restart supersedes are included; `read_history` leaves them out. Raises `OSError`.
        """
        records: list[Record] = []
        large_bytes = 0  # of images, texts, and tags in the list
        for part in self._parts():
            records += part
            large_bytes += sum(map(_size, part))
            del part  # only one large event is in memory at a time
            if len(records) + large_bytes // BYTES_PER_RECORD >= RECORDS_PER_LIST:
                full, records, large_bytes = [records], [], 0
                yield full.pop()
        if records:
            yield records

    def _parts(self) -> Iterator[list[Record]]:
        """Yield the records since the last call, in short lists."""
        for batch in self.batches():
            if isinstance(batch, list):
                only = [batch]
                del batch
                yield only.pop()
                continue
            rest: ScalarBlock | None = batch
            while rest is not None:
                part, rest = rest.split(RECORDS_PER_PART)
                yield list(part.records())

    def _reader(self, path: Path) -> PieceReader:
        from monitor.events.reading.pieces import PieceReader

        return self._frame_readers.setdefault(path, PieceReader(path))


def _size(record: Any) -> int:
    """Return about how many bytes a record takes beside a few numbers."""
    if type(record) is Scalar:
        return len(record.tag)
    return sum(_field_size(field) for field in record)


def _field_size(field: Any) -> int:
    if isinstance(field, bytes):
        return len(field)
    if isinstance(field, str):
        return 4 * len(field)
    if isinstance(field, tuple):
        return sum(map(_field_size, field))
    nbytes = getattr(field, "nbytes", 0)
    return nbytes if isinstance(nbytes, int) else 0


def read_history(
    run: Path,
    is_wanted: Callable[[str], bool] | None = None,
    files: Sequence[Path] | None = None,
    on_error: Callable[[Path, OSError], None] | None = None,
    kinds: frozenset[type] = RECORD_TYPES,
) -> Iterator[list[Record]]:
    """Yield the records of a run without those that a restart supersedes, as TensorBoard shows them.

    The arguments are those of `EventReader`. Blocks while it reads. Raises `OSError`. `history` has scalars as blocks,
    which is many times faster.
    """
    files = event_files(run) if files is None else files
    restart_steps = find_restarts(files, None if on_error is None else _ignore_error)
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
    for records in read_history(run, points.__contains__, on_error=on_error, kinds=frozenset({Scalar})):
        for record in records:
            if isinstance(record, Scalar) and record.tag in points:
                points[record.tag].append((record.step, record.value))
    return points


def find_restarts(files: Sequence[Path], on_error: Callable[[Path, OSError], None] | None = None) -> list[int]:
    """Return, for each number of restarts before a record, the step from which on the record is superseded."""
    steps = []
    for path in files:
        for batch in EventReader(path, _nothing, [path], on_error, frozenset({Restart})).batches():
            steps += [record.step for record in batch if isinstance(record, Restart)] if isinstance(batch, list) else []
    for index in range(len(steps) - 2, -1, -1):
        steps[index] = min(steps[index], steps[index + 1])
    return steps


def _nothing(_tag: str) -> bool:
    return False


def _ignore_error(_path: Path, _error: OSError) -> None:
    """Do nothing: the second pass reports the error."""
