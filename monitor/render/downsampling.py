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

    __slots__ = ("bad", "count", "first", "highest", "last", "lowest")

    def __init__(self) -> None:
        self.count = 0
        self.first: Point | None = None
        self.last: Point | None = None
        self.lowest: Point | None = None
        self.highest: Point | None = None
        self.bad: Point | None = None

    def merge(self, other: _Bucket) -> None:
        """Take in the stretch that follows."""
        self.count += other.count
        self.bad = self.bad or other.bad
        self.first = self.first or other.first
        self.last = other.last or self.last
        if self.lowest is None or (other.lowest is not None and other.lowest[2] < self.lowest[2]):
            self.lowest = other.lowest
        if self.highest is None or (other.highest is not None and other.highest[2] > self.highest[2]):
            self.highest = other.highest

    def points(self) -> list[Point]:
        """Return what is known of the stretch, in the order in which it came."""
        return sorted({p for p in (self.first, self.lowest, self.highest, self.last, self.bad) if p is not None})


class DownsampledSeries:
    """The points of one curve, in the order in which they came; memory stays under 5 × 256 points."""

    def __init__(self, stretches: int = MAX_BUCKETS) -> None:
        self._most = stretches
        self._width = 1  # points a stretch
        self._stretches: list[_Bucket] = []
        self.count = 0
        self.first_bad: tuple[int, float] | None = None  # step and value of the first NaN or infinity

    def add(self, step: int, value: float) -> None:
        """Append a point; NaN and infinity are kept as a gap."""
        point = (self.count, step, value)
        self.count += 1
        stretches = self._stretches
        if not stretches or stretches[-1].count >= self._width:
            if len(stretches) >= self._most:
                self._halve()
            if not stretches or stretches[-1].count >= self._width:
                stretches.append(_Bucket())
        stretch = stretches[-1]
        stretch.count += 1
        if not isfinite(value):
            stretch.bad = stretch.bad or point
            self.first_bad = self.first_bad or (step, value)
            return
        stretch.last = point
        if stretch.first is None or stretch.lowest is None or stretch.highest is None:
            stretch.first = stretch.lowest = stretch.highest = point
        elif value < stretch.lowest[2]:
            stretch.lowest = point
        elif value > stretch.highest[2]:
            stretch.highest = point

    def restart(self, step: int) -> None:
        """Forget the points of `step` and above."""
        kept = [point for stretch in self._stretches for point in stretch.points() if point[1] < step]
        self.__init__(self._most)  # type: ignore[misc]
        for _, at, value in kept:
            self.add(at, value)

    def points(self) -> tuple[list[int], list[float | None]]:
        """Return steps and values for a plot; None is a gap in the line."""
        points = [point for stretch in self._stretches for point in stretch.points()]
        return [step for _, step, _ in points], [value if isfinite(value) else None for _, _, value in points]

    def _halve(self) -> None:
        """Merge neighbours in pairs."""
        merged = self._stretches[::2]
        for stretch, following in zip(merged, self._stretches[1::2]):
            stretch.merge(following)
        self._stretches[:] = merged
        self._width *= 2
