"""A bounded series of points that looks like the whole one.

A screen has some thousand columns, so a curve of millions of points needs no more than the first, last, lowest and
highest point of each of about a thousand stretches: an outlier stays visible, however long the run is. When the
stretches run out, neighbours are merged, and each holds twice as many points from then on.
"""

from __future__ import annotations

from math import isfinite

STRETCHES = 1000  # at most; a half of that at least, once the series is long

Point = tuple[int, float]  # step, value


class _Stretch:
    """Consecutive points, by their first, last, lowest and highest; `gap` is the first step without a finite value."""

    __slots__ = ("count", "first", "gap", "highest", "last", "lowest")

    def __init__(self) -> None:
        self.count = 0
        self.first: Point | None = None
        self.last: Point | None = None
        self.lowest: Point | None = None
        self.highest: Point | None = None
        self.gap: int | None = None

    def merge(self, other: _Stretch) -> None:
        """Take in the stretch that follows."""
        self.count += other.count
        if self.gap is None:
            self.gap = other.gap
        if other.first is None or other.lowest is None or other.highest is None:
            return
        if self.first is None or self.lowest is None or self.highest is None:
            self.first, self.lowest, self.highest = other.first, other.lowest, other.highest
        else:
            if other.lowest[1] < self.lowest[1]:
                self.lowest = other.lowest
            if other.highest[1] > self.highest[1]:
                self.highest = other.highest
        self.last = other.last


class Series:
    """The points of one curve, in the order in which they came; memory does not grow past about 4 × 1,000 points."""

    def __init__(self, stretches: int = STRETCHES) -> None:
        self._most = stretches
        self._width = 1  # points a stretch
        self._stretches: list[_Stretch] = []
        self.count = 0
        self.first_bad: Point | None = None  # the first NaN or infinity

    def add(self, step: int, value: float) -> None:
        """Append a point; NaN and infinity are kept as a gap."""
        self.count += 1
        stretches = self._stretches
        if not stretches or stretches[-1].count >= self._width:
            if len(stretches) >= self._most:
                self._halve()
            if not stretches or stretches[-1].count >= self._width:
                stretches.append(_Stretch())
        stretch = stretches[-1]
        stretch.count += 1
        if not isfinite(value):
            if self.first_bad is None:
                self.first_bad = (step, value)
            if stretch.gap is None:
                stretch.gap = step
            return
        point = (step, value)
        stretch.last = point
        if stretch.first is None or stretch.lowest is None or stretch.highest is None:
            stretch.first = stretch.lowest = stretch.highest = point
        elif value < stretch.lowest[1]:
            stretch.lowest = point
        elif value > stretch.highest[1]:
            stretch.highest = point

    def points(self) -> tuple[list[int], list[float | None]]:
        """Return steps and values for a plot; None is a gap in the line."""
        steps: list[int] = []
        values: list[float | None] = []
        for stretch in self._stretches:
            if stretch.first is not None and stretch.last is not None:
                ends = (stretch.first, stretch.last)
                middle = {p for p in (stretch.lowest, stretch.highest) if p is not None and p not in ends}
                inner = sorted(middle, reverse=stretch.first[0] > stretch.last[0])
                for step, value in (stretch.first, *inner, *(() if stretch.first == stretch.last else (stretch.last,))):
                    steps.append(step)
                    values.append(value)
            if stretch.gap is not None:
                steps.append(stretch.gap)
                values.append(None)
        return steps, values

    def _halve(self) -> None:
        """Merge neighbours in pairs."""
        merged = self._stretches[::2]
        for stretch, following in zip(merged, self._stretches[1::2]):
            stretch.merge(following)
        self._stretches[:] = merged
        self._width *= 2
