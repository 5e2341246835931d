"""Consecutive points of a curve, reduced to the few that a plot needs."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Point = tuple[int, int, float, float]  # position in the series, step, value, time


class Bucket:
    """Consecutive points: the first, last, lowest, and highest finite one, the first that is not finite, and the sum.

    Attributes:
        count: the number of points.
        finite: how many of them are finite.
        total: the sum of their values.
    """

    __slots__ = ("count", "finite", "first", "highest", "last", "lowest", "non_finite", "total")

    def __init__(self) -> None:
        self.count = self.finite = 0
        self.total = 0.0
        self.first: Point | None = None
        self.last: Point | None = None
        self.lowest: Point | None = None
        self.highest: Point | None = None
        self.non_finite: Point | None = None

    def merge(self, other: Bucket) -> None:
        """Add the points of the next bucket."""
        self.count += other.count
        self.finite += other.finite
        self.total += other.total
        self.non_finite = self.non_finite or other.non_finite
        self.first = self.first or other.first
        self.last = other.last or self.last
        if self.lowest is None or (other.lowest is not None and other.lowest[2] < self.lowest[2]):
            self.lowest = other.lowest
        if self.highest is None or (other.highest is not None and other.highest[2] > self.highest[2]):
            self.highest = other.highest

    def points(self) -> list[Point]:
        """Return the stored points in order."""
        return sorted({p for p in (self.first, self.lowest, self.highest, self.last, self.non_finite) if p is not None})


def new_buckets(
    count: int,
    steps: NDArray[np.int64],
    values: NDArray[np.float64],
    times: NDArray[np.float64],
    finite: NDArray[np.bool_],
    size: int,
) -> list[Bucket]:
    """Return buckets of `size` points each; `count` is the position of the first point in the series."""
    import numpy as np

    rows, is_finite = values.reshape(-1, size), finite.reshape(-1, size)
    starts = np.arange(0, len(values), size)

    def points(columns: NDArray[np.intp], exist: NDArray[np.bool_]) -> list[Point | None]:
        at = starts + columns
        found = zip((at + count).tolist(), steps[at].tolist(), values[at].tolist(), times[at].tolist())
        return [point if exists else None for point, exists in zip(found, exist.tolist())]

    some: NDArray[np.bool_] = np.any(is_finite, axis=1)
    gaps: NDArray[np.bool_] = np.any(~is_finite, axis=1)
    first = points(is_finite.argmax(axis=1), some)
    last = points(size - 1 - is_finite[:, ::-1].argmax(axis=1), some)
    lowest = points(np.where(is_finite, rows, np.inf).argmin(axis=1), some)
    highest = points(np.where(is_finite, rows, -np.inf).argmax(axis=1), some)
    non_finite = points(is_finite.argmin(axis=1), gaps)
    finite_counts = is_finite.sum(axis=1).tolist()
    with np.errstate(over="ignore", invalid="ignore"):
        totals = np.where(is_finite, rows, 0.0).sum(axis=1).tolist()
    buckets = []
    for number, found in enumerate(zip(first, last, lowest, highest, non_finite)):
        bucket = Bucket()
        bucket.count, bucket.finite, bucket.total = size, finite_counts[number], totals[number]
        bucket.first, bucket.last, bucket.lowest, bucket.highest, bucket.non_finite = found
        buckets.append(bucket)
    return buckets
