"""Turn W&B's descriptions of media into records.

A description is a dict whose `_type` names its kind; the media themselves are files beside the log. Both are untrusted:
nothing outside the folder of the files is read, and nothing large is.
"""

from __future__ import annotations

import json
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from monitor.events.decoding import MAX_BUCKETS, MAX_COUNT, MAX_EDGE, MAX_TEXT_BYTES
from monitor.events.media.decoding import MAX_AUDIO_BYTES, MAX_CLIPS
from monitor.imports.plain_text import html_text, table_cells
from monitor.machine.files import open_regular
from monitor.records import Audio, Figure, Histogram, Images, Mesh, Record, Table, Text, Video

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

TYPE = "_type"
MAX_MEDIA_BYTES = 2**26  # of all files of one value
AUDIO_TYPES = {
    ".wav": "audio/wav",
    ".mp3": "audio/mpeg",
    ".flac": "audio/flac",
    ".ogg": "audio/ogg",
    ".m4a": "audio/mp4",
    ".aac": "audio/aac",
}
LISTS = {"audio": "audio", "videos": "videos", "plotly": "plotly", "html": "html"}  # kind: the key of its items


class Unsupported(Exception):
    """There is no record for a value; the message names its kind."""


def decode_media(tag: str, value: dict[str, Any], step: int, time: float, files: Path) -> list[Record]:
    """Return the records of a description; those of a list are numbered. `files` is the folder of the media.

    Blocks while it reads. Raises `Unsupported` for kinds without a record, and for damaged or missing media.
    """
    kind = value.get(TYPE)
    items = value.get(LISTS[kind]) if isinstance(kind, str) and kind in LISTS else [value]
    if not isinstance(items, list) or not items:
        raise Unsupported(f"damaged {kind}")
    tags = [tag] if len(items) == 1 else [f"{tag}/{number}" for number in range(min(len(items), MAX_CLIPS))]
    return [_decode_item(name, item, step, time, files) for name, item in zip(tags, items)]


def _decode_item(tag: str, value: Any, step: int, time: float, files: Path) -> Record:
    kind = value.get(TYPE) if isinstance(value, dict) else None
    decode = MEDIA.get(kind) if isinstance(kind, str) else None
    if decode is None:
        raise Unsupported(kind if isinstance(kind, str) else "damaged value")
    try:
        return decode(tag, value, step, time, files)
    except Unsupported:
        raise
    except FileNotFoundError:
        raise Unsupported(f"{kind} without its file") from None
    except Exception as error:  # whatever decoding a hostile or damaged file raises
        raise Unsupported(f"damaged {kind}") from error


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


def _table(tag: str, value: dict[str, Any], step: int, time: float, files: Path) -> Table:
    table = json.loads(_read_file(files, value["path"], MAX_TEXT_BYTES))
    return Table(tag, *table_cells(table["columns"], table["data"]), step, time)


def _html(tag: str, value: dict[str, Any], step: int, time: float, files: Path) -> Text:
    source = _read_file(files, value["path"], MAX_TEXT_BYTES).decode("utf-8", "replace")
    return Text(tag, html_text(source), step, time)


def _plotly(tag: str, value: dict[str, Any], step: int, time: float, files: Path) -> Figure:
    from monitor.render.plotly_json import decode_figure, encode_figure

    data, layout = decode_figure(_read_file(files, value["path"], MAX_TEXT_BYTES).decode())
    return Figure(tag, b"", step, time, encode_figure({"data": data, "layout": layout}))


def _audio(tag: str, value: dict[str, Any], step: int, time: float, files: Path) -> Audio:
    suffix = PurePosixPath(value["path"]).suffix.lower()
    if suffix not in AUDIO_TYPES:
        raise Unsupported(f"audio-file ({suffix[1:] or 'no format'})")
    return Audio(tag, _read_file(files, value["path"], MAX_AUDIO_BYTES), step, time, AUDIO_TYPES[suffix])


def _video(tag: str, value: dict[str, Any], step: int, time: float, files: Path) -> Video | Images:
    """Decode a GIF; it stays as it is. Other formats need a decoder that we do not have."""
    from monitor.events.media.pictures import decode_images, gif_size

    suffix = PurePosixPath(value["path"]).suffix.lower()
    if suffix != ".gif":
        raise Unsupported(f"video-file ({suffix[1:] or 'no format'})")
    gif = _read_file(files, value["path"], MAX_MEDIA_BYTES)
    size = gif_size(gif)
    return Images(tag, decode_images([gif]), step, time) if size is None else Video(tag, gif, *size, step, time)


def _points(tag: str, value: dict[str, Any], step: int, time: float, files: Path) -> Mesh:
    """Decode a cloud of points, N×3, or N×6 with colors, or N×4 with a class, which is not shown."""
    import numpy as np

    if not value["path"].endswith(".pts.json"):
        raise Unsupported(f"object3D-file ({PurePosixPath(value['path']).suffix[1:] or 'no format'})")
    points = np.asarray(json.loads(_read_file(files, value["path"], MAX_TEXT_BYTES)), np.float64)
    if points.ndim != 2 or points.shape[1] not in (3, 4, 6) or not len(points):
        raise ValueError(f"no cloud of points has the shape {points.shape}")
    points = np.nan_to_num(points)
    colors = points[:, 3:6].clip(0, 255).astype(np.uint8) if points.shape[1] == 6 else np.zeros((0, 3), np.uint8)
    return Mesh(tag, points[:, :3].clip(-1e38, 1e38).astype(np.float32), np.zeros((0, 3), np.int64), colors, step, time)


MEDIA: dict[str, Callable[[str, dict[str, Any], int, float, Path], Record]] = {
    "image-file": _image,
    "images/separated": _images,
    "histogram": _histogram,
    "table-file": _table,
    "html-file": _html,
    "plotly-file": _plotly,
    "audio-file": _audio,
    "video-file": _video,
    "object3D-file": _points,
}


def _read_file(files: Path, name: str, limit: int) -> bytes:
    """Return the content of a media file; raise `ValueError` if it is elsewhere or larger than `limit` bytes."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts:
        raise ValueError("a media file is outside the run")
    real = (files / path).resolve()  # a link may lead elsewhere
    if not real.is_relative_to(files.resolve()):
        raise ValueError("a media file is outside the run")
    with open_regular(real) as file:
        content = file.read(limit + 1)
    if len(content) > limit:
        raise ValueError("the media are too large")
    return content


def checked_text(text: str) -> str:
    """Return a text as UTF-8 holds it; raise `Unsupported` for one that is too large."""
    if len(text) > MAX_TEXT_BYTES:
        raise Unsupported("large text")
    return text.encode("utf-8", "backslashreplace").decode()
