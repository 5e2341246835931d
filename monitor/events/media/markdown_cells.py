"""Tables of plain text as TensorBoard's cells of Markdown, and back; and how a text says that it is Markdown."""

from __future__ import annotations

import html
import re

MARKDOWN = "Markdown"  # the description of a text that was logged as such; TensorBoard renders any
NUMBER = re.compile(r"-?\d+(\.\d+)?(e[+-]?\d+)?|")
SPECIAL = re.compile(r"([\\`*_{}\[\]()>#+\-.!|])")  # what has a meaning in Markdown
ESCAPED = re.compile(r"\\([\\`*_{}\[\]()>#+\-.!|])")


def to_markdown(cell: str) -> str:
    """Escape plain text so that Markdown shows it as it is, on one line."""
    if NUMBER.fullmatch(cell):
        return cell
    return SPECIAL.sub(r"\\\1", " ".join(cell.split())).replace("&", "&amp;").replace("<", "&lt;")


def to_plain(cell: str) -> str:
    """Return the plain text of a cell that `to_markdown` made; of other Markdown, the source."""
    return ESCAPED.sub(r"\1", html.unescape(cell))


def to_rows(columns: tuple[str, ...], rows: tuple[tuple[str, ...], ...]) -> list[list[str]]:
    """Return the cells of a table as Markdown, with the names of the columns in bold letters in a first row."""
    head = [[f"**{to_markdown(name)}**" if name.strip() else "" for name in columns]] if columns else []
    return head + [[to_markdown(cell) for cell in row] for row in rows]


def from_rows(rows: list[list[str]]) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]:
    """Return the names of the columns, if the first row is in bold letters, and the rows of a table."""
    columns: tuple[str, ...] = ()
    first = rows[0] if rows else []
    if any(first) and all(not cell or (len(cell) > 4 and cell[:2] == cell[-2:] == "**") for cell in first):
        columns, rows = tuple(to_plain(cell[2:-2]) for cell in first), rows[1:]
    return columns, tuple(tuple(map(to_plain, row)) for row in rows)
