"""Shorter ways to pickle the values of which a figure has many: arrays, numbers, colors, texts, and callbacks."""

from __future__ import annotations

import copyreg
import pickle
from typing import Any

PROTOCOL = pickle.HIGHEST_PROTOCOL
PLACE = ("_x0", "_y0", "_width", "_height")
MAX_VALUES = 256  # larger arrays are copied faster by NumPy's own way
new = copyreg.__newobj__  # type: ignore[attr-defined]


def shorter_ways() -> dict[type, Any]:
    """Return the functions that reduce an object, by its class."""
    import numpy as np
    from matplotlib.cbook import CallbackRegistry
    from matplotlib.colors import ListedColormap
    from matplotlib.image import AxesImage
    from matplotlib.lines import Line2D
    from matplotlib.patches import Rectangle
    from matplotlib.text import Text

    return {
        np.ndarray: _reduce_array,
        np.ma.MaskedArray: _reduce_masked,
        np.float64: _reduce_number,
        np.int64: _reduce_number,
        ListedColormap: _reduce_colors,
        CallbackRegistry: _reduce_callbacks,
        Text: _reduce_text,
        Line2D: _reduce_artist,
        AxesImage: _reduce_artist,
        Rectangle: _reduce_rectangle,
    }


def restore_array(values: bytes, kind: str, shape: tuple[int, ...]) -> Any:
    """Return an array that can be written to; `kind` is the character of its type."""
    import numpy as np

    return np.frombuffer(bytearray(values), kind).reshape(shape)


def _reduce_artist(artist: Any) -> Any:
    state = artist.__getstate__()
    state["_remove_method"] = None  # nobody removes it from a figure that is drawn once
    return new, (type(artist),), state


def _reduce_rectangle(rectangle: Any) -> Any:
    make, arguments, state = _reduce_artist(rectangle)
    for name in PLACE:  # the bars of a histogram have them as numbers of NumPy
        number = state.get(name)
        if type(number) is not float and isinstance(number, float):
            state[name] = float(number)
    return make, arguments, state


def _reduce_text(text: Any) -> Any:
    make, arguments, state = _reduce_artist(text)
    if not state["_clipon"]:
        state["clipbox"] = None
    return make, arguments, state


def _reduce_array(array: Any) -> Any:
    if (
        0 < array.size < MAX_VALUES
        and array.dtype.char in "dflB?"
        and array.dtype.isnative
        and array.flags.c_contiguous
    ):
        return restore_array, (array.tobytes(), array.dtype.char, array.shape)
    return array.__reduce_ex__(PROTOCOL)


def _reduce_masked(array: Any) -> Any:
    import numpy as np

    is_plain = array._mask is np.ma.nomask and array._fill_value is None and array._baseclass is np.ndarray
    if not is_plain or array._hardmask or array._sharedmask or array._optinfo:
        return array.__reduce_ex__(PROTOCOL)
    return _masked, (array.view(np.ndarray),)


def _reduce_colors(colors: Any) -> Any:
    """A list of hundreds of colors, if it is one of Matplotlib's own, is found by its name."""
    import matplotlib

    state = vars(colors).copy()
    known = vars(matplotlib.colormaps).get("_cmaps", {}).get(state["name"])
    if state["colors"] is not getattr(known, "colors", None):
        return new, (type(colors),), state
    del state["colors"]
    return _known_colors, (type(colors), state["name"]), state


def _reduce_number(number: Any) -> Any:
    return type(number), (number.item(),)


def _reduce_callbacks(registry: Any) -> Any:
    if registry._pickled_cids:
        return registry.__reduce_ex__(PROTOCOL)
    return _callbacks, (registry.exception_handler, registry._signals)


def _masked(array: Any) -> Any:
    import numpy as np

    return array.view(np.ma.MaskedArray)


def _known_colors(kind: Any, name: str) -> Any:
    import matplotlib

    colors = new(kind)
    colors.colors = vars(matplotlib.colormaps)["_cmaps"][name].colors
    return colors


def _callbacks(handler: Any, signals: Any) -> Any:
    from matplotlib.cbook import CallbackRegistry

    return CallbackRegistry(handler, signals=signals)
