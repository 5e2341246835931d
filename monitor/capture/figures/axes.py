"""What need not be copied of the axes of a figure, because new axes have the same, or drawing never reads it.

Axes that are switched off, as those of images often are, do not draw their ticks, labels, and spines. These are more
than half of their parts.
"""

from __future__ import annotations

from functools import lru_cache
from types import SimpleNamespace
from typing import Any, NamedTuple

TITLES = ("title", "_left_title", "_right_title")
SIDES = ("left", "right", "bottom", "top")
SURROUNDINGS = ("xaxis", "yaxis", "_axis_map", "spines", "_xaxis_transform", "_yaxis_transform")
UNDRAWN = ("_get_lines", "_get_patches_for_fill", "_mouseover_set", "_remove_method")  # for plotting, mice, and removal


class LeftOut(NamedTuple):
    """What was left out of axes.

    Attributes:
        titles: the empty titles: attribute, x, and y.
        title_offset: the distance of titles, in inches, if all of them were left out.
        autoscaled: whether the limits of x and y follow what is plotted, if what surrounds the contents was left out.
    """

    titles: tuple[tuple[str, float, float], ...]
    title_offset: tuple[float, float] | None
    autoscaled: tuple[bool, bool] | None


_left_out = lru_cache(256)(LeftOut)  # what is the same for many axes is copied once


def reduce_axes(axes: Any, state: dict[str, Any], *, is_free: bool) -> LeftOut:
    """Remove from the state of axes what need not be copied.

    Args:
        axes: of exactly Matplotlib's class.
        state: their attributes; those that are left out are removed.
        is_free: whether no other axes are aligned with these.
    """
    titles = tuple([(name, state[name]._x, state[name]._y) for name in TITLES if _is_empty(state[name], axes)])
    has_title = len(titles) < len(TITLES)
    offset, autoscaled = None, None
    if is_free and not axes.axison and _is_plain(axes, state, has_title=has_title):
        autoscaled = axes.xaxis._autoscale_on, axes.yaxis._autoscale_on
        for name in SURROUNDINGS:
            state.pop(name, None)
    for name in (*UNDRAWN, *(name for name, _, _ in titles)):
        state.pop(name, None)
    if not has_title and type(axes.titleOffsetTrans) is _kinds().ScaledTranslation:
        offset = state.pop("titleOffsetTrans")._t
    return _left_out(titles, offset, autoscaled)


def complete_axes(axes: Any, left_out: LeftOut) -> None:
    """Make what was left out of axes, once all else of the figure is there."""
    from matplotlib.spines import Spines
    from matplotlib.text import Text
    from matplotlib.transforms import ScaledTranslation, blended_transform_factory

    if left_out.title_offset is not None:
        axes.titleOffsetTrans = ScaledTranslation(*left_out.title_offset, axes.figure.dpi_scale_trans)
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
    place = title._transform
    is_in_place = getattr(place, "_a", None) is axes.transAxes and getattr(place, "_b", None) is axes.titleOffsetTrans
    return not title._text and title._visible and is_in_place and type(title) is _kinds().Text


def _is_plain(axes: Any, state: dict[str, Any], *, has_title: bool) -> bool:
    """Tell whether nothing drawn depends on what surrounds axes that are switched off.

    They are on their own, and new axes are the same in what else matters: limits that are not known yet depend on the
    locators, and the place of a title on the sides of the ticks, and on the factor or offset above the y axis.
    """
    groups = [*state["_shared_axes"].values(), state["_twinned_axes"] or ()]
    if max(map(len, groups)) > 1 or len(axes.spines) > len(SIDES):
        return False
    kinds = _kinds()
    for axis, kind, side in (axes.xaxis, kinds.XAxis, "bottom"), (axes.yaxis, kinds.YAxis, "left"):
        if (
            type(axis) is not kind
            or type(axis._scale) is not kinds.LinearScale
            or type(axis.major.locator) is not kinds.AutoLocator
            or axis.have_units()
            or (has_title and not axis.get_label_position() == axis.get_ticks_position() == side)
        ):
            return False
    return not has_title or _has_plain_numbers(axes)


def _has_plain_numbers(axes: Any) -> bool:
    """Tell whether the numbers at the y axis are written without a factor or an offset, as those of an image are."""
    formatter, (low, high) = axes.yaxis.major.formatter, sorted(axes._viewLim.intervaly.tolist())
    smallest, largest = getattr(formatter, "_powerlimits", (0, 0))  # exponents from which on there is a factor
    return (
        type(formatter) is _kinds().ScalarFormatter
        and not formatter.offset
        and smallest <= -2
        and largest >= 5
        and not any(axes._stale_viewlims.values())
        and low <= 0 <= high
        and 1 <= high - low <= 10_000
    )


@lru_cache
def _kinds() -> SimpleNamespace:
    """Return the classes that are asked for; they are Matplotlib's, which is loaded where there is a figure."""
    from matplotlib.axis import XAxis, YAxis
    from matplotlib.scale import LinearScale
    from matplotlib.text import Text
    from matplotlib.ticker import AutoLocator, ScalarFormatter
    from matplotlib.transforms import ScaledTranslation

    found = (XAxis, YAxis, LinearScale, Text, AutoLocator, ScalarFormatter, ScaledTranslation)
    return SimpleNamespace(**{kind.__name__: kind for kind in found})
