"""Arguments of Python's own types, which the packages are known to accept.

A worker may build their summaries. Those of others are built during the call, so that it raises what the packages do.
"""

from __future__ import annotations

from typing import Any

_NUMBERS = frozenset({int, float})
_LISTS = frozenset({list, tuple})
_VALUES = frozenset({int, float, bool, str, type(None)})


def is_text(value: Any) -> bool:
    """Tell whether this is a plain text, which UTF-8 can encode."""
    return type(value) is str and value.isascii()


def are_numbers(values: tuple[Any, ...]) -> bool:
    """Tell whether all of these are plain numbers: any other kind of number gives the sum its type."""
    try:
        return type(sum(values)) in _NUMBERS
    except (ArithmeticError, TypeError):
        return False


def copy_of_layout(layout: Any) -> tuple[dict[str, Any], int] | None:
    """Copy the layout of custom scalars; also return its bytes. Return None if it is not of plain texts."""
    copy: dict[str, Any] = {}
    texts: list[str] = []
    try:
        for category, charts in layout.items():
            texts.append(category)
            copies = copy[category] = {}
            for title, (kind, tags) in charts.items():
                if type(tags) not in _LISTS or (kind == "Margin" and len(tags) != 3):
                    return None
                texts += title, kind, *tags
                copies[title] = kind, [*tags]
        joined = "".join(texts)
    except (AttributeError, TypeError, ValueError):
        return None
    return (copy, len(joined)) if joined.isascii() else None


def are_settings(settings: dict[Any, Any]) -> bool:
    """Tell whether these are plain numbers, truth values, texts, or None, by plain texts."""
    return _VALUES.issuperset(map(type, settings.values())) and all(
        is_text(name) and (type(value) is not str or value.isascii()) for name, value in settings.items()
    )
