"""Text as it may be shown: control characters, and those that turn its direction, are spelled out, not obeyed."""

from __future__ import annotations

import re

HIDDEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]")


def visible(text: str, most: int | None = None) -> str:
    """Spell control characters out, as `\\u001b`; of a text longer than `most`, say how much is left out."""
    cut = "" if most is None or len(text) <= most else f" … ({len(text) - most:,} more characters)"
    return HIDDEN.sub(lambda found: f"\\u{ord(found[0]):04x}", text[:most]) + cut
