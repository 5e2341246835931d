"""Read the fields of an entry that a child sent, and check each of them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from monitor.capture import validation

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class FieldReader:
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
        """Return a tag."""
        return validation.tag(self.field(), self.known_tags)

    def text(self) -> str:
        """Return a text."""
        return validation.text(self.field(), "a text")

    def flag(self) -> bool:
        """Return true or false."""
        if type(value := self.field()) is not bool:
            raise TypeError(f"this must be true or false, not {type(value).__name__}")
        return value

    def names(self) -> tuple[str, ...]:
        """Return a list of texts."""
        return tuple(validation.text(name, "a class name") for name in read_list(self.field()))

    def rows(self) -> tuple[tuple[str, ...], ...]:
        """Return a list of lists of texts."""
        return tuple(
            tuple(validation.text(cell, "a cell") for cell in read_list(row)) for row in read_list(self.field())
        )

    def content(self) -> bytes:
        """Return bytes, such as a file."""
        array = self.array("u1")
        if array.ndim != 1:
            raise ValueError("bytes must be flat")
        return array.tobytes()

    def step(self) -> Any:
        """Return a step, or None for an automatic one."""
        return validation.optional_step(self.field())

    def integer(self) -> int:
        """Return an integer, such as a step that is not automatic."""
        return validation.step(self.field())

    def number(self) -> float:
        """Return a float."""
        return read_float(self.field())

    def time(self) -> float:
        """Return a time, which is finite."""
        if not math.isfinite(time := self.number()):
            raise ValueError("a time must be finite")
        return time

    def level(self) -> float | None:
        """Return a finite float, or None."""
        level = self.field()
        return None if level is None else validation.number(read_float(level), "level")

    def count(self) -> int:
        """Return an integer that is not negative."""
        if (number := self.integer()) < 0:
            raise ValueError("a count must not be negative")
        return number

    def array(self, dtype: str) -> NDArray[Any]:
        """Return an array of at most four dimensions."""
        return self.array_of(self.field(), dtype)

    def vector(self) -> NDArray[np.float64]:
        """Return a flat array that is not empty."""
        return self._vector(self.field())

    def pair(self) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
        """Return two flat arrays of one length, or None."""
        described = self.field()
        if described is None:
            return None
        first, second = read_list(described)
        pair = self._vector(first), self._vector(second)
        if len(pair[0]) != len(pair[1]):
            raise ValueError("x and y differ in length")
        return pair

    def _vector(self, described: Any) -> NDArray[np.float64]:
        array = validation.numbers(self.array_of(described, "f8"), "an array")
        if array.ndim != 1:
            raise ValueError("an array must be flat")
        return array  # type: ignore[no-any-return]

    def array_of(self, described: Any, dtype: str) -> NDArray[Any]:
        """Return the array that a field describes."""
        import numpy as np

        if type(described) is not dict or described.get("dtype") != np.dtype(dtype).str:
            raise TypeError(f"an array must be {np.dtype(dtype)}")
        shape = [validation.step(size, "a size") for size in read_list(described.get("shape"))]
        if min(shape, default=0) < 0 or len(shape) > 4:
            raise ValueError(f"no array has the shape {shape}")
        count = math.prod(shape)
        if self._offset + count * np.dtype(dtype).itemsize > len(self._arrays):
            raise ValueError("there is less than the record needs")
        if not count:
            return np.zeros(shape, dtype)
        array = np.frombuffer(self._arrays, dtype, count, self._offset).reshape(shape)
        self._offset += array.nbytes
        return array


def read_float(value: Any) -> float:
    """Return `value` if it is a float."""
    if type(value) is not float:
        raise TypeError(f"a number must be a float, not {type(value).__name__}")
    return value


def read_list(value: Any) -> list[Any]:
    """Return `value` if it is a list."""
    if type(value) is not list:
        raise TypeError(f"this must be a list, not {type(value).__name__}")
    return value
