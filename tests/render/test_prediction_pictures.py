"""Pictures of predictions: what is wrong is marked, all is legible, and no text is on another or on an image."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from monitor import records as r
from monitor.render.pictures.lettering import Lettering
from monitor.render.pictures.predictions import FRAME_PX, arrange_predictions, prediction_grid, prediction_labels
from tests.support.class_names import CIFAR10, FASHION, LONG, NAMES
from tests.support.ink import assert_apart

if TYPE_CHECKING:
    from pathlib import Path


def predictions(names: tuple[str, ...], count: int, shape: tuple[int, int, int] = (1, 28, 28)) -> r.Predictions:
    """Return predictions of which every third is wrong, of images of noise."""
    rng = np.random.default_rng(count)
    target = np.arange(count) % (len(names) or 10)
    predicted = np.where(np.arange(count) % 3, target, (target + 1) % (len(names) or 10))
    return r.Predictions("p", rng.integers(0, 256, (count, *shape), np.uint8), predicted, target, names, 1234, 0.0)


def decode(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_a_prediction_that_is_wrong_is_marked(channels: int) -> None:
    images = np.full((2, channels, 28, 28), 128, np.uint8)
    record = r.Predictions("p", images, np.array([3, 3]), np.array([3, 8]), (), 0, 0.0)
    picture = decode(prediction_grid(record).png)
    layout = arrange_predictions(record)
    middle = (layout.places[0][0] + layout.places[1][0] + 28 * layout.scale) // 2

    def red(part: np.ndarray) -> int:
        return int(((part[..., 0] > 180) & (part[..., 1:].max(axis=2) < 60)).sum())

    assert red(picture[:, :middle]) == 0
    assert red(picture[:, middle:]) > 4 * 28 * layout.scale * FRAME_PX  # the frame, and letters
    assert prediction_labels(record).splitlines()[1:] == ["0: 3 / 3", "1: 3 / 8  wrong"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("count", [1, 2, 10, 33, 256])
def test_nothing_overlaps(name: str, count: int) -> None:
    layout = arrange_predictions(predictions(NAMES[name], count))
    side = 28 * layout.scale + 2 * FRAME_PX
    frames = [(left - FRAME_PX, top - FRAME_PX, side, side) for left, top in layout.places]
    assert_apart(layout.labels, layout.width, layout.height, frames)
    assert layout.density == 2
    assert layout.width / layout.density <= 800, "so that letters keep their size in a window"


@pytest.mark.parametrize("name", NAMES)
def test_images_keep_their_places_whatever_is_predicted(name: str) -> None:
    record = predictions(NAMES[name], 33)
    classes = len(NAMES[name]) or 10
    wrong = [(record.target + shift) % classes for shift in (1, 2, classes // 2)]
    layouts = [arrange_predictions(record._replace(predicted=predicted)) for predicted in (record.target, *wrong)]
    columns = [sorted({left for left, _ in layout.places}) for layout in layouts]
    rows = [np.diff(sorted({top for _, top in layout.places})).tolist() for layout in layouts]
    assert columns[1:] == columns[:1] * 3
    assert rows[1:] == rows[:1] * 3  # the heading and the key may have more lines, and so move all of them


@pytest.mark.parametrize(
    "shape", [(1, 8, 8), (3, 32, 32), (4, 64, 48), (3, 224, 224), (3, 512, 512), (1, 1, 700), (1, 700, 1)]
)
def test_images_of_all_sizes(shape: tuple[int, int, int]) -> None:
    record = predictions(CIFAR10, 12, shape)
    layout, picture = arrange_predictions(record), prediction_grid(record)
    height, width = shape[1] * layout.scale, shape[2] * layout.scale
    frames = [(left, top, width, height) for left, top in layout.places]
    assert_apart(layout.labels, layout.width, layout.height, frames)
    assert width >= 112 or height > 500
    drawn = decode(picture.png)
    left, top = layout.places[1]
    image = drawn[top : top + height : layout.scale, left : left + width : layout.scale]
    wanted = record.images[1].astype(int)
    if shape[0] == 1:
        assert np.abs(image - np.moveaxis(wanted, 0, 2)).max() <= 1, "240 levels of gray"
    elif shape[0] == 3:
        assert (image == np.moveaxis(wanted, 0, 2)).all()
    assert (picture.width, picture.height, picture.channels) == (drawn.shape[1], drawn.shape[0], 3)


def test_the_words_say_which_class_is_which() -> None:
    short = [label.text for label in arrange_predictions(predictions((), 12)).labels]
    assert short[0] == "predicted / true · 8 of 12 correct · step 1,234"
    assert short[1:3] == ["1 / 0", "1 / 1"]
    words = [label.text for label in arrange_predictions(predictions(FASHION, 12)).labels]
    assert words[0] == "predicted class, and the true one where it differs · 8 of 12 correct · step 1,234"
    assert words[1:4] == ["Trouser", "true: T-shirt/top", "Trouser"]
    assert "true: Ankle boot" in words


def test_a_name_that_does_not_fit_is_a_number_with_a_key() -> None:
    layout = arrange_predictions(predictions(LONG, 10))
    texts = [label.text for label in layout.labels]
    assert "#2 / #2" in texts
    assert sum(text.startswith("#3 Carcharodon carcharias") for text in texts) == 1
    hostile = [label.text for label in arrange_predictions(predictions(NAMES["hostile"], 10)).labels]
    assert hostile[hostile.index("#7") + 1] == "true: #6", "two classes with the same name are told apart"
    assert any("#6 same" in text and "#7 same" in text for text in hostile)


def test_characters_that_no_font_has_are_spelled_out() -> None:
    lettering = Lettering(26)
    missing = "\U0010fffd"
    assert (lettering.ink(missing) == lettering.ink("\\u10fffd")).all()
    widths = [lettering.width(lettering.shorten("a very long name", limit)) for limit in (40, 80, 160, 400)]
    assert all(width <= limit for width, limit in zip(widths, (40, 80, 160, 400)))
    assert all(a < b for a, b in pairwise(widths))
    assert lettering.width("Ж") > 0, "Matplotlib's font has what Pillow's lacks"


def test_files_stay_small() -> None:
    rng = np.random.default_rng(0)
    strokes = np.zeros((16, 1, 28, 28), np.uint8)  # about as much ink as digits have
    for image in strokes:
        for _ in range(3):
            x, y = rng.integers(6, 20, 2)
            image[0, y : y + 3, x : x + 8] = rng.integers(100, 256, image[0, y : y + 3, x : x + 8].shape)
    record = r.Predictions("p", strokes, np.arange(16) % 10, np.arange(16) % 10, FASHION, 0, 0.0)
    assert len(prediction_grid(record).png) < 40_000


def test_a_font_of_the_system_draws_what_others_lack(tmp_path: Path) -> None:
    """A font named like one that has Chinese is made, with one character, and found where systems keep fonts."""
    from fontTools.fontBuilder import FontBuilder  # type: ignore[import-untyped]
    from fontTools.pens.ttGlyphPen import TTGlyphPen  # type: ignore[import-untyped]

    def square(side: int) -> object:
        pen = TTGlyphPen(None)
        pen.moveTo((50, 0))
        for corner in ((50, side), (side, side), (side, 0)):
            pen.lineTo(corner)
        pen.closePath()
        return pen.glyph()

    builder = FontBuilder(1000, isTTF=True)
    builder.setupGlyphOrder([".notdef", "cat"])
    builder.setupCharacterMap({ord("猫"): "cat"})
    builder.setupGlyf({".notdef": square(300), "cat": square(900)})
    builder.setupHorizontalMetrics({".notdef": (400, 50), "cat": (1000, 50)})
    builder.setupHorizontalHeader(ascent=900, descent=-100)
    builder.setupNameTable({"familyName": "Test", "styleName": "Regular"})
    builder.setupOS2()
    builder.setupPost()
    (tmp_path / "fonts").mkdir()
    builder.save(tmp_path / "fonts" / "NotoSansCJK-Regular.ttc")
    script = (
        "from monitor.render.pictures.lettering import Lettering, can_be_drawn\n"
        "print(can_be_drawn('猫'), can_be_drawn('狗'), int((Lettering(20).ink('猫') > 200).sum()) > 200)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        timeout=100,
        check=True,
        env={**os.environ, "XDG_DATA_HOME": str(tmp_path)},
    )
    assert done.stdout.split() == ["True", "False", "True"]
