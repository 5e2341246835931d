"""The counts of a confusion matrix inside of its picture, so that a heat map can be made from an event file."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np

from monitor.metrics import CONFUSION_KEY
from monitor.records import ConfusionMatrix
from monitor.render.charts.confusion import MAX_CLASSES
from monitor.render.pictures.png_text import has_text, read_text, with_text

if TYPE_CHECKING:
    from monitor.render.pictures.images import PngImage

MAX_TEXT_CHARS = 2**19
MAX_COUNT = 2**53  # which a page can show


def with_numbers(picture: PngImage, record: ConfusionMatrix) -> PngImage:
    """Return the picture of a matrix with its counts and names; as it is if there are too many for a heat map."""
    if not 0 < len(record.counts) <= MAX_CLASSES:
        return picture
    text = json.dumps({"counts": record.counts.tolist(), "names": record.names[: len(record.counts)]})
    return with_text(picture, CONFUSION_KEY, text.encode()) if len(text) <= MAX_TEXT_CHARS else picture


def read_numbers(png: bytes, tag: str, step: int, time: float) -> ConfusionMatrix | None:
    """Return the matrix whose counts `with_numbers` put into its picture; None for any other content."""
    if not has_text(png, CONFUSION_KEY):
        return None
    try:
        fields = json.loads(read_text(png, CONFUSION_KEY))
        counts, names = np.array(fields["counts"]), fields["names"]
    except Exception:  # damaged, or not ours: a file may hold anything
        return None
    is_square = counts.ndim == 2 and counts.shape[0] == counts.shape[1] and 0 < len(counts) <= MAX_CLASSES
    if not is_square or counts.dtype != np.int64 or (counts < 0).any() or (counts > MAX_COUNT).any():
        return None
    if not isinstance(names, list) or len(names) > len(counts) or not all(isinstance(name, str) for name in names):
        return None
    return ConfusionMatrix(tag, counts, tuple(names), step, time)
