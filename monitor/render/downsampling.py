"""A bounded series of points that looks like the whole one.

A screen has some thousand columns, so a curve of millions of points needs no more than the first, last, lowest and
highest point of each of some hundred stretches: an outlier stays visible, however long the run is. When the
stretches run out, neighbours are merged, and each holds twice as many points from then on.
"""

from __future__ import annotations

from math import isfinite

MAX_BUCKETS = 256  # at most; a half of that at least, once the series is long

Point = tuple[int, int, float]  # how many came before it, step, value


class _Bucket:
    """Consecutive points, by their first, last, lowest and highest, and the first that is not finite."""

    __slots__ = ("count", "first", "highest", "last", "lowest", "non_finite")

    def __init__(self) -> None:
        self.count = 0
        self.first: Point | None = None
        self.last: Point | None = None
        self.lowest: Point | None = None
        self.highest: Point | None = None
        self.non_finite: Point | None = None

    def merge(self, other: _Bucket) -> None:
        """Take in the stretch that follows."""
        self.count += other.count
        self.non_finite = self.non_finite or other.non_finite
        self.first = self.first or other.first
        self.last = other.last or self.last
        if self.lowest is None or (other.lowest is not None and other.lowest[2] < self.lowest[2]):
            self.lowest = other.lowest
        if self.highest is None or (other.highest is not None and other.highest[2] > self.highest[2]):
            self.highest = other.highest

    def points(self) -> list[Point]:
        """Return what is known of the stretch, in the order in which it came."""
        return sorted({p for p in (self.first, self.lowest, self.highest, self.last, self.non_finite) if p is not None})


class DownsampledSeries:
    """The points of one curve, in the order in which they came; memory stays under 5 × 256 points."""

    def __init__(self, buckets: int = MAX_BUCKETS) -> None:
        self._max_buckets = buckets
        self._bucket_size = 1  # points a stretch
        self._buckets: list[_Bucket] = []
        self.count = 0
        self.first_non_finite: tuple[int, float] | None = None  # step and value of the first NaN or infinity

    def add(self, step: int, value: float) -> None:
        """Append a point; NaN and infinity are kept as a gap."""
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
        """Forget the points of `step` and above."""
        remaining = [point for bucket in self._buckets for point in bucket.points() if point[1] < step]
        self.__init__(self._max_buckets)  # type: ignore[misc]
        for _, at, value in remaining:
            self.add(at, value)

    def points(self) -> tuple[list[int], list[float | None]]:
        """Return steps and values for a plot; None is a gap in the line."""
        points = [point for bucket in self._buckets for point in bucket.points()]
        return [step for _, step, _ in points], [value if isfinite(value) else None for _, _, value in points]

    def _merge_pairs(self) -> None:
        """Merge neighbours in pairs."""
        merged = self._buckets[::2]
        for bucket, following in zip(merged, self._buckets[1::2]):
            bucket.merge(following)
        self._buckets[:] = merged
        self._bucket_size *= 2
