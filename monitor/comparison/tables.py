"""Tables of whichever library for data frames is installed."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from monitor.errors import DataError, MissingExtra

if TYPE_CHECKING:
    from collections.abc import Mapping

LIBRARIES = ("polars", "pandas", "pyarrow")  # that can hold a table; the first that is installed is used


def make_table(columns: Mapping[str, Any], library: str | None = None) -> Any:
    """Return a table of one of the `LIBRARIES`. Raises `MissingExtra`, or `DataError` for an unknown library."""
    if library is not None and library not in LIBRARIES:
        raise DataError(f"library is {', '.join(LIBRARIES)}; not {library!r}")
    installed = [name for name in ([library] if library else LIBRARIES) if find_spec(name) is not None]
    if not installed:
        wanted = library or "polars, pandas, or pyarrow"
        raise MissingExtra(f"a table needs {wanted}, which is not installed; pip install {library or 'polars'}")
    module = import_module(installed[0])
    if installed[0] == "pyarrow":
        return module.table(dict(columns))
    lists = {name: column.tolist() if column.dtype == object else column for name, column in columns.items()}
    return module.DataFrame(lists)
