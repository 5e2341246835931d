"""Embeddings as the files that TensorBoard's projector reads: a folder for each, and one file that lists them.

They are no part of the event files. Other writers, such as tensorboardX and torch, use the same format, so their
embeddings are read back too.
"""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING, Any, NamedTuple
from zlib import crc32

from monitor.machine.files import atomic_write, open_regular
from monitor.records import Embedding

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterator
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

CONFIG_NAME = "projector_config.pbtxt"
FOLDER_NAME = "embeddings"
MIN_DIMENSIONS = 3  # the projector shows nothing of points with fewer; zeros stand for the others
MAX_SPRITE_PX = 8192  # TensorBoard shows no larger one
MAX_TILE_PX = 64
# What is read; larger embeddings are cut off at these limits, larger lists are skipped.
MAX_CONFIG_BYTES = 2**22
MAX_LINE_BYTES = 2**20
MAX_POINTS, MAX_VALUES = 10_000, 2**22
MAX_COLUMNS, MAX_CELL_CHARS = 100, 1000
STEP_SUFFIX = re.compile(r":(-?\d{1,19})$")


class ProjectorFiles(NamedTuple):
    """An embedding that is encoded.

    Attributes:
        folder: where its files go, relative to the run directory.
        files: their contents by name.
        entry: what lists them.
    """

    folder: str
    files: dict[str, bytes]
    entry: str


def encode_embedding(record: Embedding) -> ProjectorFiles:
    """Encode an embedding. Takes time in proportion to its numbers."""
    from google.protobuf import text_format
    from tensorboard.plugins.projector.projector_config_pb2 import ProjectorConfig

    name = re.sub(r"[^\w.-]+", "-", record.tag, flags=re.ASCII)[:60]
    folder = f"{FOLDER_NAME}/{record.step:05d}-{name}-{crc32(record.tag.encode()):08x}"
    missing = max(0, MIN_DIMENSIONS - record.vectors.shape[1])
    row_format = "\t".join(["%.7g"] * record.vectors.shape[1] + ["0"] * missing) + "\n"
    files = {"tensors.tsv": "".join([row_format % tuple(row) for row in record.vectors.tolist()]).encode()}
    config = ProjectorConfig()
    entry = config.embeddings.add(tensor_name=f"{record.tag}:{record.step:05d}", tensor_path=f"{folder}/tensors.tsv")
    if record.labels:
        files["metadata.tsv"] = _encode_labels(record)
        entry.metadata_path = f"{folder}/metadata.tsv"
    if record.images is not None:
        files["sprite.png"], side = _encode_sprite(record.images)
        entry.sprite.image_path = f"{folder}/sprite.png"
        entry.sprite.single_image_dim.extend([side, side])
    return ProjectorFiles(folder, files, text_format.MessageToString(config))


def write_embedding(run: Path, encoded: ProjectorFiles) -> None:
    """Write the files of an embedding into a run directory, and list it there once. Blocks; raises `OSError`."""
    folder = run / encoded.folder
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in encoded.files.items():
        atomic_write(folder / name, content)
    path = run / CONFIG_NAME
    try:
        listed = path.read_text("utf-8")
    except FileNotFoundError:
        listed = ""
    if encoded.entry not in listed:
        atomic_write(path, listed + encoded.entry)


def _encode_labels(record: Embedding) -> bytes:
    """Return one line per point; the projector expects a header if there is more than one column."""
    count = len(record.labels[0])
    lines = ["\t".join(" ".join(cell.split()) for cell in row) for row in record.labels]
    if count > 1:
        names = record.columns or [f"label {number}" for number in range(1, count + 1)]
        lines.insert(0, "\t".join(" ".join(name.split()) for name in names))
    return "".join(line + "\n" for line in lines).encode()


def _encode_sprite(images: NDArray[np.uint8]) -> tuple[bytes, int]:
    """Arrange pictures in a square; return the PNG file, and the width of one, which is square too."""
    import math

    from PIL import Image

    from monitor.render.pictures.images import to_rgb

    tiles = to_rgb(images)
    columns = math.ceil(math.sqrt(len(tiles)))
    side = max(1, min(max(tiles.shape[1:3]), MAX_TILE_PX, MAX_SPRITE_PX // columns))
    sheet = Image.new("RGB", (columns * side, columns * side), "white")
    for number, tile in enumerate(tiles):
        picture = Image.fromarray(tile)
        picture.thumbnail((side, side))
        left, top = number % columns * side, number // columns * side
        sheet.paste(picture, (left + (side - picture.width) // 2, top + (side - picture.height) // 2))
    file = io.BytesIO()
    sheet.save(file, "PNG")
    return file.getvalue(), side


class ProjectorReader:
    """Read the embeddings of a run directory, repeatedly while more are added. Their pictures are left out."""

    def __init__(self, run: Path, skipped: Counter[str]) -> None:
        """Count what cannot be read in `skipped`."""
        self._run, self._skipped = run, skipped
        self._seen: set[str] = set()
        self._signature: tuple[int, int] | None = None  # of the list, when it was last read

    def new(self) -> Iterator[Embedding]:
        """Yield the embeddings that are new in the list. Blocks while it reads; what cannot be read is skipped."""
        path = self._run / CONFIG_NAME
        try:
            found = path.stat()
            signature = found.st_mtime_ns, found.st_size
            if signature == self._signature:
                return
            self._signature = signature
            entries = _read_config(path)
        except FileNotFoundError:
            return
        except Exception:  # no list, or one that is being written: then it is read again when it has grown
            self._skipped["projector"] += 1
            return
        for entry in entries:
            name = str(entry.tensor_name)
            if name in self._seen or not entry.tensor_path:
                continue
            self._seen.add(name)
            try:
                yield self._read(name, entry)
            except Exception:  # of many kinds, for files that are missing or damaged
                self._skipped["projector"] += 1

    def _read(self, name: str, entry: Any) -> Embedding:
        import numpy as np

        path = self._inside(entry.tensor_path)
        rows: list[NDArray[np.float32]] = []
        for line in _lines(path):
            rows.append(np.array(line.split("\t"), np.float32))
            if (len(rows) + 1) * len(rows[0]) > MAX_VALUES:
                break
        vectors = np.stack(rows)
        while 1 < vectors.shape[1] <= MIN_DIMENSIONS and not vectors[:, -1].any():
            vectors = vectors[:, :-1]
        labels, columns = (), ()
        if entry.metadata_path:
            labels, columns = _read_labels(self._inside(entry.metadata_path), len(rows))
        step = STEP_SUFFIX.search(name)
        tag, number = (name[: step.start()], int(step[1])) if step else (name, 0)
        return Embedding(tag, vectors, number, path.stat().st_mtime, labels, columns)

    def _inside(self, path: str) -> Path:
        """Return a path in the run directory. Raises `ValueError` for one outside of it."""
        root = self._run.resolve()
        resolved = (root / path).resolve()
        if not resolved.is_relative_to(root):
            raise ValueError("a path leads out of the run directory")
        return resolved


def _read_config(path: Path) -> list[Any]:
    from google.protobuf import text_format
    from tensorboard.plugins.projector.projector_config_pb2 import ProjectorConfig

    with open_regular(path) as file:
        content = file.read(MAX_CONFIG_BYTES + 1)
    if len(content) > MAX_CONFIG_BYTES:
        raise ValueError("the list of embeddings is too large")
    return list(text_format.Parse(content, ProjectorConfig()).embeddings)


def _read_labels(path: Path, count: int) -> tuple[Any, Any]:
    """Return the rows of labels, and the names of the columns if there are several."""
    rows = [tuple(cell[:MAX_CELL_CHARS] for cell in line.split("\t")[:MAX_COLUMNS]) for line in _lines(path, count + 1)]
    columns = rows.pop(0) if rows and len(rows[0]) > 1 else ()
    rows = rows[:count]
    if len(rows) != count or len(set(map(len, rows)) | ({len(columns)} if columns else set())) > 1:
        raise ValueError("the labels do not fit the points")
    return tuple(rows), columns


def _lines(path: Path, limit: int = MAX_POINTS) -> Iterator[str]:
    """Yield the first lines of a file. Raises `ValueError` for a line of more than 1 MiB, and for other text."""
    with open_regular(path) as file:
        for _ in range(limit):
            line = file.readline(MAX_LINE_BYTES + 1)
            if len(line) > MAX_LINE_BYTES:
                raise ValueError("a line is too long")
            if not line:
                return
            yield line.decode("utf-8").rstrip("\r\n")
