"""Turn values that W&B logged, as JSON, into records.

A value is a number, a text, a nested dict, or a description of media, for which see `wandb_media`.
"""

from __future__ import annotations

import json
import math
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from monitor.imports.wandb_media import TYPE, Unsupported, checked_text, decode_media
from monitor.records import Record, Scalar, Text

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MAX_NESTING = 30  # of dicts in a value
SPECIAL_NUMBERS = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}  # also written as texts


def decode_json(text: str) -> Any:
    """Return what JSON text holds. Raises `Unsupported`."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise Unsupported("damaged value") from None


def decode_value(tag: str, value: Any, step: int, time: float, files: Path) -> list[Record]:
    """Return the records of a value that is not a nested dict; `files` is the folder of the run's media.

    Blocks while it reads media. Raises `Unsupported` for values without a record, and for damaged or missing media.
    """
    if isinstance(value, bool | int | float):
        try:
            return [Scalar(tag, float(value), step, time)]
        except OverflowError:
            return [Scalar(tag, math.copysign(math.inf, value), step, time)]
    if isinstance(value, str):
        if value in SPECIAL_NUMBERS:
            return [Scalar(tag, SPECIAL_NUMBERS[value], step, time)]
        return [Text(tag, checked_text(value), step, time)]
    if not isinstance(value, dict):
        raise Unsupported("null" if value is None else "list")
    return decode_media(tag, value, step, time, files)


def flatten(key: str, value: Any, depth: int = 0) -> Iterator[tuple[str, Any]]:
    """Yield the values in nested dicts, with their keys joined by dots, as W&B's own pages show them."""
    if isinstance(value, dict) and TYPE not in value and depth < MAX_NESTING:
        for name, item in value.items():
            yield from flatten(f"{key}.{name}", item, depth + 1)
    else:
        yield key, value


def collect_media(
    items: list[tuple[tuple[str, ...], str]],
) -> tuple[dict[str, dict[str, Any]], list[tuple[str, str]]]:
    """Split nested items into the descriptions of media, which newer versions write one item at a time, and others."""
    prefixes = {path[:-1] for path, _ in items if path[-1] == TYPE and len(path) <= MAX_NESTING}
    media: dict[str, dict[str, Any]] = {}
    others: list[tuple[str, str]] = []
    for path, text in items:
        depth = next((n for n in range(1, min(len(path), MAX_NESTING)) if path[:n] in prefixes), 0)
        if not depth:
            others.append((".".join(path), text))
            continue
        value: Any = media.setdefault(".".join(path[:depth]), {})
        for part in path[depth:-1]:
            value = value.setdefault(part, {})
            if not isinstance(value, dict):
                break
        else:
            with suppress(Unsupported):  # then it is missing
                value[path[-1]] = decode_json(text)
    return media, others
