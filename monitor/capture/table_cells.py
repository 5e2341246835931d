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
        rows: rows of cells, or mappings of columns to cells, or a data frame of pandas or polars. A cell is text, a
            number, a bool, or None.
        columns: the names of the columns; by default those of the mappings or of the data frame.
        tag: for messages.
        max_rows: rows beyond these are left out.

    Raises:
        TypeError: for rows that are neither, and for cells of another type.
        ValueError: for rows of different lengths, and for more than 100 columns.
    """
    names = tuple(validation.text(name, f"{tag}: a column") for name in columns)
    if hasattr(rows, "columns") and hasattr(rows, "to_dict"):  # a data frame
        names = names or tuple(_cell(name, tag) for name in islice(rows.columns, MAX_COLUMNS + 1))
        found = rows.head(max_rows)
        rows = found.itertuples(index=False, name=None) if hasattr(found, "itertuples") else found.iter_rows()
    elif is_tensor(rows):
        raise mistake(TypeError, tag, "a table needs rows of texts and numbers, not a Tensor; convert it with tolist()")
    elif isinstance(rows, str | bytes | Mapping) or not isinstance(rows, Iterable):
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
