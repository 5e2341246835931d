"""What need not be copied of the axes of a figure, because new axes have the same, or drawing never reads it.

Axes that are switched off, as those of images often are, do not draw their ticks, labels, and spines. These are more
than half of their parts.
"""

from __future__ import annotations

from typing import Any, NamedTuple

TITLES = ("title", "_left_title", "_right_title")
SIDES = ("left", "right", "bottom", "top")
SURROUNDINGS = ("xaxis", "yaxis", "_axis_map", "spines", "_xaxis_transform", "_yaxis_transform")
UNDRAWN = ("_get_lines", "_get_patches_for_fill", "_mouseover_set", "_remove_method")  # for plotting, mice, and removal


class LeftOut(NamedTuple):
    """What was left out of axes.

    Attributes:
        titles: the empty titles: attribute, x, and y.
        autoscaled: whether the limits of x and y follow what is plotted, if what surrounds the contents was left out.
    """

    titles: list[tuple[str, float, float]]
    autoscaled: tuple[bool, bool] | None


def reduce_axes(axes: Any, state: dict[str, Any], *, is_free: bool) -> LeftOut:
    """Remove from the state of axes what need not be copied.

    Args:
        axes: of exactly Matplotlib's class.
        state: their attributes; those that are left out are removed.
        is_free: whether no other axes are aligned with these.
    """
    titles = [(name, state[name]._x, state[name]._y) for name in TITLES if _is_empty(state[name], axes)]
    autoscaled = None
    if is_free and not axes.axison and _is_plain(axes, state, has_title=len(titles) < len(TITLES)):
        autoscaled = axes.xaxis._autoscale_on, axes.yaxis._autoscale_on
        for name in SURROUNDINGS:
            state.pop(name, None)
    for name in (*UNDRAWN, *(name for name, _, _ in titles)):
        state.pop(name, None)
    return LeftOut(titles, autoscaled)


def complete_axes(axes: Any, left_out: LeftOut) -> None:
    """Make what was left out of axes, once all else of the figure is there."""
    from matplotlib.spines import Spines
    from matplotlib.text import Text
    from matplotlib.transforms import blended_transform_factory

    for name, x, y in left_out.titles:
        title = Text(x, y)
        axes._set_artist_props(title)
        title.set_transform(axes.transAxes + axes.titleOffsetTrans)
        setattr(axes, name, title)
    if left_out.autoscaled is not None:
        axes._xaxis_transform = blended_transform_factory(axes.transData, axes.transAxes)
        axes._yaxis_transform = blended_transform_factory(axes.transAxes, axes.transData)
        axes.spines = Spines.from_dict(axes._gen_axes_spines())
        axes._init_axis()
        if not hasattr(type(axes), "_axis_map"):  # Matplotlib 3.11
            axes._axis_map = {"x": axes.xaxis, "y": axes.yaxis}
        for axis, is_on in zip((axes.xaxis, axes.yaxis), left_out.autoscaled):
            axis.clear()
            axis._autoscale_on = is_on


def _is_empty(title: Any, axes: Any) -> bool:
    from matplotlib.text import Text

    place = title._transform
    is_in_place = getattr(place, "_a", None) is axes.transAxes and getattr(place, "_b", None) is axes.titleOffsetTrans
    return not title._text and title._visible and is_in_place and type(title) is Text


def _is_plain(axes: Any, state: dict[str, Any], *, has_title: bool) -> bool:
    """Tell whether nothing drawn depends on what surrounds axes that are switched off.

    They are on their own, and new axes are the same in what else matters: limits that are not known yet depend on the
    locators, and the place of a title on the sides of the ticks, and on the factor or offset above the y axis.
    """
    from matplotlib.axis import XAxis, YAxis
    from matplotlib.scale import LinearScale
    from matplotlib.ticker import AutoLocator

    groups = [*state["_shared_axes"].values(), state["_twinned_axes"] or ()]
    if any(len(group) > 1 for group in groups) or len(axes.spines) > len(SIDES):
        return False
    return (not has_title or _has_plain_numbers(axes)) and all(
        axis.get_label_position() == axis.get_ticks_position() == side
        and not axis.have_units()
        and type(axis._scale) is LinearScale
        and type(axis.major.locator) is AutoLocator
        and type(axis) is kind
        for axis, kind, side in ((axes.xaxis, XAxis, "bottom"), (axes.yaxis, YAxis, "left"))
    )


def _has_plain_numbers(axes: Any) -> bool:
    """Tell whether the numbers at the y axis are written without a factor or an offset, as those of an image are."""
    from matplotlib.ticker import ScalarFormatter

    formatter, (low, high) = axes.yaxis.major.formatter, sorted(axes._viewLim.intervaly.tolist())
    smallest, largest = getattr(formatter, "_powerlimits", (0, 0))  # exponents from which on there is a factor
    return (
        type(formatter) is ScalarFormatter
        and not formatter.offset
        and smallest <= -2
        and largest >= 5
        and not any(axes._stale_viewlims.values())
        and low <= 0 <= high
        and 1 <= high - low <= 10_000
    )
