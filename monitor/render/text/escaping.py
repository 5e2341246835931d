"""What all dashboards share about showing things: escaped text, and the colors of curves."""

from __future__ import annotations

import html
import re

PALETTE = ("#1f77b4", "#d62728", "#2ca02c", "#9467bd", "#ff7f0e", "#17becf", "#8c564b", "#e377c2", "#7f7f7f", "#bcbd22")
CONTROL_CHARS = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]"
)


def escape_control_chars(text: str, max_chars: int | None = None) -> str:
    r"""Replace control characters, also those that change the direction of text, with escapes such as `\u001b`.

    Surrogates, which stand for bytes of a name that are not UTF-8, are replaced, too.

    Text after the first `max_chars` characters is cut off, and its length is stated instead.
    """
    cut = "" if max_chars is None or len(text) <= max_chars else f" … ({len(text) - max_chars:,} more characters)"
    return CONTROL_CHARS.sub(lambda match: f"\\u{ord(match[0]):04x}", text[:max_chars]) + cut


def escape_html(text: str) -> str:
    """Escape text for a page, and for Plotly, which reads tags of HTML, too, but not the name of the quotation mark."""
    return html.escape(escape_control_chars(text)).replace("&quot;", "&#34;")
