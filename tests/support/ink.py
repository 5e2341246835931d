"""Whether the texts in a picture are apart: measured by the ink of each."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    from monitor.render.pictures.labels import Label


def assert_apart(
    labels: Iterable[Label], width: int, height: int, others: Iterable[tuple[int, int, int, int]] = ()
) -> None:
    """Fail if a text leaves the picture, or has ink on that of another one, or on one of the rectangles `others`."""
    inked = np.zeros((height, width), np.int32)
    for left, top, other_width, other_height in others:
        assert left >= 0
        assert top >= 0
        assert left + other_width <= width
        assert top + other_height <= height
        inked[top : top + other_height, left : left + other_width] += 1
    assert inked.max(initial=0) <= 1
    for label in labels:
        rows, columns = label.ink.shape
        assert label.left >= 0, label.text
        assert label.top >= 0, label.text
        assert label.left + columns <= width, label.text
        assert label.top + rows <= height, label.text
        assert (label.ink > 0).any() or not label.text.strip(), label.text
        area = inked[label.top : label.top + rows, label.left : label.left + columns]
        area += label.ink > 0
        assert area.max() <= 1, f"{label.text!r} is on something else"
