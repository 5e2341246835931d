"""Find out during the call whether a package would build a summary of these arguments, without building it.

The building itself takes up to a second and happens on a worker. So that a mistake still raises at the call, what the
package itself raises, it builds a summary of small arrays of zeros that have the same dtypes and, where it matters, the
same shapes. This happens once for each combination of shapes, dtypes, and options.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from monitor.capture.snapshot import is_tensor
from monitor.integrations.writer.summaries.builders import REFUSALS

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping, Sequence

    from monitor.integrations.writer.summaries.builders import Builders

MAX_CHECKED = 4096
KEPT_SIZES = 5  # sizes up to this one matter: numbers of channels, of coordinates, of colors
_checked: dict[Hashable, Callable[..., Any]] = {}


def check(
    builders: Builders, function: str, tag: str, arrays: Sequence[Any], options: Mapping[str, Any], key: Hashable
) -> Callable[..., Any]:
    """Return the function that builds the summary of these arguments. Does not wait for a GPU.

    Args:
        builders: which packages may build it.
        function: the name of the function in their `summary` modules.
        tag: names the summary.
        arrays: arrays, tensors, or None; the function takes them after the tag.
        options: further arguments of the function.
        key: what distinguishes the options.

    Raises:
        Exception: what the function raises.
    """
    kinds = [None if array is None else (type(array).__name__, array.shape, array.dtype) for array in arrays]
    signature = builders.names, function, *kinds, key
    found = _checked.get(signature)
    if found is not None:
        return found
    stand_ins = _stand_ins(arrays)
    refusal: Exception | None = None
    for candidate in builders.candidates(function):
        try:
            candidate(tag, *stand_ins, **options)
        except REFUSALS as error:
            refusal = refusal or error
            continue
        if len(_checked) >= MAX_CHECKED:
            _checked.clear()
        _checked[signature] = candidate
        return candidate
    assert refusal is not None
    raise refusal


def _shape(array: Any) -> tuple[int, ...]:
    return tuple(array.shape)


def _stand_ins(arrays: Sequence[Any]) -> list[Any]:
    """Return zeros for each array; equal sizes stay equal, and larger ones larger."""
    sizes = sorted({size for array in arrays if array is not None for size in _shape(array) if size > KEPT_SIZES})
    small = {size: KEPT_SIZES + number for number, size in enumerate(sizes, 1)}
    return [
        None if array is None else _zeros(array, tuple(small.get(size, size) for size in _shape(array)))
        for array in arrays
    ]


def _zeros(array: Any, shape: tuple[int, ...]) -> Any:
    if is_tensor(array):
        import torch

        zeros = torch.zeros(shape, dtype=array.dtype)
        return (zeros.float() if zeros.dtype == torch.bfloat16 else zeros).numpy()
    import numpy as np

    return np.zeros(shape, array.dtype)
