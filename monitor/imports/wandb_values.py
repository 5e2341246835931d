"""Turn values that W&B logged, as JSON, into records.

A value is a number, a text, a nested dict, or a description of media, whose `_type` names its kind. The media
themselves are files beside the log.
"""

from __future__ import annotations

import json
import math
from contextlib import suppress
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from monitor.events.decoding import MAX_BUCKETS, MAX_COUNT, MAX_EDGE, MAX_TEXT_BYTES
from monitor.files import open_regular
from monitor.imports.plain_text import html_text, markdown_table
from monitor.records import Histogram, Images, Record, Scalar, Text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

TYPE = "_type"
MAX_NESTING = 30  # of dicts in a value
MAX_MEDIA_BYTES = 2**26  # of all files of one value
SPECIAL_NUMBERS = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}  # also written as texts


class Unsupported(Exception):
    """There is no record for a value; the message names its kind."""


def decode_json(text: str) -> Any:
    """Return what JSON text holds. Raises `Unsupported`."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise Unsupported("damaged value") from None


def decode_value(tag: str, value: Any, step: int, time: float, files: Path) -> Record:
    """Return the record of a value that is not a nested dict; `files` is the folder of the run's media.

    Blocks while it reads media. Raises `Unsupported` for values without a record, and for damaged or missing media.
    """
    if isinstance(value, bool | int | float):
        try:
            return Scalar(tag, float(value), step, time)
        except OverflowError:
            return Scalar(tag, math.copysign(math.inf, value), step, time)
    if isinstance(value, str):
        if value in SPECIAL_NUMBERS:
            return Scalar(tag, SPECIAL_NUMBERS[value], step, time)
        return Text(tag, checked_text(value), step, time)
    if not isinstance(value, dict):
        raise Unsupported("null" if value is None else "list")
    kind = value.get(TYPE)
    decode = MEDIA.get(kind) if isinstance(kind, str) else None
    if decode is None:
        raise Unsupported(kind if isinstance(kind, str) else "damaged value")
    try:
        return decode(tag, value, step, time, files)
    except FileNotFoundError:
        raise Unsupported(f"{kind} without its file") from None
    except Exception as error:  # whatever decoding a hostile or damaged file raises
        raise Unsupported(f"damaged {kind}") from error


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


def _image(tag: str, value: dict[str, Any], step: int, time: float, files: Path) -> Images:
    return _decode_pictures(tag, [value["path"]], step, time, files)


def _images(tag: str, value: dict[str, Any], step: int, time: float, files: Path) -> Images:
    return _decode_pictures(tag, list(value["filenames"]), step, time, files)


def _decode_pictures(tag: str, paths: list[str], step: int, time: float, files: Path) -> Images:
    from monitor.events.media.pictures import decode_images

    room, encoded = MAX_MEDIA_BYTES, []
    for path in paths:
        encoded.append(_read_file(files, path, room))
        room -= len(encoded[-1])
    return Images(tag, decode_images(encoded), step, time)


def _histogram(tag: str, value: dict[str, Any], step: int, time: float, _files: Path) -> Histogram:
    """Decode K counts, and K + 1 edges or the place and width of equal buckets."""
    import numpy as np

    edges: NDArray[np.float64]
    counts: NDArray[np.float64] = np.asarray(value["values"], np.float64)
    if not 0 < counts.size <= MAX_BUCKETS or counts.ndim != 1:
        raise ValueError(f"{counts.shape} buckets")
    if "packedBins" in value:
        packed = value["packedBins"]
        edges = np.arange(counts.size + 1, dtype=np.float64) * float(packed["size"]) + float(packed["min"])
    else:
        edges = np.asarray(value["bins"], np.float64)
    is_valid = edges.shape == (counts.size + 1,) and (np.abs(edges) <= MAX_EDGE).all()  # NaN is not
    if not is_valid or not ((counts >= 0) & (counts < MAX_COUNT)).all() or (np.diff(edges) < 0).any():
        raise ValueError("no histogram has these counts and edges")
    return Histogram(tag, np.zeros(0), step, time, (counts, edges))


def _table(tag: str, value: dict[str, Any], step: int, time: float, files: Path) -> Text:
    table = json.loads(_read_file(files, value["path"], MAX_TEXT_BYTES))
    return Text(tag, checked_text(markdown_table(table["columns"], table["data"])), step, time)


def _html(tag: str, value: dict[str, Any], step: int, time: float, files: Path) -> Text:
    source = _read_file(files, value["path"], MAX_TEXT_BYTES).decode("utf-8", "replace")
    return Text(tag, html_text(source), step, time)


MEDIA: dict[str, Callable[[str, dict[str, Any], int, float, Path], Record]] = {
    "image-file": _image,
    "images/separated": _images,
    "histogram": _histogram,
    "table-file": _table,
    "html-file": _html,
}


def _read_file(files: Path, name: str, limit: int) -> bytes:
    """Return the content of a media file; raise `ValueError` if it is elsewhere or larger than `limit` bytes."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts:
        raise ValueError("a media file is outside the run")
    with open_regular(files / path) as file:
        content = file.read(limit + 1)
    if len(content) > limit:
        raise ValueError("the media are too large")
    return content


def checked_text(text: str) -> str:
    """Return a text as UTF-8 holds it; raise `Unsupported` for one that is too large."""
    if len(text) > MAX_TEXT_BYTES:
        raise Unsupported("large text")
    return text.encode("utf-8", "backslashreplace").decode()
