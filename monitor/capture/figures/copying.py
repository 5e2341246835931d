"""Copy a figure of Matplotlib as bytes, quickly, and make from them a figure that is drawn pixel for pixel alike.

It is pickled, with shorter ways for what a figure has most of. Only objects of exactly Matplotlib's own classes take
them; a subclass is pickled as it wants to be. Left out is what drawing never reads, or makes again just so.
"""

from __future__ import annotations

import copyreg
import gc
import io
import pickle
import sys
from array import array
from functools import lru_cache
from typing import Any

from monitor.capture.figures.axes import complete_axes, reduce_axes
from monitor.capture.figures.values import PROTOCOL, new, restore_array, shorter_ways

# The clip box of an artist that is clipped to its whole axes, which is the unit square there.
_UNIT = array("d", (0, 0, 1, 1)).tobytes()
_WHOLE = _UNIT, _UNIT, array("d", (1, 0, 0, 0, 1, 0, 0, 0, 1)).tobytes()
BOX_PARTS = {"_parents", "_points", "_minpos", "_points_orig", "_invalid", "_shorthand_name", "_ignore"}


def copy_figure(figure: Any) -> bytes:
    """Copy a figure. Raises what pickling raises, such as for a formatter that is a lambda."""
    file = io.BytesIO()
    is_collecting = gc.isenabled()
    gc.disable()  # so many new objects would set the collector off, which takes a fifth of the time and finds nothing
    try:
        _Pickler(file, figure).copy()
    finally:
        if is_collecting:
            gc.enable()
    return file.getvalue()


def restore_figure(copied: bytes) -> Any:
    """Return the figure. No window shows it, and pyplot does not know it."""
    return pickle.loads(copied)


class _Pickler(pickle.Pickler):
    def __init__(self, file: io.BytesIO, figure: Any) -> None:
        super().__init__(file, PROTOCOL)
        self.nodes: list[Any] = []  # transforms that are pickled without what depends on them
        self.axes: list[Any] = []  # that are pickled without some of their parts, with what these are made of again
        self._clip_boxes: dict[Any, Any] = {}
        self._may_hide_ticks = not figure.subfigs and not any(map(list, figure._align_label_groups.values()))
        self._kinds, methods, functions = _shorter_ways()
        self._array = sys.modules["numpy"].ndarray
        transforms = sys.modules["matplotlib.transforms"]
        self._blended, self._identity = transforms.BlendedAffine2D, transforms.IdentityTransform
        self.dispatch_table = {
            **copyreg.dispatch_table,
            **functions,
            **{kind: getattr(self, name) for kind, name in methods.items()},
            type(figure): self._reduce_figure,
        }
        self._figure = figure

    def copy(self) -> None:
        """Write the figure, once."""
        try:
            self.dump(self._figure)
        finally:
            self.dispatch_table = {}  # its methods refer to the pickler, and so to all that was copied

    def _reduce_figure(self, figure: Any) -> Any:
        make, arguments, state, *_ = figure.__reduce_ex__(PROTOCOL)
        state.pop("_restore_to_pylab", None)  # it would open a window
        # The lists are those of the whole figure: they are pickled after its state.
        return make, arguments, (state, self.nodes, self.axes), None, None, _set_state

    def _reduce_node(self, node: Any) -> Any:
        """A node refers weakly to what depends on it, which follows from the other direction if that is a node here."""
        self.nodes.append(node)
        state = vars(node).copy()
        state["_parents"] = self._other_parents(node)
        return new, (type(node),), state

    def _reduce_wrapper(self, node: Any) -> Any:
        """Most wrap two linear scales. A wrapper has methods of what it wraps, and gets them again when that is set."""
        child = node._child
        is_linear = type(child) is self._blended and type(child._x) is type(child._y) is self._identity
        if is_linear and not any(map(self._other_parents, (node, child, child._x, child._y))):
            return _linear_scales, ()
        make, arguments, state = self._reduce_node(node)
        wrapped = [name for name, value in state.items() if getattr(value, "__self__", None) is child]
        for name in wrapped:
            del state[name]
        return make, arguments, state

    def _reduce_box(self, box: Any) -> Any:
        """A box is ten numbers and some flags."""
        arrays = box._points, box._minpos, box._points_orig
        for values in arrays:
            if type(values) is not self._array or values.dtype.char != "d":
                return self._reduce_node(box)
        if self._other_parents(box):
            return self._reduce_node(box)
        numbers = b"".join([values.tobytes() for values in arrays])
        return _box, (numbers, box._invalid, box._shorthand_name, box._ignore)

    def _other_parents(self, node: Any) -> dict[int, Any]:
        """Return what depends on a node and is none."""
        kinds = self._kinds
        for reference in node._parents.values():
            if type(reference()) not in kinds:
                break
        else:
            return {}
        parents = {key: reference() for key, reference in node._parents.items()}
        return {key: parent for key, parent in parents.items() if type(parent) not in kinds}

    def _reduce_clip_box(self, box: Any) -> Any:
        """Each artist has a clip box of its own, which equals those of the other artists in its axes."""
        try:
            outer, inner, patch = box._transform, box._transform._a, box._bbox
            nodes = (patch, outer, inner, inner._a, inner._a._boxout, inner._b)
            key = (id(outer._b), patch._points.tobytes(), inner._a._boxout._points.tobytes(), inner._b._mtx.tobytes())
        except AttributeError:  # another kind of box
            return self._reduce_node(box)
        if not self._kinds.issuperset(map(type, nodes)):
            return self._reduce_node(box)
        first = self._clip_boxes.setdefault((key, *map(type, nodes)), box)
        if first is not box:
            return _same, (first,)
        is_whole = key[1:] == _WHOLE and not self._other_parents(box) and not self._other_parents(outer)
        return (_clip_box, (outer._b,)) if is_whole else self._reduce_node(box)

    def _reduce_axes(self, axes: Any) -> Any:
        state = axes.__getstate__()
        self.axes.append((axes, reduce_axes(axes, state, is_free=self._may_hide_ticks)))
        return new, (type(axes),), state

    def _reduce_axis(self, axis: Any) -> Any:
        """Ticks that are not drawn are made again where the place of a title depends on their sides."""
        from matplotlib.axes import Axes
        from matplotlib.ticker import NullLocator

        state = axis.__getstate__()
        hidden = self._may_hide_ticks and type(axis.axes) is Axes and not axis.axes.axison
        if hidden:
            sides = {axis.get_ticks_position(), axis.get_label_position()}
            hidden = sides <= {"bottom", "left", "default"}
        if hidden and _is_as_made(axis.majorTicks, axis._major_tick_kw):
            del state["majorTicks"]
        if (hidden or type(axis.minor.locator) is NullLocator) and _is_as_made(axis.minorTicks, axis._minor_tick_kw):
            state.pop("minorTicks", None)
        return new, (type(axis),), state


def _is_as_made(ticks: Any, options: Any) -> bool:
    """Tell whether the first tick, after which the others are made, has the sides that a new one has."""
    tick = ticks[0]
    here = [(tick.tick1line, "tick1On", True), (tick.label1, "label1On", True)]
    there = [(tick.tick2line, "tick2On", False), (tick.label2, "label2On", False)]
    return all(artist.get_visible() == bool(options.get(name, default)) for artist, name, default in here + there)


def _set_state(figure: Any, parts: tuple[Any, list[Any], list[Any]]) -> None:
    """Link the nodes first, because the figure may change one of them."""
    state, nodes, axes = parts
    for node in nodes:
        if type(node).__name__ == "TransformWrapper":
            node.set(node._child)
        else:
            node.set_children(*(value for value in vars(node).values() if hasattr(value, "set_children")))
    figure.__setstate__(state)
    for own, left_out in axes:
        complete_axes(own, left_out)


def _box(values: bytes, invalid: int, shorthand_name: str, ignore: bool) -> Any:
    from matplotlib.transforms import Bbox

    box: Any = Bbox.__new__(Bbox)
    numbers = restore_array(values, "d", (5, 2))
    box._points, box._minpos, box._points_orig = numbers[:2].copy(), numbers[2].copy(), numbers[3:].copy()
    box._parents, box._invalid, box._shorthand_name, box._ignore = {}, invalid, shorthand_name, ignore
    return box


def _clip_box(place: Any) -> Any:
    from matplotlib.transforms import Affine2D, Bbox, BboxTransformTo, TransformedBbox

    return TransformedBbox(Bbox.unit(), BboxTransformTo(Bbox.unit()) + Affine2D() + place)


def _linear_scales() -> Any:
    from matplotlib.transforms import BlendedAffine2D, IdentityTransform, TransformWrapper

    return TransformWrapper(BlendedAffine2D(IdentityTransform(), IdentityTransform()))


def _same(value: Any) -> Any:
    return value


@lru_cache
def _shorter_ways() -> tuple[frozenset[type], dict[type, str], dict[type, Any]]:
    """Return the kinds of nodes, the methods of the pickler by the classes they are for, and functions likewise."""
    from matplotlib import transforms as t
    from matplotlib.axes import Axes
    from matplotlib.axis import XAxis, YAxis

    nodes = [t.Bbox, t.TransformedBbox, t.BboxTransform, t.BboxTransformTo, t.BboxTransformFrom, t.Affine2D]
    nodes += [t.IdentityTransform, t.TransformWrapper, t.ScaledTranslation, t.BlendedGenericTransform]
    nodes += [t.BlendedAffine2D, t.CompositeGenericTransform, t.CompositeAffine2D]
    methods = dict.fromkeys(nodes, "_reduce_node")
    methods |= {t.TransformedBbox: "_reduce_clip_box", t.TransformWrapper: "_reduce_wrapper"}
    if vars(t.Bbox.unit()).keys() == BOX_PARTS:  # or else it is another release
        methods[t.Bbox] = "_reduce_box"
    methods |= {Axes: "_reduce_axes", XAxis: "_reduce_axis", YAxis: "_reduce_axis"}
    return frozenset(nodes), methods, shorter_ways()
