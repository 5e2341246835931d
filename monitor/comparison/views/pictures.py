"""The pictures of a comparison: the latest of each run, and some before them, within the room that a page has."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from monitor.comparison.event_data import read_others
from monitor.records import Images

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from monitor.comparison.event_data import OnError

MAX_GRID_PX = 900  # width and height of a grid of pictures on the page
MAX_STEPS = 12  # of a run and tag: the newest, and an even thinning of the rest
MAX_PICTURE_BYTES = 2**26  # of all pictures while they are read
MAX_ENCODED_BYTES = 1_800_000  # of all pictures of a page
WEBP_QUALITY = 70
SIDES_PX = (800, 540, 360)  # widths of pictures, of which the largest is used at which the newest of all fit
SMALL_PX = 128 * 128  # area of a picture that is kept without loss


@dataclass
class Pictures:
    """The pictures of a page.

    Attributes:
        by_tag: by tag and by the run's number, the pictures as WebP files, by step, ascending.
        left_out: how many there was no room for.
    """

    by_tag: dict[str, dict[int, dict[int, bytes]]] = field(default_factory=dict)
    left_out: int = 0


class _History:
    """The pictures of one run and tag: at most `MAX_STEPS`, the newest and an even thinning of the rest."""

    def __init__(self) -> None:
        self.kept: list[Images] = []
        self.count = 0  # that were added
        self._stride = 1

    def add(self, record: Images) -> None:
        while self.kept and self.kept[-1].step >= record.step:
            self.kept.pop()
        if self.kept and (self.count - 1) % self._stride:  # the one before is no longer the newest
            self.kept.pop()
        self.kept.append(record)
        self.count += 1
        if len(self.kept) > MAX_STEPS:
            self._stride *= 2
            self.kept = [*self.kept[:-1][::2], self.kept[-1]]

    def keep_newest(self) -> None:
        self.kept = self.kept[-1:]

    @property
    def nbytes(self) -> int:
        return sum(record.images.nbytes for record in self.kept)


def read_pictures(runs: Sequence[Path], step: int | None, on_error: OnError = None) -> Pictures:
    """Return the pictures of each run up to `step`. Blocks while it reads, draws, and encodes them.

    Large ones are made smaller. With `step`, only the latest of each is returned.
    """
    histories: dict[tuple[str, int], _History] = {}
    left_out: set[tuple[str, int]] = set()
    for index, run in enumerate(runs):
        for records in read_others(run, frozenset({Images}), on_error):
            while records:
                record = records.pop(0)
                if not isinstance(record, Images) or (step is not None and record.step > step):
                    continue
                record = record._replace(images=_shrink(record.images))
                own = {tag: history for (tag, number), history in histories.items() if number == index}
                room = MAX_PICTURE_BYTES // len(runs) - record.images.nbytes
                if sum(history.nbytes for history in own.values()) > room:
                    for history in own.values():
                        history.keep_newest()
                others = sum(history.nbytes for tag, history in own.items() if tag != record.tag)
                if others > room:
                    left_out.add((record.tag, index))
                    continue
                if record.tag in own and own[record.tag].nbytes + others > room:
                    own[record.tag].kept = []  # the newer one takes its place
                histories.setdefault((record.tag, index), _History()).add(record)
    left_out -= histories.keys()
    return _encoded(histories, len(left_out), latest_only=step is not None)


def _encoded(histories: dict[tuple[str, int], _History], left_out: int, *, latest_only: bool) -> Pictures:
    """Encode the pictures, the newest of all first, as long as there is room."""
    pictures, size = Pictures(left_out=left_out), 0
    newest = [history.kept[-1] for history in histories.values() if history.kept]
    side = next(
        (side for side in SIDES_PX[:-1] if sum(len(_encode(record, side)) for record in newest) <= MAX_ENCODED_BYTES),
        SIDES_PX[-1],
    )
    deepest = max((len(history.kept) for history in histories.values()), default=0)
    for age in range(1 if latest_only else deepest):
        for (tag, index), history in histories.items():
            if age >= len(history.kept):
                continue
            record = history.kept[-1 - age]
            encoded = _encode(record, side)
            if size + len(encoded) > MAX_ENCODED_BYTES:
                pictures.left_out += not age
                continue
            size += len(encoded)
            pictures.by_tag.setdefault(tag, {}).setdefault(index, {})[record.step] = encoded
    for by_run in pictures.by_tag.values():
        for index, by_step in by_run.items():
            by_run[index] = dict(sorted(by_step.items()))
    return pictures


def _encode(record: Images, side: int) -> bytes:
    """Return the grid of pictures as a WebP file at most `side` pixels wide; a small one without loss."""
    from PIL import Image

    from monitor.render.pictures.images import image_grid

    grid: Image.Image = Image.open(io.BytesIO(image_grid(record).png))
    file = io.BytesIO()
    is_small = grid.width * grid.height <= SMALL_PX
    if grid.width > side:
        grid = grid.resize((side, max(1, grid.height * side // grid.width)), Image.Resampling.LANCZOS)
    grid.save(file, "WEBP", lossless=is_small, quality=100 if is_small else WEBP_QUALITY, method=3)
    return file.getvalue()


def _shrink(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return N×C×H×W pictures with a width and height divided by a whole number, so that their grid fits the page."""
    import numpy as np
    from PIL import Image

    count, channels, height, width = images.shape
    factor = max(1, round((count * height * width) ** 0.5 / MAX_GRID_PX), -(-max(height, width) // (2 * MAX_GRID_PX)))
    if factor == 1:
        return images
    small = np.empty((count, channels, -(-height // factor), -(-width // factor)), np.uint8)
    for source, target in zip(images.reshape(-1, height, width), small.reshape(-1, *small.shape[2:])):
        target[:] = Image.fromarray(np.ascontiguousarray(source)).reduce(factor)
    return small
