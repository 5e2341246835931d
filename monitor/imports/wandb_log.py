"""Read a run of W&B as records, from its own log (`run-ID.wandb`), while it grows or after it ended.

W&B need not be installed.
"""

from __future__ import annotations

import errno
from collections import Counter
from itertools import islice
from typing import TYPE_CHECKING, Any

from monitor.imports.block_log import BlockLogReader
from monitor.imports.plain_text import markdown_table
from monitor.imports.wandb_media import Unsupported, checked_text
from monitor.imports.wandb_messages import KIND, parse_record
from monitor.imports.wandb_settings import Settings
from monitor.imports.wandb_values import (
    MAX_NESTING,
    collect_media,
    decode_json,
    decode_value,
    flatten,
)
from monitor.records import Config, Record, Scalar, Text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

RECORDS_PER_LIST = 2000  # fewer if there are large ones among them
BYTES_PER_RECORD = 16_384  # this many bytes of images and texts count as one more record
MAX_TAG_CHARS = 2**14
MAX_KIND_CHARS = 60
MAX_TIME_S = 2**37  # since the epoch; later times are no dates
MAX_LOGGED_KEYS = 100_000  # that are remembered
STEP_LIMIT = 2**63
RUN_IS_AMONG_FIRST = 100  # records of a log
STEP, TIME = "_step", "_timestamp"
OWN_KEYS = ("_runtime", "_wandb")  # W&B adds them to each row, or to the settings
ALERT_TAG, SUMMARY_TAG = "alert", "summary"
# Kinds of records for which there is none of ours, as the user knows them. Those that are not here are W&B's own notes.
SKIPPED_KINDS = {
    "artifact": "artifact",
    "metric": "metric definition",
    "output": "console output",
    "output_raw": "console output",
    "stats": "system metrics",
    "tbrecord": "TensorBoard log",
    "use_artifact": "used artifact",
}


class WandbReader:
    """Read one run's log as records, repeatedly while it grows.

    Attributes:
        path: the log file.
        skipped: how many values and records there were for which there is no record of ours, by kind.
        name: what the user called the run, or its ID; empty until it was read.
        run_id: the ID of the run; empty until it was read.
        exit_code: that of the program; None as long as the log has no end.
    """

    def __init__(self, path: Path, on_error: Callable[[Path, OSError], None] | None = None) -> None:
        """Prepare to read; the file is not opened yet.

        `on_error` is called if the file cannot be read; by default, the error is raised.
        """
        self.path = path
        self.skipped: Counter[str] = Counter()
        self.name = self.run_id = ""
        self.exit_code: int | None = None
        self._on_error = on_error
        self._log = BlockLogReader(path)
        self._undecoded = 0
        self._files = path.parent / "files"
        self._next_step = 0  # of a row that does not say its step
        self._large_bytes = 0  # of images and texts in the list that is being filled
        self._config, self._summary = Settings(), Settings()
        self._time = 0.0  # of what was read last
        self._logged: set[str] = set()

    @property
    def damaged(self) -> int:
        """The number of places in the file that could not be read."""
        return self._log.damaged + self._undecoded

    @property
    def torn(self) -> int:
        """The number of bytes at the end of the file that are not a complete record."""
        return self._log.torn

    def records(self) -> Iterator[list[Record]]:
        """Yield the records since the last call, in lists of a few thousand.

        Blocks while it reads. Raises `OSError`.
        """
        records: list[Record] = []
        for data in self._encoded_records():
            self._read(data, records)
            del data  # only one large record is in memory at a time
            if len(records) + self._large_bytes // BYTES_PER_RECORD >= RECORDS_PER_LIST:
                full, records, self._large_bytes = [records], [], 0
                yield full.pop()
        self._add_config(records)
        if records:
            yield records

    def _encoded_records(self) -> Iterator[bytes]:
        """Yield the bytes of each record; of a file that cannot be read, those before the error."""
        try:
            yield from self._log.records()
            if self._log.refused:
                raise OSError(errno.EINVAL, self._log.refused, str(self.path))
        except OSError as error:
            if self._on_error is None:
                raise
            self._on_error(self.path, error)

    def _read(self, data: bytes, records: list[Record]) -> None:
        """Append the records of one record of W&B's."""
        record = parse_record(data)
        if record is None:
            self._undecoded += 1
            return
        kind = record.WhichOneof(KIND)
        if kind == "history":
            self._add_config(records)
            self._read_row(record.history, records)
        elif kind == "summary":
            self._update(self._summary, record.summary)
        elif kind == "config":
            self._update(self._config, record.config)
        elif kind == "run":
            self._read_run(record.run)
        elif kind == "alert":
            self._add(ALERT_TAG, f"{record.alert.title}: {record.alert.text}", self._next_step, records)
        elif kind == "exit":
            self.exit_code = record.exit.exit_code
            self._add_summary(records)
        elif kind in SKIPPED_KINDS:
            self.skipped[SKIPPED_KINDS[kind]] += 1

    def _read_run(self, run: Any) -> None:
        """Take in what the run is called, and its first settings."""
        self.run_id = run.run_id or self.run_id
        self.name = run.display_name or self.name or self.run_id
        self._next_step = max(self._next_step, run.starting_step)
        self._time = self._time or _valid_time(run.start_time.seconds + run.start_time.nanos / 1e9)
        self._update(self._config, run.config)
        self._update(self._summary, run.summary)

    def _read_row(self, row: Any, records: list[Record]) -> None:
        """Append the records of one row of the history."""
        step: int | None = None
        items: list[tuple[str, str]] = []
        nested: list[tuple[tuple[str, ...], str]] = []
        for item in row.item:
            path = item.nested_key
            if len(path) > 1:
                nested.append((tuple(path), item.value_json))
                continue
            key = path[0] if path else item.key
            if key == STEP:
                step = _as_int(item.value_json)
            elif key == TIME:
                self._time = _valid_time(_as_float(item.value_json))
            elif key not in OWN_KEYS:
                items.append((key, item.value_json))
        if step is None:
            step = row.step.num if row.HasField("step") else self._next_step
        if not -STEP_LIMIT <= step < STEP_LIMIT - 1:
            self.skipped["row with a step out of range"] += 1
            return
        self._next_step = step + 1
        media, plain = collect_media(nested)
        for key, text in items + plain:
            self._read_value(key, text, step, records)
        for key, value in media.items():
            self._note(key)
            self._add(key, value, step, records)

    def _read_value(self, key: str, text: str, step: int, records: list[Record]) -> None:
        """Append the records of a value."""
        try:
            number = float(text)  # nearly all values are numbers
        except ValueError:
            pass
        else:
            if len(key) <= MAX_TAG_CHARS:
                records.append(Scalar(key, number, step, self._time))
                if key not in self._logged:
                    self._note(key)
                return
        try:
            value = decode_json(text)
        except Unsupported as reason:
            self.skipped[str(reason)] += 1
            return
        for tag, part in flatten(key, value):
            self._note(tag)
            self._add(tag, part, step, records)

    def _add(self, tag: str, value: Any, step: int, records: list[Record]) -> None:
        """Append the records of a value, or count it as skipped."""
        if len(tag) > MAX_TAG_CHARS:
            self._skip_tag()
            return
        try:
            found = decode_value(tag, value, step, self._time, self._files)
        except Unsupported as reason:
            self.skipped[str(reason)[:MAX_KIND_CHARS]] += 1
        else:
            self._large_bytes += sum(map(_size, found))
            records += found

    def _note(self, tag: str) -> None:
        if len(self._logged) < MAX_LOGGED_KEYS:
            self._logged.add(tag)

    def _skip_tag(self) -> None:
        self.skipped[f"tag of more than {MAX_TAG_CHARS:,} characters"] += 1

    def _update(self, settings: Settings, changes: Any) -> None:
        if left_out := settings.update(changes):
            self.skipped["large setting"] += left_out

    def _add_config(self, records: list[Record]) -> None:
        """Append the settings, if they changed."""
        if self._config.changed:
            self._config.changed = False
            values = {key: value for key, value in self._config.values() if key.partition(".")[0] not in OWN_KEYS}
            records.append(Config(values, self._time))

    def _add_summary(self, records: list[Record]) -> None:
        """Append what is in the summary alone, such as a result that the program computed at its end."""
        shown = {*self._logged, STEP, TIME, *OWN_KEYS}
        rows = [[key, value] for key, value in self._summary.values() if shown.isdisjoint(_key_and_parents(key))]
        if rows:
            text = checked_text(markdown_table(["name", "value"], rows))
            records.append(Text(SUMMARY_TAG, text, max(0, self._next_step - 1), self._time))


def _key_and_parents(key: str) -> Iterator[str]:
    """Yield a key, and those of the dicts that it is in."""
    for _ in range(MAX_NESTING):
        yield key
        key = key.rpartition(".")[0]


def _as_int(text: str) -> int | None:
    """Return a whole number; None for anything else."""
    try:
        return int(text) if len(text) < 20 else None
    except ValueError:
        return None


def _as_float(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0


def _valid_time(time: float) -> float:
    return time if 0 <= time < MAX_TIME_S else 0.0  # NaN is neither


def _size(value: Any) -> int:
    """Return about how many bytes a record takes, or one of its parts."""
    if isinstance(value, tuple):
        return sum(map(_size, value))
    if isinstance(value, str | bytes):
        return (4 if isinstance(value, str) else 1) * len(value)
    return int(getattr(value, "nbytes", 0))


def read_run_name(path: Path) -> str:
    """Return what the user called a run, or its ID; empty if the beginning of its log does not say it."""
    try:
        for data in islice(BlockLogReader(path).records(), RUN_IS_AMONG_FIRST):
            record = parse_record(data)
            if record is not None and record.WhichOneof(KIND) == "run":
                return str(record.run.display_name or record.run.run_id)
    except OSError:
        pass
    return ""
