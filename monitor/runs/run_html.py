"""A run as a table of HTML, for a notebook."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING, Any

from monitor.metrics import sort_key
from monitor.render.text.escaping import escape_control_chars
from monitor.runs.run_file import parse_number

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

MAX_ROWS = 100  # of each table
MAX_CHARS = 500  # of a cell


def run_html(name: str, fields: Mapping[str, Any]) -> str:
    """Return the status, the metrics, and the settings of a run, given the fields of its `run.json`."""
    status = " · ".join(str(part) for part in (fields.get("status"), fields.get("error")) if part)
    metrics = fields.get("metrics") or {}
    rows = [
        (tag, _number(metrics[tag].get("last")), metrics[tag].get("step", ""),
         _number(metrics[tag].get("best")), metrics[tag].get("best_step", ""))
        for tag in sorted(metrics, key=sort_key)[:MAX_ROWS]
    ]  # fmt: skip
    parts = [f"<p><b>{_text(name)}</b> {_text(status)}</p>"]
    if rows:
        parts.append(_table(("metric", "last", "at step", "best", "at step"), rows))
    settings = list((fields.get("config") or {}).items())[:MAX_ROWS]
    if settings:
        parts.append(_table(("setting", "value"), settings))
    return f"<div>{''.join(parts)}</div>"


def _table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    top = "".join(f"<th>{_text(name)}</th>" for name in head)
    body = "".join(f"<tr>{''.join(f'<td>{_text(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>"


def _number(value: Any) -> str:
    number = parse_number(value)
    return f"{number:.5g}" if isinstance(number, int | float) else ""


def _text(value: Any) -> str:
    return html.escape(escape_control_chars(str(value), MAX_CHARS))
