"""Read what a child sent: it is checked as a log call checks its arguments, and nothing is unpickled."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

from monitor.capture import validation
from monitor.records import (
    Checkpoint,
    ConfusionMatrix,
    Curve,
    Histogram,
    Images,
    Predictions,
    Progress,
    Record,
    Summary,
    Text,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    from monitor.delivery.children.wire import ScalarEntry


def decode(header: bytes, arrays: bytes, known_tags: set[str]) -> Record | ScalarEntry:
    """Return the entry of a frame.

    Args:
        header: the first part.
        arrays: the second part; the arrays of the entry share its memory.
        known_tags: tags that were checked before; new ones are added.

    Raises:
        Exception: if it is not one that a log call makes: TypeError, ValueError, or what `json` raises.
    """
    fields = json.loads(header)
    if type(fields) is not list or not fields or type(fields[0]) is not str or fields[0] not in _DECODERS:
        raise ValueError("this is not a record that a child process may log")
    entry: Record | ScalarEntry = _DECODERS[fields[0]](_Reader(fields[1:], arrays, known_tags))
    return entry


class _Reader:
    """Read the fields of one entry, in their order; each method checks the next one and raises if it is another."""

    def __init__(self, fields: list[Any], arrays: bytes, known_tags: set[str]) -> None:
        self._fields = iter(fields)
        self._arrays, self._offset = arrays, 0
        self.known_tags = known_tags

    def field(self) -> Any:
        """Return the next field, of any type."""
        return next(self._fields, None)

    def end(self) -> None:
        """Check that nothing is left."""
        if next(self._fields, self) is not self or self._offset != len(self._arrays):
            raise ValueError("there is more than the record needs")

    def tag(self) -> str:
        return validation.tag(self.field(), self.known_tags)

    def text(self) -> str:
        return validation.text(self.field(), "a text")

    def names(self) -> tuple[str, ...]:
        return tuple(validation.text(name, "a class name") for name in _list(self.field()))

    def step(self) -> int:
        return validation.step(self.field())

    def number(self) -> float:
        return _float(self.field())

    def time(self) -> float:
        if not math.isfinite(time := self.number()):
            raise ValueError("a time must be finite")
        return time

    def level(self) -> float | None:
        level = self.field()
        return None if level is None else validation.number(_float(level), "level")

    def array(self, dtype: str) -> NDArray[Any]:
        return self._array(self.field(), dtype)

    def vector(self) -> NDArray[np.float64]:
        return self._vector(self.field())

    def pair(self) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
        described = self.field()
        if described is None:
            return None
        first, second = _list(described)
        pair = self._vector(first), self._vector(second)
        if len(pair[0]) != len(pair[1]):
            raise ValueError("x and y differ in length")
        return pair

    def _vector(self, described: Any) -> NDArray[np.float64]:
        array = validation.numbers(self._array(described, "f8"), "an array")
        if array.ndim != 1:
            raise ValueError("an array must be flat")
        return array  # type: ignore[no-any-return]

    def _array(self, described: Any, dtype: str) -> NDArray[Any]:
        import numpy as np

        if type(described) is not dict or described.get("dtype") != np.dtype(dtype).str:
            raise TypeError(f"an array must be {np.dtype(dtype)}")
        shape = [validation.step(size, "a size") for size in _list(described.get("shape"))]
        if min(shape, default=0) < 0 or len(shape) > 4:
            raise ValueError(f"no array has the shape {shape}")
        count = math.prod(shape)
        if self._offset + count * np.dtype(dtype).itemsize > len(self._arrays):
            raise ValueError("there is less than the record needs")
        array = np.frombuffer(self._arrays, dtype, count, self._offset).reshape(shape)
        self._offset += array.nbytes
        return array


def _float(value: Any) -> float:
    if type(value) is not float:
        raise TypeError(f"a number must be a float, not {type(value).__name__}")
    return value


def _list(value: Any) -> list[Any]:
    if type(value) is not list:
        raise TypeError(f"this must be a list, not {type(value).__name__}")
    return value


def _scalars(r: _Reader) -> ScalarEntry:
    tag, value = r.field(), r.field()
    if tag is None:
        if type(value) is not dict:
            raise TypeError("several scalars must be a mapping")
        values = {validation.tag(name, r.known_tags): _float(number) for name, number in value.items()}
        return (None, values, r.step(), r.time())
    return (validation.tag(tag, r.known_tags), _float(value), r.step(), r.time())


def _images(r: _Reader) -> Images:
    tag = r.tag()
    return Images(tag, _pictures(r, tag), r.step(), r.time())


def _predictions(r: _Reader) -> Predictions:
    tag = r.tag()
    pictures = _pictures(r, tag)
    predicted, target = (validation.labels(r.array("i8"), len(pictures), tag) for _ in range(2))
    return Predictions(tag, pictures, predicted, target, r.names(), r.step(), r.time())


def _pictures(r: _Reader, tag: str) -> NDArray[np.uint8]:
    pictures: NDArray[np.uint8] = validation.images(r.array("u1"), tag)
    if pictures.ndim != 4:
        raise ValueError("images must be N×C×H×W")
    return pictures


def _histogram(r: _Reader) -> Histogram:
    histogram = Histogram(r.tag(), r.vector(), r.step(), r.time())
    if r.field() is not None:
        raise ValueError("a child process sends the values of a histogram, not its buckets")
    return histogram


def _confusion_matrix(r: _Reader) -> ConfusionMatrix:
    tag = r.tag()
    return ConfusionMatrix(tag, validation.square(r.array("i8"), tag), r.names(), r.step(), r.time())


def _curve(r: _Reader) -> Curve:
    tag, x, y = r.tag(), r.vector(), r.vector()
    if len(x) != len(y):
        raise ValueError("x and y differ in length")
    return Curve(tag, x, y, r.step(), r.time(), r.text(), r.text(), r.level(), r.pair())


def _checked(read: Callable[[_Reader], Any]) -> Callable[[_Reader], Any]:
    def decoder(r: _Reader) -> Any:
        entry = read(r)
        r.end()
        return entry

    return decoder


_DECODERS = {
    kind: _checked(read)
    for kind, read in {
        "Scalar": _scalars,
        "Images": _images,
        "Predictions": _predictions,
        "Text": lambda r: Text(r.tag(), r.text(), r.step(), r.time()),
        "Histogram": _histogram,
        "ConfusionMatrix": _confusion_matrix,
        "Curve": _curve,
        "Progress": lambda r: Progress(r.step(), r.step(), r.step(), r.step(), r.time()),
        "Summary": lambda r: Summary(r.text(), r.array("u1").tobytes(), r.step(), r.time()),
        "Checkpoint": lambda r: Checkpoint(r.text(), r.step(), r.time()),
    }.items()
}
