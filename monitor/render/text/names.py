"""Shorten names so that those which differ still do."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_NAME_CHARS = 40  # of a name in a legend or a hover label


def distinct_names(names: Sequence[str], max_chars: int = MAX_NAME_CHARS) -> list[str]:
    """Shorten names to `max_chars` characters so that those which differ still do.

    Most of what all long names begin with is left out first, then the middle of each; a number tells the rest apart.
    """
    long = [name for name in names if len(name) > max_chars]
    shared = _common_length(long) if len(set(long)) > 1 else 0
    word_start = max((at + 1 for at, char in enumerate(long[0][:shared]) if char in "-_/. "), default=0) if long else 0
    shared = word_start or shared
    head = max_chars // 3
    short: dict[str, str] = {}
    taken: set[str] = {name for name in names if len(name) <= max_chars}
    for name in dict.fromkeys(long):
        text = _shorten(f"{name[:head]}…{name[shared:]}" if shared > head + 1 else name, max_chars)
        number = 1
        while text in taken:
            number += 1
            text = f"{_shorten(name, max_chars - len(str(number)) - 1)}~{number}"
        taken.add(text)
        short[name] = text
    return [short.get(name, name) for name in names]


def _shorten(text: str, max_chars: int) -> str:
    if len(text) <= max_chars:
        return text
    head = (max_chars - 1) // 2
    return f"{text[:head]}…{text[len(text) - (max_chars - 1 - head) :]}"


def _common_length(texts: Sequence[str]) -> int:
    """Return how many characters all texts begin with."""
    first, last = min(texts), max(texts)  # these two have the least in common
    return next((at for at, (a, b) in enumerate(zip(first, last)) if a != b), min(len(first), len(last)))
