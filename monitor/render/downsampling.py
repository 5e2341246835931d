"""A bounded series of points whose plot looks like that of all points.

A screen is a few thousand pixels wide. So a plot of millions of points needs only the first, last, lowest, and highest
point of each of a few hundred buckets of consecutive points: an outlier stays visible, however long the run is. When
all buckets are full, neighbors are merged, and from then on each holds twice as many points.
"""

from __future__ import annotations

from math import isfinite

MAX_BUCKETS = 256  # a long series has at least half as many

Point = tuple[int, int, float]  # position in the series, step, value


class _Bucket:
    """Consecutive points: the first, last, lowest, and highest finite one, and the first that is not finite."""

    __slots__ = ("count", "first", "highest", "last", "lowest", "non_finite")

    def __init__(self) -> None:
        self.count = 0
        self.first: Point | None = None
        self.last: Point | None = None
        self.lowest: Point | None = None
        self.highest: Point | None = None
        self.non_finite: Point | None = None

    def merge(self, other: _Bucket) -> None:
        """Add the points of the next bucket."""
        self.count += other.count
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


class DownsampledSeries:
    """The points of one curve, in the order in which they were added.

    At most 5 points per bucket are stored.

    Attributes:
        count: the number of points added.
        first_non_finite: step and value of the first NaN or infinity.
    """

    def __init__(self, max_buckets: int = MAX_BUCKETS) -> None:
        self._max_buckets = max_buckets
        self._bucket_size = 1  # points per bucket
        self._buckets: list[_Bucket] = []
        self.count = 0
        self.first_non_finite: tuple[int, float] | None = None

    def add(self, step: int, value: float) -> None:
        """Append a point; NaN and infinity become a gap in the plot."""
        point = (self.count, step, value)
        self.count += 1
        buckets = self._buckets
        if not buckets or buckets[-1].count >= self._bucket_size:
            if len(buckets) >= self._max_buckets:
                self._merge_pairs()
            if not buckets or buckets[-1].count >= self._bucket_size:
                buckets.append(_Bucket())
        bucket = buckets[-1]
        bucket.count += 1
        if not isfinite(value):
            bucket.non_finite = bucket.non_finite or point
            self.first_non_finite = self.first_non_finite or (step, value)
            return
        bucket.last = point
        if bucket.first is None or bucket.lowest is None or bucket.highest is None:
            bucket.first = bucket.lowest = bucket.highest = point
        elif value < bucket.lowest[2]:
            bucket.lowest = point
        elif value > bucket.highest[2]:
            bucket.highest = point

    def restart(self, step: int) -> None:
        """Remove the points at `step` and above."""
        remaining = [point for bucket in self._buckets for point in bucket.points() if point[1] < step]
        self._bucket_size, self._buckets = 1, []
        self.count, self.first_non_finite = 0, None
        for _, point_step, value in remaining:
            self.add(point_step, value)

    def points(self) -> tuple[list[int], list[float | None]]:
        """Return the steps and values to plot; None is a gap in the line."""
        points = [point for bucket in self._buckets for point in bucket.points()]
        return [step for _, step, _ in points], [value if isfinite(value) else None for _, _, value in points]

    def _merge_pairs(self) -> None:
        """Merge neighboring buckets in pairs."""
        merged = self._buckets[::2]
        for bucket, next_bucket in zip(merged, self._buckets[1::2]):
            bucket.merge(next_bucket)
        self._buckets[:] = merged
        self._bucket_size *= 2
