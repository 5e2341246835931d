"""Boxes in images: each label is whole, inside the image, and on no other one."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from monitor import records as r
from monitor.render.pictures.detections import boxes_in_pixels, detection_image, place_labels
from monitor.render.pictures.lettering import Lettering

BOXES = {  # left, top, right, bottom
    "the same box six times": [[10, 10, 60, 60]] * 6,
    "at the edges": [[0, 0, 5, 5], [150, 0, 160, 5], [150, 110, 160, 120], [0, 110, 5, 120]],
    "inside each other": [[number, number, 160 - number, 120 - number] for number in range(0, 50, 4)],
    "hundreds": [[number % 150, number % 110, 160, 120] for number in range(400)],
    "not finite": [[np.nan, 0, 1, 1], [1e300, -1e300, 5, 5], [9, 9, -9, -9]],
}


@pytest.mark.parametrize("boxes", BOXES)
@pytest.mark.parametrize("label", ["cat 0.91", "", "猫 " * 40, "x" * 5000, "<b>\x1b[31m\u202e"])
def test_labels_are_apart(boxes: str, label: str) -> None:
    sides = np.array(BOXES[boxes], float)
    labels = tuple(f"{label}{number}" if label else "" for number in range(len(sides)))
    record = r.Detections("d", np.zeros((3, 120, 160), np.uint8), sides, labels, np.zeros((0, 1, 1), np.uint8), 0, 0.0)
    found = boxes_in_pixels(record, 4, (640, 480))
    placed, left_out = place_labels(record, found, (640, 480), Lettering(26))
    assert len(placed) + len(left_out) == (len(found) if label else 0)
    if len(sides) <= 6:
        assert left_out == [], "there is room for a few"
    taken = np.zeros((480, 640), np.int32)
    for item in placed:
        assert item.left >= 0
        assert item.left + item.width <= 640
        assert item.top >= 0
        assert item.top + item.height <= 480
        taken[item.top : item.top + item.height, item.left : item.left + item.width] += 1
    assert taken.max() <= 1
    picture = detection_image(record)
    with Image.open(io.BytesIO(picture.png)) as drawn:
        assert drawn.size == (picture.width, picture.height)
    assert (picture.height > 480) == bool(left_out), "what has no room is listed below"


def test_a_label_is_drawn_in_its_box_color() -> None:
    image = np.full((3, 120, 160), 255, np.uint8)
    record = r.Detections(
        "d", image, np.array([[40.0, 60, 90, 110]]), ("cat 0.91",), np.zeros((0, 120, 160), np.uint8), 0, 0.0
    )
    picture = np.asarray(Image.open(io.BytesIO(detection_image(record).png)))
    (label,), _ = place_labels(record, {0: (160, 240, 360, 440)}, (640, 480), Lettering(26))
    area = picture[label.top : label.top + label.height, label.left : label.left + label.width]
    blue = np.array([31, 119, 180])
    assert (area == blue).all(axis=2).mean() > 0.5
    assert (area == 255).all(axis=2).sum() > 50, "white letters"
    assert (picture[240, 160:360] == blue).all()
    assert (picture[0, 0] == 255).all()


@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 1, 4000), (4, 2000, 1), (3, 1080, 1920)])
def test_images_of_all_sizes(shape: tuple[int, int, int]) -> None:
    boxes, no_masks = np.array([[0.0, 0, 1, 1]] * 2), np.zeros((0, 1, 1), np.uint8)
    record = r.Detections("d", np.zeros(shape, np.uint8), boxes, ("one", "two"), no_masks, 0, 0.0)
    picture = detection_image(record)
    assert np.asarray(Image.open(io.BytesIO(picture.png))).shape == (picture.height, picture.width, 3)
