"""Axes, scales, ticks, and layouts."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.colors import LogNorm

from tests.support.figures.kinds import GRAY, kind, rng

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@kind
def _lines(figure: Figure) -> None:
    axes = figure.subplots()
    axes.plot(rng.random(50), label="train")
    axes.plot(rng.random(50), "--o", label="test")
    axes.legend()
    axes.set_title("loss")
    axes.grid()


@kind
def _scales(figure: Figure) -> None:
    log, symlog, logit = figure.subplots(1, 3)
    log.loglog(range(1, 200), range(1, 200))
    log.grid(which="both")
    symlog.plot([-100, 1, 200])
    symlog.set_yscale("symlog")
    logit.plot([0.1, 0.5, 0.9])
    logit.set_yscale("logit")


@kind
def _dates(figure: Figure) -> None:
    days: Any = [datetime.date(2026, 1, 1) + datetime.timedelta(9 * i) for i in range(20)]
    figure.subplots().plot(days, range(20))
    figure.autofmt_xdate()


@kind
def _polar(figure: Figure) -> None:
    whole: Any = figure.add_subplot(121, projection="polar")
    whole.plot(np.linspace(0, 9, 50), np.linspace(0, 2, 50))
    whole.set_title("whole")
    part: Any = figure.add_subplot(122, projection="polar")
    part.scatter(rng.random(9), 1 + rng.random(9))
    part.set_thetamax(110)
    part.set_rlim(1, 3)


@kind
def _three_dimensions(figure: Figure) -> None:
    axes: Any = figure.add_subplot(projection="3d")
    axes.scatter(*rng.random((3, 30)))
    axes.plot_wireframe(*np.meshgrid([1, 2, 3], [1, 2]), np.ones((2, 3)))


@kind
def _map_projection(figure: Figure) -> None:
    figure.add_subplot(projection="mollweide").grid()


@kind
def _twins_and_insets(figure: Figure) -> None:
    axes = figure.subplots()
    axes.plot(range(9))
    axes.twinx().plot([100, 0], "r")
    axes.secondary_xaxis("top", functions=(np.deg2rad, np.rad2deg))
    inset = axes.inset_axes((0.1, 0.5, 0.4, 0.4))
    inset.plot(range(9))
    inset.set_xlim(2, 3)
    axes.indicate_inset_zoom(inset)


@kind
def _shared_axes(figure: Figure) -> None:
    for i, axes in enumerate(figure.subplots(2, 2, sharex=True, sharey="row").flat):
        axes.plot(rng.random(9) * i)
    figure.suptitle("shared")


@kind
def _constrained_layout(figure: Figure) -> None:
    figure.set_layout_engine("constrained")
    grid = figure.subplots(2, 2)
    for axes in grid.flat:
        axes.imshow(GRAY)
    figure.colorbar(grid[0, 0].images[0], ax=grid)
    grid[0, 1].set_title("a title\nof two lines")
    grid[1, 1].axis("off")


@kind
def _tight_layout(figure: Figure) -> None:
    figure.set_layout_engine("tight")
    grid = figure.subplots(2, 2)
    grid[0, 0].axis("off")
    grid[1, 1].set_xlabel("x")


@kind
def _images(figure: Figure) -> None:
    for i, axes in enumerate(figure.subplots(3, 3).flat):
        axes.imshow(rng.random((8, 8)), cmap="gray")
        axes.axis("off")
        axes.set_title(str(i))


@kind
def _confusion(figure: Figure) -> None:
    axes = figure.subplots()
    figure.colorbar(axes.imshow(GRAY))
    for row, column in np.ndindex(GRAY.shape):
        axes.text(column, row, f"{GRAY[row, column]:.1f}", ha="center", size=5)
    axes.text(8, 8.2, "clipped", clip_on=True)
    axes.text(8, 8.2, "not clipped", rotation=90)


@kind
def _colors_that_change_late(figure: Figure) -> None:
    left, right = figure.subplots(1, 2)
    image = left.imshow(GRAY)
    figure.colorbar(image, orientation="horizontal")
    image.norm.vmax = None
    image.set_array(7 * GRAY)
    other = right.imshow(GRAY, norm=LogNorm(0.01, 1))
    figure.colorbar(other)
    other.set_cmap("gray")


@kind
def _ticks(figure: Figure) -> None:
    axes = figure.subplots()
    axes.set_xticks([0, 1, 2], ["one", "two", "three"], rotation=40, color="r")
    axes.xaxis.tick_top()
    axes.set_title("above")
    axes.yaxis.set_major_formatter("{x:.1f} €")
    axes.minorticks_on()
    axes.tick_params(which="minor", length=9, color="g")


@kind
def _ticks_one_by_one(figure: Figure) -> None:
    axes = figure.subplots()
    axes.plot([1, 2, 3])
    for i, label in enumerate(axes.get_xticklabels()):
        label.set_rotation(20 * i)
        label.set_color("r")
    for tick in axes.yaxis.get_major_ticks():
        tick.tick1line.set_markersize(12)
        tick.gridline.set_visible(True)


@kind
def _hidden_ticks_that_move_titles(figure: Figure) -> None:
    left, right = figure.subplots(1, 2)
    left.set_xticks([0, 1], ["large", "large"], fontsize=20)
    left.xaxis.tick_top()
    left.set_title("left")
    right.xaxis.set_label_position("top")
    right.set_xticks([0, 1], ["large", "large"], fontsize=20)
    right.set_xlabel("x")
    right.set_title("right")
    left.axis("off")
    right.axis("off")
    figure.subplots_adjust(top=0.4)


@kind
def _hidden_ticks_that_move_labels(figure: Figure) -> None:
    upper, lower = figure.subplots(2, 1)
    upper.set_yticks([0, 1], ["wide label", "l"], fontsize=5)
    upper.axis("off")
    lower.set_ylabel("y")
    figure.align_labels()
    figure.subplots_adjust(left=0.6)


@kind
def _hidden_minor_ticks_that_move_a_title(figure: Figure) -> None:
    axes = figure.subplots()
    axes.set_title("title")
    axes.set_xlabel("label")
    axes.xaxis.set_label_coords(0.5, 1.3)
    axes.xaxis.minorTicks[0].tick1line.set_visible(False)  # no tick of this kind is drawn
    figure.subplots_adjust(top=0.5)


@kind
def _subfigures(figure: Figure) -> None:
    left, right = figure.subfigures(1, 2)
    upper, lower = left.subplots(2, 1)
    upper.set_yticks([0, 1], ["wide label", "l"], fontsize=5)
    upper.axis("off")
    lower.set_ylabel("y")
    left.align_labels()
    left.subplots_adjust(left=0.6)
    right.subplots().plot([1, 2])
    right.set_facecolor("c")
