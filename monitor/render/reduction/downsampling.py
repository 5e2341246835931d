"""A bounded series of points whose plot looks like that of all points.

A screen is a few thousand pixels wide. So a plot of millions of points needs only the first, last, lowest, and highest
point of each of a few hundred buckets of consecutive points: an outlier stays visible, however long the run is. When
all buckets are full, neighbors are merged, and from then on each holds twice as many points.
"""

from __future__ import annotations

from itertools import takewhile
from math import isfinite
from typing import TYPE_CHECKING, Any, NamedTuple

from monitor.render.reduction.buckets import Bucket, new_buckets

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from monitor.render.reduction.buckets import Point

MAX_BUCKETS = 256  # a long series has at least half as many
MIN_SHARE_KEPT = 4  # a restart keeps the buckets before it as they are, if they are a quarter of the most
MIN_POINTS_AT_ONCE = 8  # of one call, and of one bucket; fewer are added one by one


class Columns(NamedTuple):
    """The points to plot, in order.

    Attributes:
        steps: int64, or float64 for mean steps.
        values: float64; NaN is a gap in the line.
        times: seconds since the epoch, float64; 0 where none is known.
    """

    steps: NDArray[Any]
    values: NDArray[np.float64]
    times: NDArray[np.float64]


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
        self._buckets: list[Bucket] = []
        self._columns: Columns | None = None  # of the first buckets, which change no more
        self._columns_of = 0  # how many buckets these are
        self.count = 0
        self.first_non_finite: tuple[int, float] | None = None

    def add(self, step: int, value: float, time: float = 0.0) -> None:
        """Append a point; NaN and infinity become a gap in the plot. `time` is in seconds since the epoch."""
        point = (self.count, step, value, time)
        self.count += 1
        buckets = self._buckets
        if not buckets or buckets[-1].count >= self._bucket_size:
            if len(buckets) >= self._max_buckets:
                self._merge_pairs()
            if not buckets or buckets[-1].count >= self._bucket_size:
                buckets.append(Bucket())
        bucket = buckets[-1]
        bucket.count += 1
        if not isfinite(value):
            bucket.non_finite = bucket.non_finite or point
            self.first_non_finite = self.first_non_finite or (step, value)
            return
        bucket.finite += 1
        bucket.total += value
        bucket.last = point
        if bucket.first is None or bucket.lowest is None or bucket.highest is None:
            bucket.first = bucket.lowest = bucket.highest = point
        elif value < bucket.lowest[2]:
            bucket.lowest = point
        elif value > bucket.highest[2]:
            bucket.highest = point

    def extend(
        self, steps: NDArray[np.int64], values: NDArray[np.float64], times: NDArray[np.float64] | None = None
    ) -> None:
        """Append points, as repeated calls of `add` do."""
        import numpy as np

        times = np.zeros(len(values)) if times is None else times
        done, buckets = 0, self._buckets
        few = len(values) if len(values) < MIN_POINTS_AT_ONCE else MIN_POINTS_AT_ONCE * self._max_buckets
        for step, value, time in zip(steps[:few].tolist(), values[:few].tolist(), times[:few].tolist()):
            if len(values) >= MIN_POINTS_AT_ONCE <= self._bucket_size:
                break
            self.add(step, value, time)
            done += 1
        finite = np.isfinite(values)
        if self.first_non_finite is None and not finite.all():
            first = int(finite.argmin())
            self.first_non_finite = int(steps[first]), float(values[first])
        while done < len(values):
            free = self._bucket_size - buckets[-1].count if buckets else 0
            if not free and len(buckets) >= self._max_buckets:
                self._merge_pairs()
                continue
            size = min(free or self._bucket_size, len(values) - done)
            count = 1 if free else min(self._max_buckets - len(buckets), (len(values) - done) // size)
            part = slice(done, done + count * size)
            new = new_buckets(self.count, steps[part], values[part], times[part], finite[part], size)
            if free:
                buckets[-1].merge(new[0])
            else:
                buckets += new
            self.count += count * size
            done += count * size

    def restart(self, step: int) -> None:
        """Remove the points at `step` and above."""
        whole = list(takewhile(lambda bucket: all(point[1] < step for point in bucket.points()), self._buckets))
        if MIN_SHARE_KEPT * len(whole) < self._max_buckets:
            whole, self._bucket_size = [], 1  # of few large buckets, the points: what comes next may be short
        remaining = [point for bucket in self._buckets[len(whole) :] for point in bucket.points() if point[1] < step]
        self._buckets, self._columns_of = whole, 0
        self.count = sum(bucket.count for bucket in whole)
        self.first_non_finite = next((b.non_finite[1:3] for b in whole if b.non_finite is not None), None)
        for _, point_step, value, time in remaining:
            self.add(point_step, value, time)

    def limit(self, max_buckets: int) -> None:
        """Store at most `max_buckets` buckets from now on, if that is fewer than before."""
        self._max_buckets = min(self._max_buckets, max(1, max_buckets))
        while len(self._buckets) > self._max_buckets:
            self._merge_pairs()

    def points(self) -> tuple[list[int], list[float | None]]:
        """Return the steps and values to plot; None is a gap in the line."""
        points = [point for bucket in self._buckets for point in bucket.points()]
        return [point[1] for point in points], [point[2] if isfinite(point[2]) else None for point in points]

    def columns(self) -> Columns:
        """Return the points to plot. The cost of a call depends on the points that are new, not on all of them."""
        done = max(0, len(self._buckets) - 1)  # the last bucket may still grow
        if not self._columns_of:
            self._columns = None
        if self._columns_of < done:
            self._columns = _joined(self._columns, self._buckets[self._columns_of : done])
            self._columns_of = done
        return _joined(self._columns, self._buckets[done:])

    def means(self) -> tuple[Columns, NDArray[np.float64]]:
        """Return for each bucket its middle step and time and the mean of its finite values, and how many these are."""
        import numpy as np

        found = [bucket for bucket in self._buckets if bucket.first is not None and bucket.last is not None]
        counts = np.array([bucket.finite for bucket in found], np.float64)
        totals = np.array([bucket.total for bucket in found], np.float64)
        ends = np.array(
            [(b.first[1], b.last[1], b.first[3], b.last[3]) for b in found if b.first and b.last], np.float64
        )
        ends = ends.reshape(-1, 4)
        middle = ends[:, 0] / 2 + ends[:, 1] / 2
        return Columns(middle, totals / np.maximum(counts, 1), ends[:, 2] / 2 + ends[:, 3] / 2), counts

    @property
    def bucket_count(self) -> int:
        """The number of buckets, of which each stores up to 5 points."""
        return len(self._buckets)

    def copy(self, max_buckets: int) -> DownsampledSeries:
        """Return another series of the same points, with at most so many buckets."""
        state = self._bucket_size, self.count, self.buckets()[1], self.sums()
        series = DownsampledSeries.restored(self._max_buckets, *state)
        series.limit(max_buckets)
        return series

    def buckets(self) -> tuple[int, list[tuple[Point | None, ...]]]:
        """Return how many points a bucket holds, and of each the first, last, lowest, highest, and non-finite point."""
        return self._bucket_size, [(b.first, b.last, b.lowest, b.highest, b.non_finite) for b in self._buckets]

    def sums(self) -> list[tuple[int, float]]:
        """Return of each bucket how many finite values it has had, and their sum."""
        return [(b.finite, b.total) for b in self._buckets]

    @classmethod
    def restored(
        cls,
        max_buckets: int,
        bucket_size: int,
        count: int,
        buckets: list[tuple[Point | None, ...]],
        sums: list[tuple[int, float]],
    ) -> DownsampledSeries:
        """Return the series of `count` points that has these `buckets` and `sums`; it goes on as the original would."""
        series = cls(max_buckets)
        series._bucket_size, series.count = bucket_size, count
        for number, (points, (finite, total)) in enumerate(zip(buckets, sums)):
            bucket = Bucket()
            bucket.finite, bucket.total = finite, total
            bucket.first, bucket.last, bucket.lowest, bucket.highest, bucket.non_finite = points
            bucket.count = min(bucket_size, count - number * bucket_size)
            series._buckets.append(bucket)
            if series.first_non_finite is None and bucket.non_finite is not None:
                series.first_non_finite = bucket.non_finite[1:3]
        return series

    def _merge_pairs(self) -> None:
        """Merge neighboring buckets in pairs."""
        merged = self._buckets[::2]
        for bucket, next_bucket in zip(merged, self._buckets[1::2]):
            bucket.merge(next_bucket)
        self._buckets[:] = merged
        self._bucket_size *= 2
        self._columns_of = 0


def _joined(before: Columns | None, buckets: Sequence[Bucket]) -> Columns:
    """Return columns with the points of `buckets` behind those of `before`."""
    import numpy as np

    points = [point for bucket in buckets for point in bucket.points()]
    _, steps, values, times = zip(*points) if points else ((), (), (), ())
    array = np.array(values, np.float64)
    array[~np.isfinite(array)] = np.nan
    new = Columns(np.array(steps, np.int64), array, np.array(times, np.float64))
    if before is None:
        return new
    all_columns: list[NDArray[Any]] = [np.concatenate(both) for both in zip(before, new)]
    return Columns(*all_columns)
