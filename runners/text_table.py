"""Tables of plain text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable


def align(rows: Iterable[tuple[Any, ...]]) -> str:
    """Format rows in right-aligned columns."""
    cells = [[str(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells)]
    return "\n".join("  ".join(cell.rjust(width) for cell, width in zip(row, widths)).rstrip() for row in cells)


def plural(unit: str, count: float | None = None) -> str:
    """Return the unit of a feature, for a count of 1 without its s: `years` for `age`, and else its name."""
    name = "years" if unit == "age" else unit
    return name.removesuffix("s") if count == 1 else name


def singular(unit: str) -> str:
    """Return one of a unit: `hour` for `hours`, `year of age` for `age`, and else `unit of x`."""
    if unit == "age":
        return "year of age"
    return unit.removesuffix("s") if unit.endswith("s") else f"unit of {unit}"
