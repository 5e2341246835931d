"""Figures: drawn as they were at the call, by a worker."""

from __future__ import annotations

import io
import json
import threading
from typing import TYPE_CHECKING, Any

import matplotlib.figure
import numpy as np
from PIL import Image

from monitor import Figure, Logger

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pytest


def pixels(png: bytes) -> np.ndarray[Any, Any]:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))


def red_figure() -> Any:
    figure = matplotlib.figure.Figure(figsize=(3, 2), dpi=100, facecolor="red")
    figure.add_subplot().plot([1, 2, 3])
    return figure


def test_a_figure_is_drawn_as_it_was_at_the_call(logged: Callable[..., Any]) -> None:
    figure = red_figure()

    def call(log: Logger) -> None:
        log.figure("f", figure, 3)
        figure.set_facecolor("blue")
        figure.clear()

    record = logged(Figure, call)
    drawn = pixels(record.png)
    assert (record.step, record.plotly, drawn.shape) == (3, "", (200, 300, 3))
    assert tuple(drawn[0, 0]) == (255, 0, 0)
    assert (drawn != drawn[0, 0]).any()


def test_a_figure_of_pyplot_stays_open_and_opens_no_second_one(logged: Callable[..., Any]) -> None:
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots()
    axes.plot([1, 2])
    try:
        assert logged(Figure, lambda log: log.figure("f", figure, 0)).png.startswith(b"\x89PNG")
        assert pyplot.get_fignums() == [figure.number]
    finally:
        pyplot.close(figure)


def test_a_figure_that_cannot_be_pickled_is_drawn_during_the_call(logged: Callable[..., Any]) -> None:
    figure = red_figure()
    figure.axes[0].xaxis.set_major_formatter(lambda value, _: str(value))
    canvas = figure.canvas

    def call(log: Logger) -> None:
        log.figure("f", figure, 0)
        figure.set_facecolor("blue")

    assert tuple(pixels(logged(Figure, call).png)[0, 0]) == (255, 0, 0)
    assert figure.canvas is canvas


def test_a_huge_figure_is_drawn_smaller(logged: Callable[..., Any]) -> None:
    figure = matplotlib.figure.Figure(figsize=(100, 50), dpi=1000)
    record = logged(Figure, lambda log: log.figure("f", figure, 0))
    assert pixels(record.png).shape == (2048, 4096, 3)


def test_a_mapping_and_an_object_with_plotlys_methods(logged: Callable[..., Any]) -> None:
    values = np.array([1.0, np.nan, 3.0])
    encoded = {"dtype": "f8", "bdata": "AAAAAAAA8D8AAAAAAAAAQA==", "shape": "2"}  # as Plotly 6 writes 1.0 and 2.0

    class PlotlyLike:
        def to_dict(self) -> dict[str, Any]:
            return {"data": [{"type": "scatter", "y": values.copy(), "x": encoded}], "layout": {"title": {"text": "t"}}}

        to_plotly_json = to_dict

    for figure in (PlotlyLike(), PlotlyLike().to_dict()):
        record = logged(Figure, lambda log, figure=figure: log.figure("f", figure, 0))
        assert record.png == b""
        content = json.loads(record.plotly)
        assert content["data"] == [{"type": "scatter", "y": [1.0, None, 3.0], "x": [1.0, 2.0]}]
        assert content["layout"] == {"title": {"text": "t"}}


def test_nothing_is_drawn_on_the_training_thread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    threads = []
    draw = FigureCanvasAgg.draw

    def watched(self: Any) -> None:
        threads.append(threading.current_thread())
        draw(self)

    monkeypatch.setattr(FigureCanvasAgg, "draw", watched)
    with Logger(tmp_path / "run", ["tensorboard"]) as log:
        log.figure("f", red_figure(), 0)
        log.roc_curve("r", [0, 1], [0.1, 0.9], 0)
    assert threads
    assert threading.main_thread() not in threads
