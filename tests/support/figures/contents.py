"""What is drawn into axes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import matplotlib as mpl
import numpy as np
from matplotlib import patches, patheffects, transforms

from tests.support.figures.kinds import GRAY, kind, rng

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@kind
def _annotations(figure: Figure) -> None:
    axes = figure.subplots()
    axes.annotate("here", (0.5, 0.5), (0.1, 0.8), arrowprops={"arrowstyle": "->"}, bbox={"boxstyle": "round"})
    axes.text(0.2, 0.2, r"$\sum_i \frac{x_i^2}{\alpha}$", bbox={"fc": "y"})
    figure.text(0.5, 0.5, "on the figure", family="serif", style="italic", weight="bold")
    font = f"{mpl.get_data_path()}/fonts/ttf/DejaVuSansMono.ttf"
    axes.set_xlabel("mono", fontproperties=mpl.font_manager.FontProperties(fname=font))


@kind
def _table(figure: Figure) -> None:
    axes = figure.subplots()
    axes.axis("off")
    axes.table([["1", "2"], ["3", "4"]], colLabels=["a", "b"], loc="center")


@kind
def _fields(figure: Figure) -> None:
    left, right = figure.subplots(1, 2)
    left.quiverkey(left.quiver(*rng.random((4, 9))), 0.8, 0.9, 1, "key")
    right.clabel(right.contour(GRAY))
    right.contourf(GRAY, alpha=0.4, hatches=["/", "."])
    right.pcolormesh(GRAY, shading="gouraud", alpha=0.2)


@kind
def _bars(figure: Figure) -> None:
    left, right = figure.subplots(1, 2)
    left.hist(rng.normal(size=300), bins=50)
    left.set_xlim(-1, 1)
    right.bar_label(right.bar(["a", "b", "c"], [1, 2, 3], color=["r", "g", "b"]))
    right.errorbar([0, 1], [1, 2], yerr=0.3)


@kind
def _statistics(figure: Figure) -> None:
    left, right = figure.subplots(1, 2)
    left.boxplot(rng.random((20, 3)))
    right.pie([1, 2, 3], labels=["a", "b", "c"], autopct="%d", shadow=True)


@kind
def _clips(figure: Figure) -> None:
    axes = figure.subplots()
    axes.imshow(GRAY).set_clip_path(patches.Circle((4, 4), 3, transform=axes.transData))
    axes.add_patch(patches.Rectangle((7, 5), 9, 9))
    (line,) = axes.plot([0, 20], [0, 20])
    line.set_clip_box(transforms.Bbox([[50, 50], [100, 100]]))
    (other,) = axes.plot([20, 0], [0, 20])
    other.set_clip_path(patches.Rectangle((0.2, 0.2), 0.5, 0.3, transform=axes.transAxes))


@kind
def _places_of_clips_and_bars(figure: Figure) -> None:
    left, right = figure.subplots(1, 2)
    part = transforms.TransformedBbox(transforms.Bbox([[0.2, 0.2], [0.7, 0.7]]), left.transAxes)
    left.imshow(GRAY).set_clip_box(part)
    left.add_patch(patches.Rectangle((1, 1), 3, 5, angle=30, rotation_point="center", hatch="/"))
    left.axis("off")
    right.bar(range(5), rng.random(5).astype(np.float32), color="b")
    right.bar([7.5], [np.float64(3)], width=np.float32(0.3))
    right.bar([9], [2], clip_on=False)


@kind
def _aspects_and_spines(figure: Figure) -> None:
    left, right = figure.subplots(1, 2)
    left.plot([0, 1], [0, 5])
    left.set_aspect("equal", "datalim")
    left.invert_yaxis()
    right.plot([-1, 2], [-3, 4])
    right.set_box_aspect(2)
    right.spines["left"].set_position("zero")
    right.spines[["top", "right"]].set_visible(False)


@kind
def _legends(figure: Figure) -> None:
    axes = figure.subplots()
    points = axes.scatter(rng.random(9), rng.random(9), c=range(9), label="points")
    axes.legend(*points.legend_elements(), loc="upper left", bbox_to_anchor=(1, 1))
    figure.legend(loc="lower center")
    figure.subplots_adjust(right=0.6)


@kind
def _large_numbers(figure: Figure) -> None:
    axes = figure.subplots()
    axes.plot([1e9, 1e9 + 1])
    axes.set_title("title")


@kind
def _effects(figure: Figure) -> None:
    axes = figure.subplots()
    axes.plot([1, 2], path_effects=[patheffects.withStroke(linewidth=5, foreground="r")])
    axes.plot([2, 1], rasterized=True)[0].set_sketch_params(1, 20, 3)


@kind
def _unusual_arrays(figure: Figure) -> None:
    axes = figure.subplots()
    axes.plot(np.arange(9, dtype=">f8"), np.ma.masked_equal(np.arange(9.0), 4))
    axes.plot(np.asfortranarray(GRAY[:3, :3]))
    axes.imshow(np.ma.masked_less(GRAY, 0.3))


@kind
def _own_transforms(figure: Figure) -> None:
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], transform=transforms.Affine2D().rotate_deg(20) + axes.transData)
    axes.text(0, 0, "moved", transform=transforms.offset_copy(axes.transAxes, figure, 0.2, 0.1))
    axes.axline((0, 0), slope=2)
    axes.set_xlim(-1, 2)


@kind
def _drawn_and_then_changed(figure: Figure) -> None:
    left, right = figure.add_subplot(121), figure.add_subplot(122, projection="polar")
    left.plot(range(9), "o-")
    left.axis("off")
    right.plot([1, 2, 3])
    figure.draw_without_rendering()
    left.set_ylim(2, 5)
    left.set_position((0.3, 0.3, 0.4, 0.4))
    right.set_ylim(0, 9)
    figure.set_size_inches(4, 2)


@kind
def _styles(figure: Figure) -> None:
    sides = {"xtick.top": True, "xtick.bottom": False, "xtick.labeltop": True, "xtick.labelbottom": False}
    with mpl.rc_context({"xtick.color": "r", "axes.facecolor": "c", **sides}):
        left, right = figure.subplots(1, 2)
        left.set_title("left")
        right.set_title("right")
        right.axis("off")
