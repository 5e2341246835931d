"""Many scalars as columns: what waits in memory, and what fast sinks take.

A scalar takes 36 bytes here if it was logged alone, and 15 as one of four of a step; a `Scalar` takes some 200.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from monitor.records import Scalar

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from monitor.machine.files import FileRange

TagGroup = tuple[str, ...]  # the tags of one log call


class ScalarBlock:
    """The scalars of consecutive log calls, in their order. The columns are never changed.

    Attributes:
        groups: the sets of tags that were logged together.
        group: for each of the C calls, its position in `groups`, int32.
        steps: for each call, int64.
        times: for each call, seconds since the epoch, float64.
        values: the N values of all calls, one call after the other in the order of its tags, float64.
        starts: for each call, the position of its first value, and after them N: C + 1 numbers, int64.
        stored: where an event file holds exactly these scalars, flushed; None as long as none does.
    """

    __slots__ = ("group", "groups", "starts", "steps", "stored", "times", "values")

    def __init__(
        self,
        groups: Sequence[TagGroup],
        group: NDArray[np.int32],
        steps: NDArray[np.int64],
        times: NDArray[np.float64],
        values: NDArray[np.float64],
        starts: NDArray[np.int64] | None = None,
    ) -> None:
        import numpy as np

        self.groups, self.group, self.steps, self.times, self.values = groups, group, steps, times, values
        if starts is None:
            sizes = np.array([len(tags) for tags in groups], np.int64)
            starts = np.zeros(len(group) + 1, np.int64)
            np.cumsum(sizes[group], out=starts[1:])
        self.starts = starts
        self.stored: FileRange | None = None

    @classmethod
    def of(cls, scalars: Iterable[Scalar]) -> ScalarBlock:
        """Return a block of scalars, as if each had been logged by a call of its own."""
        import numpy as np

        rows = list(scalars)
        numbers: dict[TagGroup, int] = {}
        group = [numbers.setdefault((scalar.tag,), len(numbers)) for scalar in rows]
        return cls(
            list(numbers),
            np.array(group, np.int32),
            np.array([scalar.step for scalar in rows], np.int64),
            np.array([scalar.time for scalar in rows], np.float64),
            np.array([scalar.value for scalar in rows], np.float64),
        )

    def __len__(self) -> int:
        """Return the number of scalars, N."""
        return len(self.values)

    @property
    def calls(self) -> int:
        """The number of log calls, C."""
        return len(self.group)

    @property
    def nbytes(self) -> int:
        """Bytes of memory that the columns take."""
        columns = (self.group, self.steps, self.times, self.values, self.starts)
        return sum(column.nbytes for column in columns)

    def part(self, start: int, stop: int) -> ScalarBlock:
        """Return the calls from `start` to `stop`, without a copy."""
        first, last = self.starts[start], self.starts[min(stop, self.calls)]
        return ScalarBlock(
            self.groups,
            self.group[start:stop],
            self.steps[start:stop],
            self.times[start:stop],
            self.values[first:last],
            self.starts[start : stop + 1] - first,
        )

    def split(self, count: int) -> tuple[ScalarBlock, ScalarBlock | None]:
        """Return the first calls, with at most `count` scalars but at least one call, and the rest if there is one."""
        import numpy as np

        calls = max(1, int(np.searchsorted(self.starts, count, side="right")) - 1)
        if calls >= self.calls:
            return self, None
        return self.part(0, calls), self.part(calls, self.calls)

    def records(self) -> list[Scalar]:
        """Return the scalars as records, in their order."""
        import numpy as np

        sizes = np.diff(self.starts)
        steps, times = np.repeat(self.steps, sizes).tolist(), np.repeat(self.times, sizes).tolist()
        groups = self.groups
        tags = [tag for number in self.group.tolist() for tag in groups[number]]
        return list(map(Scalar, tags, self.values.tolist(), steps, times))

    def places(self) -> Iterator[tuple[str, NDArray[np.intp], NDArray[np.int64]]]:
        """Yield each tag, in the order in which they appear, with the calls and the places in `values` of its scalars.

        A tag's scalars are in the order in which they were logged.
        """
        import numpy as np

        found: dict[str, list[tuple[NDArray[np.intp], NDArray[np.int64]]]] = {}
        for number, calls in self._calls_by_group():
            starts = self.starts[calls]
            for position, tag in enumerate(self.groups[number]):
                found.setdefault(tag, []).append((calls, starts + position))
        for tag, parts in found.items():
            if len(parts) == 1:
                yield tag, *parts[0]
                continue
            calls, places = (np.concatenate(columns) for columns in zip(*parts))
            order = np.argsort(places)
            yield tag, calls[order], places[order]

    def series(self) -> Iterator[tuple[str, NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]]:
        """Yield each tag, in the order in which they appear, with the steps, values, and times of its scalars."""
        for tag, calls, places in self.places():
            yield tag, self.steps[calls], self.values[places], self.times[calls]

    def _calls_by_group(self) -> list[tuple[int, NDArray[np.intp]]]:
        """Return each group that was logged and its calls, in the order of their first calls."""
        import numpy as np

        if not self.calls:
            return []
        order = np.argsort(self.group, kind="stable")
        ordered = self.group[order]
        parts = np.split(order, np.flatnonzero(ordered[1:] != ordered[:-1]) + 1)
        return sorted(((int(self.group[part[0]]), part) for part in parts), key=lambda found: int(found[1][0]))
