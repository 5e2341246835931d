"""What a comparison reads from event files, in an amount of memory that does not depend on their size."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from monitor.events.reader import read_history
from monitor.records import Images, Scalar
from monitor.render.downsampling import DownsampledSeries

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    OnError = Callable[[Path, OSError], None] | None

log = logging.getLogger("monitor")

MAX_GRID_PX = 1000  # width and height of a grid of pictures on the page, which shows it half as wide
MAX_PICTURE_BYTES = 2**26  # of all pictures of a page


class LeftOut:
    """Says once for each event file that cannot be read that it is left out."""

    def __init__(self) -> None:
        self.paths: set[Path] = set()

    def __call__(self, path: Path, error: OSError) -> None:
        """Log a warning."""
        if path not in self.paths:
            self.paths.add(path)
            log.warning("%s cannot be read and is left out: %s", path, error.strerror or error)


def read_series(run: Path, tags: Iterable[str], on_error: OnError = None) -> dict[str, DownsampledSeries]:
    """Return the downsampled points of each tag, without those that a restart supersedes. Blocks while it reads."""
    series = {tag: DownsampledSeries() for tag in tags}
    for records in read_history(run, series.__contains__, on_error=on_error, kinds=frozenset({Scalar})):
        for record in records:
            if isinstance(record, Scalar):
                series[record.tag].add(record.step, record.value)
    return series


@dataclass
class Pictures:
    """The pictures of a page.

    Attributes:
        by_tag: by tag and by the run's index, the pictures that were logged last.
        left_out: how many there was no room for.
    """

    by_tag: dict[str, dict[int, Images]] = field(default_factory=dict)
    left_out: int = 0


def latest_pictures(runs: Sequence[Path], step: int | None, on_error: OnError = None) -> Pictures:
    """Return the latest pictures of each run up to `step`, large ones made smaller. Blocks while it reads."""
    pictures, left_out, size = Pictures(), set(), 0
    for index, run in enumerate(runs):
        for records in read_history(run, on_error=on_error, kinds=frozenset({Images})):
            while records:
                record = records.pop(0)
                if not isinstance(record, Images) or (step is not None and record.step > step):
                    continue
                previous = pictures.by_tag.get(record.tag, {}).get(index)
                if previous is not None and previous.step > record.step:
                    continue
                record = record._replace(images=_shrink(record.images))
                grown = record.images.nbytes - (0 if previous is None else previous.images.nbytes)
                if size + grown > MAX_PICTURE_BYTES:
                    left_out.add((record.tag, index))
                    continue
                size += grown
                pictures.by_tag.setdefault(record.tag, {})[index] = record
    pictures.left_out = len(left_out)
    return pictures


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
