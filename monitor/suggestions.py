"""Say what was meant where a name is unknown: the names that come close, or a few of those that there are."""

from __future__ import annotations

import re
from difflib import get_close_matches
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_MATCHES = 3
MAX_KNOWN = 10  # names that are listed where none comes close
MIN_SIMILARITY = 0.65  # difflib's ratio


def hint(given: str, known: Iterable[str], word: str = "known") -> str:
    """Return the rest of an error: `; did you mean 'loss'?`, or `; known: a, b`, shortened; empty if nothing is known.

    `word` introduces the list.
    """
    names = list(dict.fromkeys(known))
    matches = close_matches(given, names)
    if matches:
        return f"; did you mean {' or '.join(map(repr, matches))}?"
    return f"; {word}: {listing(names)}" if names else ""


def listing(names: Iterable[str]) -> str:
    """Return names with commas between them; of many, the first ten and how many there are besides."""
    shown = list(names)
    more = len(shown) - MAX_KNOWN
    return ", ".join(shown[:MAX_KNOWN]) + (f", … ({more:,} more)" if more > 0 else "")


def close_matches(given: str, known: Iterable[str]) -> list[str]:
    """Return up to three of the known names that `given` may stand for, the closest first.

    Case, hyphens, and underscores do not count. A part of a name, such as `loss` of `test/loss`, is close to it.
    """
    by_key: dict[str, list[str]] = {}
    for name in known:
        for part in {name, name.rpartition("/")[2]}:
            by_key.setdefault(simplified(part), []).append(name)
    key = simplified(given)
    if not key:
        return []
    keys = get_close_matches(key, by_key, MAX_MATCHES, MIN_SIMILARITY)
    keys += [other for other in by_key if len(key) > 2 and key in other]
    return list(dict.fromkeys(name for found in keys for name in by_key[found]))[:MAX_MATCHES]


def simplified(name: str) -> str:
    """Return a name without what people spell differently: `LeakyReLU` and `leaky-relu` are the same."""
    return re.sub(r"[-_\s]", "", name).lower()
