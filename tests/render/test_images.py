"""Pictures of predictions."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from monitor import records as r


def test_a_prediction_that_is_wrong_is_marked() -> None:
    from monitor.render.pictures.predictions import prediction_grid, prediction_labels

    images = np.full((2, 1, 28, 28), 128, np.uint8)
    record = r.Predictions("p", images, np.array([3, 3]), np.array([3, 8]), (), 0, 0.0)
    picture = np.asarray(Image.open(io.BytesIO(prediction_grid(record).png))).astype(int)
    left, right = np.array_split(picture, 2, axis=1)

    def red(part: np.ndarray) -> int:
        return int(((part[..., 0] > 180) & (part[..., 1:].max(axis=2) < 60)).sum())

    assert red(left) == 0
    assert red(right) > 100
    assert prediction_labels(record).splitlines()[1:] == ["0: 3 / 3", "1: 3 / 8  wrong"]
