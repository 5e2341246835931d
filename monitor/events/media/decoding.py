"""Decode sounds, films, precision–recall curves, meshes, and tables in event files.

The limits of `decoding` hold here too: nothing is allocated for what a value claims but does not hold. Sounds and films
stay encoded, so they take no more memory than the event.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from monitor.events.media.markdown_cells import from_rows
from monitor.events.media.pictures import gif_size
from monitor.records import Audio, Mesh, PRCurve, Record, Table, Video

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    DecodeTensor = Callable[[Any, int], NDArray[Any]]

MAX_CLIPS = 16  # sounds or meshes of one value
MAX_AUDIO_BYTES = 2**24
MAX_THRESHOLDS = 2**12
MAX_VERTICES = 2**20
MAX_CELLS, MAX_TABLE_COLUMNS, MAX_TABLE_BYTES = 2**16, 1000, 2**23
AUDIO_TYPE = re.compile(r"audio/[a-z0-9.+-]{1,40}")
MESH_TAG = re.compile(r"(.+)_(VERTEX|FACE|COLOR|1|2|3)", re.DOTALL)
MESH_PARTS = {"VERTEX": 0, "FACE": 1, "COLOR": 2, "1": 0, "2": 1, "3": 2}


def decode_audio(value: Any, step: int, wall_time: float) -> Audio | None:
    """Return a sound of the old format; None if it is empty or too large."""
    audio = value.audio
    if not 0 < len(audio.encoded_audio_string) <= MAX_AUDIO_BYTES:
        return None
    kind = audio.content_type if AUDIO_TYPE.fullmatch(audio.content_type) else "audio/wav"
    rate = int(audio.sample_rate) if 0 <= audio.sample_rate < 2**31 else 0  # NaN is neither
    channels, frames = (max(0, min(number, 2**40)) for number in (audio.num_channels, audio.length_frames))
    return Audio(value.tag, audio.encoded_audio_string, step, wall_time, kind, rate, channels, frames)


def decode_clips(tag: str, strings: Sequence[bytes], columns: int, step: int, wall_time: float) -> list[Record]:
    """Return the sounds of a tensor of strings, in which every second one is a label if there are two columns."""
    clips = [clip for clip in strings[:: 2 if columns == 2 else 1] if 0 < len(clip) <= MAX_AUDIO_BYTES]
    tags = _numbered(tag, len(clips[:MAX_CLIPS]))
    return [Audio(name, clip, step, wall_time) for name, clip in zip(tags, clips)]


def decode_video(value: Any, step: int, wall_time: float) -> Video | None:
    """Return an animated GIF; None for any other picture."""
    picture = value.image.encoded_image_string if value.WhichOneof("value") == "image" else b""
    size = gif_size(picture)
    return None if size is None else Video(value.tag, picture, *size, step, wall_time)


def decode_pr_curve(tag: str, array: NDArray[Any], step: int, wall_time: float) -> PRCurve | None:
    """Return a curve of 6×K numbers; None for other shapes, and for numbers that no curve has."""
    import numpy as np

    if array.ndim != 2 or array.shape[0] != 6 or not array.shape[1]:
        return None
    counts, rates = array[:4].astype(np.float64), array[4:].astype(np.float64)
    if not ((counts >= 0) & (counts < 2.0**63)).all() or not ((rates >= 0) & (rates <= 1.001)).all():
        return None
    return PRCurve(tag, counts, rates[0], rates[1], step, wall_time)


def decode_table(tag: str, strings: Sequence[bytes], sizes: Sequence[int], step: int, wall_time: float) -> Table | None:
    """Return a table of texts; None if it is too large or its shape is wrong."""
    count, width = sizes
    if not (0 < width <= MAX_TABLE_COLUMNS and 0 < count * width == len(strings) <= MAX_CELLS):
        return None
    if sum(map(len, strings)) > MAX_TABLE_BYTES:
        return None
    cells = [cell.decode("utf-8", "replace") for cell in strings]
    rows = [cells[start : start + width] for start in range(0, len(cells), width)]
    return Table(tag, *from_rows(rows), step, wall_time)


class MeshParts:
    """The vertices, faces, and colors of the meshes of one event, which are values of their own."""

    def __init__(self) -> None:
        self._parts: dict[str, list[NDArray[Any] | None]] = {}  # by tag

    def add(self, tag: str, tensor: Any, decode_tensor: DecodeTensor) -> bool:
        """Take in a value; return False if it is no part of a mesh. Raises an exception if it is damaged."""
        named = MESH_TAG.fullmatch(tag)
        if named is None:
            return False
        array = decode_tensor(tensor, 3 * MAX_VERTICES)
        if array.ndim != 3 or array.shape[2] != 3 or not array.shape[0]:
            return False
        self._parts.setdefault(named[1], [None] * 3)[MESH_PARTS[named[2]]] = array
        return True

    def meshes(self, step: int, wall_time: float) -> Iterator[Mesh]:
        """Yield the meshes that have vertices, and forget them."""
        import numpy as np

        parts, self._parts = self._parts, {}
        for tag, (vertices, faces, colors) in parts.items():
            if vertices is None:
                continue
            for number, name in enumerate(_numbered(tag, min(len(vertices), MAX_CLIPS))):
                points = vertices[number].astype(np.float32)
                triangles = _sample(faces, number).clip(-1, 2**62).astype(np.int64)
                shades = _sample(colors, number).clip(0, 255).astype(np.uint8)
                if len(shades) != len(points):
                    shades = shades[:0]
                yield Mesh(name, points, triangles, shades, step, wall_time)


def _sample(batch: NDArray[Any] | None, number: int) -> NDArray[Any]:
    """Return one array of a batch, with 0 for NaN; an empty one if there is none."""
    import numpy as np

    if batch is None or number >= len(batch):
        return np.zeros((0, 3))
    found: NDArray[Any] = np.nan_to_num(batch[number].astype(np.float64))
    return found


def _numbered(tag: str, count: int) -> Iterable[str]:
    """Return names for the parts of one value: the tag alone if there is one."""
    return [tag] if count == 1 else [f"{tag}/{number}" for number in range(count)]
