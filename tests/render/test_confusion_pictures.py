"""Confusion matrices as pictures and as heat maps: names apart and whole, right colors, few or many classes."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from monitor import records as r
from monitor.metrics import CONFUSION_KEY
from monitor.render.charts.confusion import MAX_CLASSES, confusion_chart, confusion_size
from monitor.render.pictures.confusion import arrange_confusion_matrix, confusion_matrix_image
from monitor.render.pictures.confusion_numbers import read_numbers, with_numbers
from monitor.render.pictures.png_text import with_text
from monitor.sinks.visdom import windows
from monitor.sinks.visdom.record_windows import confusion
from tests.support.class_names import CIFAR100, FASHION, LONG, NAMES
from tests.support.ink import assert_apart


def matrix(names: tuple[str, ...], classes: int) -> r.ConfusionMatrix:
    counts = np.random.default_rng(classes).integers(0, 3, (classes, classes)) + 97 * np.eye(classes, dtype=np.int64)
    return r.ConfusionMatrix("c", counts, tuple(names[:classes]), 7, 0.0)


def pixels(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("classes", [1, 2, 10, 20, 100, 333])
def test_nothing_overlaps(name: str, classes: int) -> None:
    record = matrix(NAMES[name], classes)
    layout = arrange_confusion_matrix(record)
    side = classes * layout.cell
    assert_apart(layout.labels, layout.width, layout.height, [(layout.left, layout.top, side, side)])
    assert_apart(layout.counts, layout.width, layout.height)
    for label in layout.counts:
        x, y = label.left - layout.left, label.top - layout.top
        assert x // layout.cell == (x + label.ink.shape[1] - 1) // layout.cell
        assert y // layout.cell == (y + label.ink.shape[0] - 1) // layout.cell
    assert len(layout.counts) == (np.count_nonzero(record.counts) if classes <= 20 else 0)
    picture = confusion_matrix_image(record)
    assert (picture.width, picture.height) == (layout.width, layout.height)


@pytest.mark.parametrize("names", [FASHION, CIFAR100])
def test_names_are_whole(names: tuple[str, ...]) -> None:
    texts = [label.text for label in arrange_confusion_matrix(matrix(names, len(names))).labels]
    assert all(texts.count(name) == 2 for name in names), "beside each row, and above each column"
    assert texts[0].startswith("rows: true class · columns: predicted")
    key = [label.text for label in arrange_confusion_matrix(matrix(LONG, 10)).labels]
    assert key.count("#3") == 2
    assert sum("#3 Carcharodon" in text for text in key) == 1


def test_cells_have_their_color() -> None:
    counts = np.array([[8, 2, 0], [0, 0, 0], [0, 0, 5]])
    record = r.ConfusionMatrix("c", counts, (), 0, 0.0)
    layout, picture = arrange_confusion_matrix(record), pixels(confusion_matrix_image(record).png)
    corners = picture[layout.top + 4 :: layout.cell, layout.left + 4 :: layout.cell][:3, :3]
    red, green, blue = np.moveaxis(corners, 2, 0)
    assert (blue > red)[[0, 2], [0, 2]].all()
    assert red[0, 1] > blue[0, 1]
    assert (corners[2, 2] == [31, 119, 180]).all()
    assert ((red == 255) & (green == 255) & (blue == 255)).tolist() == (counts == 0).tolist()


@pytest.mark.parametrize("classes", [0, 1, 5000])
def test_few_and_many_classes(classes: int) -> None:
    counts = np.zeros((classes, classes), np.int64)
    counts[-1:, :1] = 4
    record = r.ConfusionMatrix("c", counts, (), 0, 0.0)
    layout, picture = arrange_confusion_matrix(record), confusion_matrix_image(record)
    assert_apart(layout.labels, layout.width, layout.height)
    assert picture.width < 2600
    assert windows.encode(confusion(record))
    if classes == 5000:
        assert any("3 classes per cell" in label.text for label in layout.labels)
        drawn = pixels(picture.png)[layout.top :, layout.left : layout.left + 1]
        assert (drawn[:1667, 0] != 255).any(axis=1).tolist() == [False] * 1666 + [True]


def test_the_chart_has_counts_and_shares() -> None:
    counts = np.array([[9, 1], [0, 0]])
    figure = confusion_chart(r.ConfusionMatrix("c", counts, ("<b>cat</b>", "dog"), 3, 0.0))
    (trace,) = figure["data"]
    assert trace["customdata"] == [[(9, 10, 90.0), (1, 10, 10.0)], [(0, 0, 0.0), (0, 0, 0.0)]]
    assert trace["x"] == trace["y"] == ["&lt;b&gt;cat&lt;/b&gt;", "dog"]
    assert trace["z"].tolist() == [[0.949, -0.316], [0.0, 0.0]]
    assert trace["text"] == [["9", "1"], ["", ""]]
    assert figure["layout"]["title"]["text"] == "step 3 · 9 of 10 correct (90.0%)"


@pytest.mark.parametrize("name", NAMES)
def test_names_of_the_chart_are_distinct(name: str) -> None:
    record = matrix(NAMES[name], 10)
    (trace,) = confusion_chart(record)["data"]
    assert len(set(trace["x"])) == 10
    assert all(trace["x"])
    assert all(len(text) <= 24 for text in trace["x"]) or name == "hostile"
    assert all(300 < side < 700 for side in confusion_size(record))


def test_more_classes_than_a_page_can_draw_are_a_picture() -> None:
    assert confusion(matrix((), MAX_CLASSES))["data"][0]["type"] == "heatmap"
    assert confusion(matrix((), MAX_CLASSES + 1))["data"][0]["type"] == "image"


def test_a_picture_holds_the_counts() -> None:
    """Up to the size that a page can draw; what another program wrote there is no matrix."""
    for record in (matrix(NAMES["hostile"], 10), matrix((), MAX_CLASSES)):
        picture = with_numbers(confusion_matrix_image(record), record)
        assert np.array_equal(pixels(picture.png), pixels(confusion_matrix_image(record).png))
        found = read_numbers(picture.png, record.tag, record.step, record.time)
        assert found is not None
        assert np.array_equal(found.counts, record.counts)
        assert found.names == record.names
    large = matrix((), MAX_CLASSES + 1)
    assert with_numbers(confusion_matrix_image(large), large).png == confusion_matrix_image(large).png
    picture = confusion_matrix_image(matrix((), 2))
    bad = ("", "[]", "[1, 2", '{"counts": [[1, 2]], "names": []}', '{"counts": [[-1]], "names": []}',
           '{"counts": [[1.5]], "names": []}', '{"counts": [[1e999]], "names": []}', '{"counts": [], "names": []}',
           '{"counts": [[1]], "names": ["a", "b"]}', '{"counts": [[1]], "names": [1]}',
           '{"counts": [[1]], "names": "a"}', '{"counts": [[9223372036854775807]], "names": []}',
           '{"counts": [["1"]], "names": []}', '{"counts": [[[1]]], "names": []}', "[" * 100_000,
           " " * 2_000_000)  # fmt: skip
    for text in bad:
        assert read_numbers(with_text(picture, CONFUSION_KEY, text.encode()).png, "c", 0, 0.0) is None, text[:60]
    assert read_numbers(picture.png, "c", 0, 0.0) is None
