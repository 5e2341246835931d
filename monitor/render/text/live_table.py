"""The metrics of a run as a small table of HTML with a line for each, for where Plotly's figures are not shown."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

from monitor.render.text.escaping import PALETTE, escape_control_chars

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

WIDTH_PX, HEIGHT_PX = 220, 32
MAX_TITLE_CHARS = 300


def live_table(title: str, points: Mapping[str, tuple[Sequence[int], Sequence[float | None]]]) -> str:
    """Return a table with the last value, its step, and the curve of each metric, given its steps and values."""
    rows = []
    for tag, (steps, values) in points.items():
        last = next((value for value in reversed(values) if value is not None), None)
        cells = (_text(tag), "" if last is None else f"{last:.5g}", str(steps[-1]) if steps else "")
        rows.append(f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}<td>{sparkline(steps, values)}</td></tr>")
    head = "<tr><th>metric</th><th>last</th><th>step</th><th></th></tr>"
    return f"<div><p><b>{_text(title)}</b></p><table><thead>{head}</thead><tbody>{''.join(rows)}</tbody></table></div>"


def sparkline(steps: Sequence[int], values: Sequence[float | None]) -> str:
    """Return a small curve as SVG; a gap where a value is None."""
    finite = [value for value in values if value is not None]
    if not finite:
        return ""
    low, high, first, last = min(finite), max(finite), min(steps), max(steps)
    lines: list[list[str]] = [[]]
    for step, value in zip(steps, values):
        if value is None:
            lines.append([])
            continue
        x = 2 + (WIDTH_PX - 4) * (step - first) / max(1, last - first)
        share = 0.5 if high == low else value / (high - low) - low / (high - low)
        lines[-1].append(f"{x:.1f},{HEIGHT_PX - 3 - (HEIGHT_PX - 6) * share:.1f}")
    drawn = "".join(f'<polyline points="{" ".join(line)}"/>' for line in lines if line)
    style = f'fill="none" stroke="{PALETTE[0]}" stroke-width="1.5"'
    return f'<svg width="{WIDTH_PX}" height="{HEIGHT_PX}"><g {style}>{drawn}</g></svg>'


def _text(text: str) -> str:
    return html.escape(escape_control_chars(text, MAX_TITLE_CHARS))
