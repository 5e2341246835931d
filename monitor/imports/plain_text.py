"""Show tables and HTML as texts."""

from __future__ import annotations

import html
import json
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_ROWS = 100
MAX_TABLE_ROWS = 1000
MAX_COLUMNS = 50
MAX_CELL_CHARS = 200
TAG_NAME = re.compile("/?[A-Za-z][A-Za-z0-9]*")
UNSHOWN = ("script", "style", "head", "template")
BREAKS = ("br", "p", "/p", "div", "/div", "li", "tr", "/tr", "h1", "h2", "h3", "h4", "/h1", "/h2", "/h3", "/h4")


def markdown_table(columns: Sequence[Any], rows: Sequence[Sequence[Any]]) -> str:
    """Return a table as Markdown, which can also be read as it is; what is left out is counted below it."""
    shown = [row[:MAX_COLUMNS] for row in [columns, *rows[:MAX_ROWS]]]
    lines = ["| " + " | ".join(_cell(value).replace("|", "\\|") for value in row) + " |" for row in shown]
    lines.insert(1, "| " + " | ".join("---" for _ in shown[0]) + " |")
    hidden = [(len(rows) - MAX_ROWS, "rows"), (len(columns) - MAX_COLUMNS, "columns")]
    left_out = [f"{count:,} more {name}" for count, name in hidden if count > 0]
    return "\n".join([*lines, *(["", ", ".join(left_out)] if left_out else [])])


def table_cells(columns: Sequence[Any], rows: Sequence[Any]) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]:
    """Return the names and the cells of a table as texts; a last row counts the rows that are left out.

    Raises many kinds of exceptions for rows of other lengths and for what is no table.
    """
    names = tuple(_cell(name) for name in columns[:MAX_COLUMNS])
    if not names or any(len(row) != len(columns) for row in rows):
        raise ValueError("a table has columns, and rows as long as these")
    cells = [tuple(_cell(value) for value in row[:MAX_COLUMNS]) for row in rows[:MAX_TABLE_ROWS]]
    if len(rows) > MAX_TABLE_ROWS:
        cells.append((f"… {len(rows) - MAX_TABLE_ROWS:,} more rows", *[""] * (len(names) - 1)))
    return names, tuple(cells)


def html_text(source: str) -> str:
    """Return the text of an HTML page, without markup, scripts, and styles. Takes time in proportion to its length."""
    first, *others = source.split("<")
    texts = [first]
    hidden = ""  # the element whose content is not shown
    for part in others:
        match = TAG_NAME.match(part)
        name = match.group().lower() if match else ""
        inside, closed, text = part.partition(">")
        if hidden:
            if name == f"/{hidden}":
                hidden = ""
            else:
                continue
        elif name in UNSHOWN and not inside.endswith("/"):
            hidden = name
            continue
        elif not name and not part.startswith("!"):  # a less-than sign
            texts.append(f"<{part}")
            continue
        texts.append(("\n" if name in BREAKS else "") + (text if closed else ""))
    lines = (" ".join(line.split()) for line in html.unescape("".join(texts)).splitlines())
    return "\n".join(line for line in lines if line)


def _cell(value: Any) -> str:
    """Return a cell in one line; media are named by their kind."""
    if isinstance(value, dict) and "_type" in value:
        text = f"({value['_type']})"
    else:
        text = value if isinstance(value, str) else json.dumps(value)
    text = " ".join(text.encode("utf-8", "backslashreplace").decode().split())
    return text if len(text) <= MAX_CELL_CHARS else f"{text[:MAX_CELL_CHARS]}…"
