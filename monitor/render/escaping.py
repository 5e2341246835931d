"""How things are shown: text without characters that are obeyed, such as those that turn its direction; colours."""

from __future__ import annotations

import re

# Of curves.
PALETTE = ("#1f77b4", "#d62728", "#2ca02c", "#9467bd", "#ff7f0e", "#17becf", "#8c564b", "#e377c2", "#7f7f7f", "#bcbd22")
CONTROL_CHARS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]")


def escape_control_chars(text: str, max_chars: int | None = None) -> str:
    """Spell control characters out, as `\\u001b`; of a text longer than `most`, say how much is left out."""
    cut = "" if max_chars is None or len(text) <= max_chars else f" … ({len(text) - max_chars:,} more characters)"
    return CONTROL_CHARS.sub(lambda match: f"\\u{ord(match[0]):04x}", text[:max_chars]) + cut
