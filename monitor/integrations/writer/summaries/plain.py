"""Arguments of Python's own types, which the packages are known to accept.

A worker may build their summaries. Those of others are built during the call, so that it raises what the packages do.
"""

from __future__ import annotations

from typing import Any

_NUMBERS = frozenset({int, float})
_VALUES = frozenset({int, float, bool, str, type(None)})


def is_text(value: Any) -> bool:
    """Tell whether this is a plain text, which UTF-8 can encode."""
    return type(value) is str and value.isascii()


def are_numbers(values: tuple[Any, ...]) -> bool:
    """Tell whether all of these are plain numbers."""
    return _NUMBERS.issuperset(map(type, values))


def are_columns(*columns: Any) -> bool:
    """Tell whether these are lists of plain numbers, all of one length."""
    joined: list[Any] = []
    for values in columns:
        if type(values) is not list or len(values) != len(columns[0]):
            return False
        joined += values
    return _NUMBERS.issuperset(map(type, joined))


def are_settings(settings: dict[Any, Any]) -> bool:
    """Tell whether these are plain numbers, truth values, texts, or None, by plain texts."""
    return _VALUES.issuperset(map(type, settings.values())) and all(
        is_text(name) and (type(value) is not str or value.isascii()) for name, value in settings.items()
    )
