"""How things are shown: text without characters that are obeyed, such as those that turn its direction; colours."""

from __future__ import annotations

import re

# Of curves.
PALETTE = ("#1f77b4", "#d62728", "#2ca02c", "#9467bd", "#ff7f0e", "#17becf", "#8c564b", "#e377c2", "#7f7f7f", "#bcbd22")
CONTROL_CHARS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]")


def escape_control_chars(text: str, most: int | None = None) -> str:
    """Spell control characters out, as `\\u001b`; of a text longer than `most`, say how much is left out."""
    cut = "" if most is None or len(text) <= most else f" … ({len(text) - most:,} more characters)"
    return CONTROL_CHARS.sub(lambda found: f"\\u{ord(found[0]):04x}", text[:most]) + cut
