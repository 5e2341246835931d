"""Write the scalars of runs into one file: Parquet, CSV, or JSON."""

from __future__ import annotations

import csv
import json
import math
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from monitor.comparison.stored_runs import columns_of
from monitor.errors import DataError, MissingExtra
from monitor.machine.files import replacing
from monitor.runs.jsonable import to_jsonable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from monitor.comparison.stored_runs import StoredRun

COLUMNS = ("run", "tag", "step", "time", "value")


def export(runs: Sequence[StoredRun], file: Path, tags: Sequence[str] | None = None) -> int:
    """Write the points of runs, of some tags or of all, and return how many they are.

    The ending of `file` tells the format: `.parquet` and `.csv` have the columns `run`, `tag`, `step`, `time` in
    seconds since the epoch, and `value`; `.json` has arrays by run and tag, with NaN and infinity as text, beside the
    settings. An existing file is replaced when the new one is complete. Takes memory for a megabyte of an event file,
    and for JSON for the points of one run. Blocks.

    Raises:
        DataError: for another ending.
        MissingExtra: for Parquet, if pyarrow is not installed.
        OSError: if an event file cannot be read, or `file` cannot be written.
    """
    return writer_of(file)(runs, file, tags)


def writer_of(file: Path) -> Callable[[Sequence[StoredRun], Path, Sequence[str] | None], int]:
    """Return what writes the format of a file. Raises `DataError`, or `MissingExtra`."""
    writer = {".parquet": _write_parquet, ".csv": _write_csv, ".json": _write_json}.get(file.suffix.lower())
    if writer is None:
        raise DataError(f"{file.name!r} does not end in .parquet, .csv, or .json")
    if writer is _write_parquet and find_spec("pyarrow") is None:
        raise MissingExtra("Parquet needs pyarrow, which is not installed; pip install 'training-monitor[export]'")
    return writer


def _write_csv(runs: Sequence[StoredRun], file: Path, tags: Sequence[str] | None) -> int:
    count = 0
    with _text(file) as out:
        writer = csv.writer(out)
        writer.writerow(COLUMNS)
        for run in runs:
            for piece in run.pieces(tags):
                columns = [column.tolist() for column in columns_of(piece).values()]
                writer.writerows(zip([run.name] * len(columns[0]), *columns))
                count += len(columns[0])
    return count


def _write_json(runs: Sequence[StoredRun], file: Path, tags: Sequence[str] | None) -> int:
    count = 0
    with _text(file) as out:
        out.write('{"runs": [')
        for number, run in enumerate(runs):
            out.write(",\n" if number else "\n")
            fields = {"name": run.name, "path": str(run.path), "status": run.status}
            fields |= {"config": to_jsonable(dict(run.config)), "metrics": to_jsonable(dict(run.metrics))}
            out.write(json.dumps(fields, ensure_ascii=False)[:-1] + ', "scalars": {')
            for place, (tag, points) in enumerate(run.all_scalars(tags).items()):
                values = [value if math.isfinite(value) else str(value) for value in points.values.tolist()]
                arrays = {"steps": points.steps.tolist(), "times": points.times.tolist(), "values": values}
                out.write(f"{',' if place else ''}\n{json.dumps(tag, ensure_ascii=False)}: {json.dumps(arrays)}")
                count += len(values)
            out.write("}}")
        out.write("\n]}\n")
    return count


def _write_parquet(runs: Sequence[StoredRun], file: Path, tags: Sequence[str] | None) -> int:
    arrow, parquet = import_module("pyarrow"), import_module("pyarrow.parquet")
    names = arrow.dictionary(arrow.int32(), arrow.string())
    types = (names, names, arrow.int64(), arrow.float64(), arrow.float64())
    schema = arrow.schema(list(zip(COLUMNS, types)))
    count = 0
    with replacing(file) as part, parquet.ParquetWriter(part, schema, compression="zstd") as writer:
        for run in runs:
            for piece in run.pieces(tags):
                columns: dict[str, Any] = columns_of(piece)
                columns = {"run": np.full(len(columns["tag"]), run.name, object), **columns}
                writer.write_table(arrow.table(columns).cast(schema))
                count += len(columns["tag"])
    return count


@contextmanager
def _text(file: Path) -> Iterator[IO[str]]:
    with replacing(file) as part, part.open("w", encoding="utf-8", errors="backslashreplace", newline="") as out:
        yield out
