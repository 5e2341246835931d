"""`monitor.read`: the scalars of runs as arrays and as data frames."""

from __future__ import annotations

import os
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from monitor.comparison.compare import find_runs, load_run
from monitor.comparison.event_data import fold_run
from monitor.comparison.tables import make_table
from monitor.errors import DataError
from monitor.events.files import event_files
from monitor.events.index.index_marks import ranges
from monitor.events.index.index_update import current_index
from monitor.events.reading.history import KINDS, before_restart, select_tags, without_superseded
from monitor.events.reading.reader import EventReader, find_restarts
from monitor.metrics import is_best_value, is_system
from monitor.records import Config
from monitor.remote.mirror import local_name
from monitor.runs.listing.series_folders import read_series_folders
from monitor.runs.run import Run
from monitor.scalar_block import ScalarBlock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from monitor.comparison.compare import ComparedRun
    from monitor.events.reading.history import Batch

WITHOUT_COPIES = KINDS | {Config}  # a reader that knows of settings leaves out what our writer adds


class Points(NamedTuple):
    """The N points of one tag, in the order in which they were logged.

    Attributes:
        steps: int64.
        values: float64; the event file has float32.
        times: seconds since the epoch, float64.
    """

    steps: NDArray[np.int64]
    values: NDArray[np.float64]
    times: NDArray[np.float64]


class StoredRun:
    """One run on disk, of any writer.

    Attributes:
        name: tells it apart from the others that were read with it.
        path: its directory.
    """

    def __init__(self, name: str, path: Path) -> None:
        """Prepare to read; no file is opened yet."""
        self.name, self.path = name, path
        self._tags: list[str] | None = None

    @cached_property
    def _loaded(self) -> ComparedRun:
        return load_run(self.name, self.path)

    @property
    def status(self) -> str:
        """How the run is, such as `finished`; empty for a run of another program."""
        return self._loaded.status

    @property
    def config(self) -> Mapping[str, Any]:
        """The settings. Without `run.json`, the event files are read for them; then it blocks, and raises `OSError`."""
        return self._loaded.config

    @property
    def metrics(self) -> Mapping[str, Mapping[str, Any]]:
        """By tag, `last` and `step`, and `best` and `best_step` for a metric with a goal; read like `config`."""
        return self._loaded.metrics

    def __repr__(self) -> str:
        """Return its name and its path."""
        return f"<StoredRun {self.name!r} in {str(self.path)!r}>"

    def tags(self) -> list[str]:
        """Return the tags of all scalars, in the order in which they appear. Blocks; raises `OSError`.

        The best values so far, which the TensorBoard sink adds for HPARAMS, are left out.
        """
        if self._tags is None:
            index = current_index(self.path)
            if index is None:
                self._tags = fold_run(self.path, _fold_tags, kinds=WITHOUT_COPIES)
            else:
                own = [tag for tag in index.tags if not (index.has_settings and is_best_value(tag))]
                self._tags = list(dict.fromkeys((*own, *_fold_tags(read_series_folders(self.path)))))
        return list(self._tags)

    def pieces(self, tags: Sequence[str] | None = None) -> Iterator[dict[str, Points]]:
        """Yield the points of several tags, by default of all, piece by piece, each of about a megabyte of a file.

        Blocks; raises `OSError`.
        """
        files = event_files(self.path)
        wanted = None if tags is None else set(tags)
        is_wanted = None if wanted is None else wanted.__contains__
        reader = EventReader(self.path, is_wanted, files, kinds=WITHOUT_COPIES if wanted is None else KINDS)
        own = without_superseded(reader.batches(), find_restarts(files))
        for block in chain(own, read_series_folders(self.path, is_wanted)):
            if isinstance(block, ScalarBlock):
                yield {tag: Points(steps, values, times) for tag, steps, values, times in block.series()}

    def scalars(self, tag: str, first: int | None = None, last: int | None = None) -> Points:
        """Return the points of a tag from step `first` to step `last`, by default all.

        What a restart supersedes is left out. If the run has an index, only the parts of the event files are read in
        which these steps are. Blocks; raises `OSError`, and `DataError` if the run has no such tag.
        """
        found = self.all_scalars([tag], first, last)[tag]
        if not len(found.steps) and tag not in self.tags():
            known = ", ".join(self.tags()[:50])
            raise DataError(f"{self.name} has no scalars {tag!r}; known: {known or 'none'}")
        return found

    def all_scalars(
        self, tags: Sequence[str] | None = None, first: int | None = None, last: int | None = None
    ) -> dict[str, Points]:
        """Return the points of several tags, by default of all, by tag. The event files are read once.

        Blocks; raises `OSError`. A tag without points has empty arrays.
        """
        low, high = -(2**63) if first is None else first, 2**63 - 1 if last is None else last
        wanted = self.tags() if tags is None else list(tags)

        def fold(batches: Iterable[Batch]) -> dict[str, Points]:
            found: dict[str, list[Points]] = {tag: [] for tag in wanted}
            for block in batches:
                if isinstance(block, ScalarBlock):
                    for tag, steps, values, times in select_tags(block, found).series():
                        if tag in found:
                            inside = (steps >= low) & (steps <= high)
                            found[tag].append(Points(steps[inside], values[inside], times[inside]))
            return {tag: _joined(parts) for tag, parts in found.items()}

        is_wanted = set(wanted).__contains__
        if (first, last) != (None, None) and not any(map(is_system, wanted)):
            parts = self._parts(low, high)
            if parts is not None:
                own = _read_parts(self.path, *parts, is_wanted)
                return fold(chain(own, read_series_folders(self.path, is_wanted)))
        return fold_run(self.path, fold, is_wanted)

    def frame(self, tags: Sequence[str] | None = None, library: str | None = None) -> Any:
        """Return a table with the columns `tag`, `step`, `time`, and `value`, one row for each point.

        Args:
            tags: the tags to include; by default, all.
            library: `"polars"`, `"pandas"`, or `"pyarrow"`; by default, the first of them that is installed.

        Raises:
            MissingExtra: if the library, or any, is not installed.
            OSError: if an event file cannot be read.
        """
        return make_table(columns_of(self.all_scalars(tags)), library)

    def _parts(self, low: int, high: int) -> tuple[dict[Path, list[tuple[int, int]]], list[str]] | None:
        """Return the parts of the event files that may hold these steps, and the tensors among the scalars; or None."""
        index = current_index(self.path, set())
        if index is None:
            return None
        by_name = {path.name: path for path in event_files(self.path)}
        found = {by_name[name]: parts for name, parts in ranges(index.marks, low, high).items() if name in by_name}
        return None if index.is_resumed else (found, index.tensor_tags)


def read(*runs: str | os.PathLike[str] | Run, logdir: str | os.PathLike[str] = "runs") -> list[StoredRun]:
    """Return runs on disk, of this package or of other programs; their scalars are read when they are asked for.

    Args:
        runs: `Run` objects, paths, names of runs in `logdir`, patterns such as `"runs/mlp-*"`, or any of these in a
            store, such as `"s3://bucket/runs/mlp-*"`.
        logdir: where runs are looked up by name; may be in a store.

    Raises:
        DataError: if a name matches no run.
        OSError: if an event file cannot be read.
    """
    if not runs:
        raise DataError("name at least one run")
    names = [str(run.path) if isinstance(run, Run) else os.fspath(run) for run in runs]
    return [StoredRun(name, path) for name, path in find_runs(names, Path(local_name(logdir))).items()]


def columns_of(found: Mapping[str, Points]) -> dict[str, NDArray[Any]]:
    """Return points by tag as the columns `tag`, `step`, `time`, and `value`, one row for each point."""
    tags = np.empty(len(found), object)
    tags[:] = list(found)
    whole = _joined(list(found.values()))
    return {
        "tag": np.repeat(tags, [len(points.steps) for points in found.values()]),
        "step": whole.steps,
        "time": whole.times,
        "value": whole.values,
    }


def _fold_tags(batches: Iterable[Batch]) -> list[str]:
    tags: dict[str, None] = {}
    for block in batches:
        if isinstance(block, ScalarBlock):
            first_first = np.unique(block.group, return_index=True)
            for number in first_first[0][np.argsort(first_first[1])].tolist():
                tags |= dict.fromkeys(block.groups[number])
    return list(tags)


def _joined(parts: list[Points]) -> Points:
    if not parts:
        return Points(np.zeros(0, np.int64), np.zeros(0), np.zeros(0))
    return Points(*(np.concatenate(columns) for columns in zip(*parts)))


def _read_parts(
    run: Path, parts: Mapping[Path, list[tuple[int, int]]], tensor_tags: Sequence[str], is_wanted: Callable[[str], bool]
) -> Iterator[Batch]:
    """Yield the scalars in parts of event files."""
    for path, ranges_of_file in parts.items():
        done = 0  # a part is read to the end of a piece, which may be behind the next part
        for start, end in ranges_of_file:
            if done >= end:
                continue
            reader = EventReader(run, is_wanted, [path], kinds=KINDS)
            reader.skip({path: max(start, done)}, tensor_tags)
            yield from before_restart(reader.batches({path: end}))
            done = reader.offsets[path]
