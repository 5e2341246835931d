"""Read a table from lists, mappings, arrays, or a data frame, and turn its cells into texts during a log call."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import islice
from numbers import Number
from typing import TYPE_CHECKING, Any

from monitor.capture import validation
from monitor.capture.snapshot import is_tensor

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_ROWS = 1000
MAX_COLUMNS = 100
MAX_CELL_CHARS = 1000


def read_table(
    rows: Any, columns: Sequence[str], tag: str, max_rows: int = MAX_ROWS
) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]:
    """Return the names of the columns and the first rows of cells, as texts.

    Args:
        rows: rows of cells, or mappings of columns to cells, or one mapping of columns to lists of cells, or a data
            frame of pandas or polars. A cell is text, a number, a bool, or None.
        columns: the names of the columns; by default those of the mappings or of the data frame. Of mappings, they
            choose the columns.
        tag: for messages.
        max_rows: rows beyond these are left out.

    Raises:
        TypeError: for rows that are neither, and for cells of another type.
        ValueError: for rows or columns of different lengths, a column that is not there, and more than 100 columns.
    """
    names = tuple(validation.text(name, f"{tag}: a column") for name in columns)
    if hasattr(rows, "columns") and hasattr(rows, "to_dict"):  # a data frame
        names = names or tuple(_cell(name, tag) for name in islice(rows.columns, MAX_COLUMNS + 1))
        found = rows.head(max_rows)
        rows = found.itertuples(index=False, name=None) if hasattr(found, "itertuples") else found.iter_rows()
    elif is_tensor(rows):
        raise mistake(TypeError, tag, "a table needs rows of texts and numbers, not a Tensor; convert it with tolist()")
    elif isinstance(rows, Mapping):
        names, rows = _rows_of_columns(rows, names, tag, max_rows)
    elif isinstance(rows, str | bytes) or not isinstance(rows, Iterable):
        raise mistake(TypeError, tag, f"a table needs rows of cells, not {type(rows).__name__}")
    first_rows = list(islice(rows, max_rows))
    if first_rows and all(isinstance(row, Mapping) for row in first_rows):
        keys = names or tuple(dict.fromkeys(key for row in first_rows for key in row))
        first_rows = [[row.get(key) for key in keys] for row in first_rows]
        names = tuple(_cell(key, tag) for key in keys)
    cells = tuple(_row(row, tag) for row in first_rows)
    widths = {len(row) for row in cells} | ({len(names)} if names else set())
    if len(widths) > 1:
        raise mistake(ValueError, tag, f"all rows of a table must have one length, not {sorted(widths)[:5]}")
    if max(widths, default=0) > MAX_COLUMNS:
        raise mistake(ValueError, tag, f"a table has at most {MAX_COLUMNS} columns, not {max(widths)}")
    return names, cells


def _rows_of_columns(
    table: Mapping[Any, Any], names: tuple[str, ...], tag: str, max_rows: int
) -> tuple[tuple[str, ...], list[Any]]:
    """Return the names of the columns and the first rows of a mapping of columns to lists of cells."""
    keys = names or tuple(islice(table, MAX_COLUMNS + 1))
    missing = [key for key in keys if key not in table]
    if missing:
        raise mistake(ValueError, tag, f"the table has no column {missing[0]!r}")
    for key in keys:
        column = table[key]
        is_list = isinstance(column, Iterable) and hasattr(column, "__len__") and not isinstance(column, Mapping)
        if not is_list or isinstance(column, str | bytes) or is_tensor(column):
            reason = f"the column {key!r} of a table must be a list of cells, not {type(column).__name__}"
            raise mistake(TypeError, tag, reason)
    lengths = {len(table[key]) for key in keys}
    if len(lengths) > 1:
        raise mistake(ValueError, tag, f"all columns of a table must have one length, not {sorted(lengths)[:5]}")
    rows = list(islice(zip(*(table[key] for key in keys), strict=True), max_rows))
    return tuple(_cell(key, tag) for key in keys), rows


def _row(row: Any, tag: str) -> tuple[str, ...]:
    if isinstance(row, str | bytes | Mapping) or is_tensor(row) or not isinstance(row, Iterable):
        raise mistake(TypeError, tag, f"a row of a table must be a list of cells, not {type(row).__name__}")
    return tuple(_cell(cell, tag) for cell in islice(row, MAX_COLUMNS + 1))


def _cell(cell: Any, tag: str) -> str:
    """Return a cell as text; a float with six digits."""
    if type(cell).__module__ == "numpy" and getattr(cell, "ndim", None) == 0:
        cell = cell.item()
    if cell is None:
        return ""
    if isinstance(cell, float):
        return f"{cell:.6g}"
    if isinstance(cell, Number):
        return str(cell)
    if isinstance(cell, str):
        return validation.text(cell[:MAX_CELL_CHARS], f"{tag}: a cell")
    if type(cell).__module__.partition(".")[0] in ("pandas", "datetime"):  # dates, and the missing value
        return str(cell)
    raise mistake(TypeError, tag, f"a cell of a table must be text or a number, not {type(cell).__name__}")


def mistake(kind: type[Exception], name: str, reason: str) -> Exception:
    """Return an exception whose message is one line, even if a tag has several."""
    return kind(" ".join(f"{name}: {reason}".split()))
