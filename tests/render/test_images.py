"""Grids of images: gray ones stay gray, transparent ones transparent, and small ones are enlarged."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from monitor import records as r
from monitor.render.pictures.images import PADDING_PX, PngImage, image_grid
from monitor.sinks.visdom.windows import image_window


@pytest.mark.parametrize(
    ("shape", "side", "mode"),
    [
        ((16, 1, 28, 28), 56, "L"),
        ((16, 3, 32, 32), 64, "RGB"),
        ((6, 4, 8, 8), 56, "RGBA"),
        ((5, 3, 512, 512), 512, "RGB"),
        ((1, 1, 1, 1), 56, "L"),
    ],
)
def test_a_grid(shape: tuple[int, int, int, int], side: int, mode: str) -> None:
    images = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    grid = image_grid(r.Images("grid", images, 0, 0.0))
    drawn = Image.open(io.BytesIO(grid.png))
    assert drawn.mode == mode
    assert grid[1:4] == (*drawn.size, shape[1])
    columns = (grid.width - PADDING_PX) // (side + PADDING_PX)
    scale, pixels = side // shape[2], np.asarray(drawn).reshape(drawn.height, drawn.width, -1)
    for number, image in enumerate(images):
        top, left = (PADDING_PX + place * (side + PADDING_PX) for place in divmod(number, columns))
        tile = pixels[top : top + side, left : left + side]
        assert (tile[::scale, ::scale] == np.moveaxis(image, 0, 2)).all()
        assert (tile[scale - 1 :: scale, scale - 1 :: scale] == np.moveaxis(image, 0, 2)).all()


@pytest.mark.parametrize(
    ("size", "density", "width"),
    [((350, 120), 1, 350), ((2000, 1000), 1, 800), ((240, 400), 2, 240), ((700, 300), 2, 410), ((1360, 700), 2, 680)],
)
def test_the_size_of_a_window(size: tuple[int, int], density: int, width: int) -> None:
    file = io.BytesIO()
    Image.new("L", size).save(file, "PNG")
    opts = image_window("t", PngImage(file.getvalue(), *size, 1, density))["opts"]
    assert opts["width"] == width
    assert opts["height"] - 16 == pytest.approx(width * size[1] / size[0])
