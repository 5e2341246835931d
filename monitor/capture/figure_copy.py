"""Copy a figure of Matplotlib as bytes, quickly, and make from them a figure that is drawn pixel for pixel alike.

It is pickled, with shorter ways for what a figure has most of. Only objects of exactly Matplotlib's own classes take
them; a subclass is pickled as it wants to be. Left out is what drawing never reads, or makes again just so.
"""

from __future__ import annotations

import copyreg
import io
import pickle
from functools import lru_cache
from typing import Any

PROTOCOL = pickle.HIGHEST_PROTOCOL
MAX_VALUES = 256  # larger arrays are copied faster by NumPy's own way
_new = copyreg.__newobj__  # type: ignore[attr-defined]


def copy_figure(figure: Any) -> bytes:
    """Copy a figure. Raises what pickling raises, such as for a formatter that is a lambda."""
    file = io.BytesIO()
    _Pickler(file, figure).dump(figure)
    return file.getvalue()


def restore_figure(copied: bytes) -> Any:
    """Return the figure. No window shows it, and pyplot does not know it."""
    return pickle.loads(copied)


class _Pickler(pickle.Pickler):
    def __init__(self, file: io.BytesIO, figure: Any) -> None:
        super().__init__(file, PROTOCOL)
        self.nodes: list[Any] = []  # transforms that are pickled without what depends on them
        self._clip_boxes: dict[Any, Any] = {}
        self._may_hide_ticks = not figure.subfigs and not any(map(list, figure._align_label_groups.values()))
        self._kinds, clip_box, axes, others = _classes()
        self.dispatch_table = {
            **copyreg.dispatch_table,
            **others,
            **dict.fromkeys(self._kinds, self._reduce_node),
            **dict.fromkeys(axes, self._reduce_axis),
            clip_box: self._reduce_clip_box,
            type(figure): self._reduce_figure,
        }

    def _reduce_figure(self, figure: Any) -> Any:
        make, arguments, state, *_ = figure.__reduce_ex__(PROTOCOL)
        state.pop("_restore_to_pylab", None)  # it would open a window
        nodes = self.nodes  # of the whole figure: they are pickled after its state
        return make, arguments, (state, nodes), None, None, _set_state

    def _reduce_node(self, node: Any) -> Any:
        """A node refers weakly to what depends on it, which follows from the other direction if that is a node here."""
        self.nodes.append(node)
        state = vars(node).copy()
        parents = {key: reference() for key, reference in state["_parents"].items()}
        state["_parents"] = {key: parent for key, parent in parents.items() if type(parent) not in self._kinds}
        return _new, (type(node),), state

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
        return self._reduce_node(box) if first is box else (_same, (first,))

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
        return _new, (type(axis),), state


def _is_as_made(ticks: Any, options: Any) -> bool:
    """Tell whether the first tick, after which the others are made, has the sides that a new one has."""
    tick = ticks[0]
    here = [(tick.tick1line, "tick1On", True), (tick.label1, "label1On", True)]
    there = [(tick.tick2line, "tick2On", False), (tick.label2, "label2On", False)]
    return all(artist.get_visible() == bool(options.get(name, default)) for artist, name, default in here + there)


def _reduce_text(text: Any) -> Any:
    state = text.__getstate__()
    if not state["_clipon"]:
        state["clipbox"] = None
    return _new, (type(text),), state


def _reduce_array(array: Any) -> Any:
    if (
        0 < array.size < MAX_VALUES
        and array.dtype.char in "dflB?"
        and array.dtype.isnative
        and array.flags.c_contiguous
    ):
        return _array, (array.tobytes(), array.dtype.char, array.shape)
    return array.__reduce_ex__(PROTOCOL)


def _reduce_callbacks(registry: Any) -> Any:
    if registry._pickled_cids:
        return registry.__reduce_ex__(PROTOCOL)
    return _callbacks, (registry.exception_handler, registry._signals)


def _set_state(figure: Any, state_and_nodes: tuple[Any, list[Any]]) -> None:
    """Link the nodes first, because the figure may change one of them."""
    state, nodes = state_and_nodes
    for node in nodes:
        node.set_children(*(value for value in vars(node).values() if hasattr(value, "set_children")))
    figure.__setstate__(state)


def _array(values: bytes, kind: str, shape: tuple[int, ...]) -> Any:
    import numpy as np

    return np.frombuffer(bytearray(values), kind).reshape(shape)


def _callbacks(handler: Any, signals: Any) -> Any:
    from matplotlib.cbook import CallbackRegistry

    return CallbackRegistry(handler, signals=signals)


def _same(value: Any) -> Any:
    return value


@lru_cache
def _classes() -> tuple[frozenset[type], type, list[type], dict[type, Any]]:
    """Return the kinds of nodes, that of clip boxes among them, those of axes, and the others with their functions."""
    import numpy as np
    from matplotlib import transforms as t
    from matplotlib.axis import XAxis, YAxis
    from matplotlib.cbook import CallbackRegistry
    from matplotlib.text import Text

    nodes = [t.Bbox, t.TransformedBbox, t.BboxTransform, t.BboxTransformTo, t.BboxTransformFrom, t.Affine2D]
    nodes += [t.IdentityTransform, t.TransformWrapper, t.ScaledTranslation, t.BlendedGenericTransform]
    nodes += [t.BlendedAffine2D, t.CompositeGenericTransform, t.CompositeAffine2D]
    others = {np.ndarray: _reduce_array, np.float64: lambda number: (np.float64, (float(number),))}
    others |= {CallbackRegistry: _reduce_callbacks, Text: _reduce_text}
    return frozenset(nodes), t.TransformedBbox, [XAxis, YAxis], others
