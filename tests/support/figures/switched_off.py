"""Axes without a frame, and titles of which some are empty."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.figures.kinds import GRAY, kind

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@kind
def _switched_off(figure: Figure) -> None:
    axes = figure.subplots(2, 3).flat
    for own in axes:
        own.axis("off")
    axes[0].plot([1, 2, 3])  # whose limits are not known before it is drawn
    axes[1].scatter([1, 2], [3, 4])
    axes[1].autoscale(False)
    axes[1].plot([9], [9], "o")
    axes[2].barh([1, 2], [1, 2])
    axes[2].set_title("of the frame", loc="right")
    axes[3].imshow(GRAY, extent=(0, 1, 0, 1e9))
    axes[3].set_title("1", loc="left")  # makes room for the factor of the axis
    axes[4].plot([1, 2], [1, 2])
    axes[4].inset_axes((0.5, 0.5, 0.4, 0.4)).imshow(GRAY)
    axes[5].set_xlim(5, 1)
    axes[5].text(3, 0.5, "reversed")
    axes[5].annotate("inside", (2, 0.8), (4, 0.2), arrowprops={"arrowstyle": "->"})
    axes[5].axvline(2)
    axes[5].axhspan(0, 0.1)
    axes[5].set_ylim(0, 1)
    figure.subplots_adjust(top=0.8)


@kind
def _switched_off_with_factors(figure: Figure) -> None:
    left, middle, right = figure.subplots(1, 3)
    for own in (left, middle, right):
        own.imshow(GRAY)
        own.set_title("title", loc="left", pad=0)
        own.axis("off")
    left.ticklabel_format(style="sci", scilimits=(0, 0))
    middle.ticklabel_format(useOffset=5)
    right.yaxis.get_offset_text().set_size(30)
    right.ticklabel_format(style="sci", scilimits=(1, 1))


@kind
def _switched_off_beside_others(figure: Figure) -> None:
    left, right = figure.subplots(1, 2, sharey=True)
    left.plot([1, 5])
    right.plot([2, 3])
    right.axis("off")
    other = left.twinx()
    other.plot([7, 8])
    other.axis("off")
    figure.colorbar(right.scatter([0, 1], [2, 3], c=[0, 1])).ax.axis("off")


@kind
def _titles_of_which_some_are_empty(figure: Figure) -> None:
    left, middle, right = figure.subplots(1, 3)
    left.set_title("", y=1.3)
    left.set_title("low", loc="left")
    middle.set_title("high", loc="right")
    middle.xaxis.tick_top()
    right.set_title("apart", loc="left", y=0.7)
    right.title.set_transform(right.transData)
    figure.subplots_adjust(top=0.6)


@kind
def _switched_off_with_distant_titles(figure: Figure) -> None:
    upper, lower = figure.subplots(2, 1)
    for own in (upper, lower):
        own.imshow(GRAY)
        own.xaxis.tick_top()
        own.yaxis.tick_right()
        own.set_title("", pad=20)
        own.axis("off")
    lower.set_title("title", pad=15)
    figure.suptitle("of all")
    figure.set_layout_engine("tight")
