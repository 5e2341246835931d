"""A copy of a figure is drawn pixel for pixel as the figure is."""

from __future__ import annotations

import gc
import pickle
import weakref
from typing import Any

import numpy as np
import pytest
from matplotlib import pyplot
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from monitor.capture.figures.copying import copy_figure, restore_figure
from tests.support.figures import KINDS, make


def pixels(figure: Any) -> np.ndarray[Any, Any]:
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.array(canvas.buffer_rgba())


@pytest.mark.parametrize("kind", KINDS)
def test_a_copy_is_drawn_as_the_figure_is(kind: str) -> None:
    figure = make(kind)
    copied = copy_figure(figure)
    assert len(copied) < len(pickle.dumps(figure, pickle.HIGHEST_PROTOCOL))
    drawn = pixels(restore_figure(copied))
    np.testing.assert_array_equal(drawn, pixels(figure))
    assert len(np.unique(drawn.reshape(-1, 4), axis=0)) > 2


@pytest.mark.parametrize("kind", ["lines", "polar", "clips"])
def test_a_copy_follows_its_own_changes_alone(kind: str) -> None:
    """What depends on a transform of a copy follows it, and nothing reaches the figure."""
    figure = make(kind)
    before = pixels(figure)
    copy, other = restore_figure(copy_figure(figure)), pickle.loads(pickle.dumps(figure))
    for changed in (copy, other):
        for axes in changed.axes:
            axes.set_ylim(-5, 9)
            axes.set_position((0.3, 0.3, 0.3, 0.3))
        changed.set_dpi(90)
    drawn = pixels(copy)
    np.testing.assert_array_equal(drawn, pixels(other))
    assert drawn.shape != before.shape
    np.testing.assert_array_equal(pixels(figure), before)


class Marked(Figure):
    """A figure of the user's own."""


def test_a_figure_of_a_subclass_and_one_of_pyplot() -> None:
    pyplot.switch_backend("agg")
    figure = pyplot.figure(FigureClass=Marked)
    try:
        copy = restore_figure(copy_figure(figure))
        assert type(copy) is Marked
        assert pyplot.get_fignums() == [figure.number]
        assert figure.canvas.manager is not None
    finally:
        pyplot.close(figure)


def test_the_garbage_collector_is_as_it_was() -> None:
    unpicklable = make("lines")
    unpicklable.axes[0].xaxis.set_major_formatter(lambda value, _: str(value))
    for is_on in (False, True):
        (gc.enable if is_on else gc.disable)()
        try:
            copy_figure(make("lines"))
            with pytest.raises((AttributeError, pickle.PicklingError)):
                copy_figure(unpicklable)
            assert gc.isenabled() is is_on
        finally:
            gc.enable()


def test_a_copy_keeps_nothing_of_the_figure() -> None:
    figure = make("images")
    gc.collect()
    gc.disable()
    try:
        copy_figure(figure)
        known = weakref.ref(figure.axes[0].images[0])
        figure.axes[0].images[0].remove()
        assert known() is None
    finally:
        gc.enable()
