"""The steps of log calls without one: counted where the inbox is moved, so the log call only leaves them open."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from monitor.capture.snapshot import DeviceScalar, PendingRecord
from monitor.records import Progress

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

MIN_STEP = -(2**63)
MAX_STEP = 2**63 - 1


class AutomaticSteps:
    """Count the steps of what is logged without one. Only the thread that moves the inbox uses it.

    The group of a tag is its part before the last `/`. A scalar gets the highest step of its group, or the one after
    the last step of its own tag if that is higher. So the first tag that is logged again begins the next step, and the
    others of its group join it. Anything else gets the highest step of the scalars of its group, without any the
    highest step of all scalars, and without any of those it counts its own calls.

    Attributes:
        is_used: whether a step was asked for; before, it is enough to note the steps of whole blocks.
    """

    def __init__(self, last: Mapping[str, int] | None = None) -> None:
        """Continue after the last steps of an earlier process, by tag."""
        self.is_used = False
        self._last: dict[str, int] = {}  # of scalars, by tag
        self._highest: dict[str, int] = {}  # of scalars, by group
        self._training: int | None = None  # the highest of all scalars, or what the program reported as its progress
        self._last_others: dict[str, int] = {}  # of other records, by tag
        for tag, step in (last or {}).items():
            self.note((tag,), step)

    def next(self, tags: Iterable[str]) -> int:
        """Return the step of scalars that are logged together, and take note of it."""
        last, highest = self._last, self._highest
        steps = [last[tag] + 1 for tag in tags if tag in last]
        steps += [highest[group] for tag in tags if (group := tag.rpartition("/")[0]) in highest]
        step = min(max(steps, default=0), MAX_STEP)
        self.note(tags, step)
        return step

    def note(self, tags: Iterable[str], step: int) -> None:
        """Take note of the step of scalars that were logged together."""
        last, highest = self._last, self._highest
        for tag in tags:
            if step > last.get(tag, MIN_STEP):
                last[tag] = step
            group = tag.rpartition("/")[0]
            if step > highest.get(group, MIN_STEP):
                highest[group] = step
        if self._training is None or step > self._training:
            self._training = step

    def note_calls(self, groups: Sequence[tuple[str, ...]], group: NDArray[np.int32], steps: NDArray[np.int64]) -> None:
        """Take note of the steps of many calls, as the columns of a `ScalarBlock` hold them."""
        import numpy as np

        highest = np.full(len(groups), MIN_STEP, np.int64)
        np.maximum.at(highest, group, steps)
        for tags, step in zip(groups, highest.tolist()):
            self.note(tags, step)

    def complete(self, entry: Any) -> Any:
        """Return an entry that is not a tuple, with its step."""
        if isinstance(entry, DeviceScalar):
            if entry.step is None:
                entry.step = self.next((entry.tag,))
            else:
                self.note((entry.tag,), entry.step)
            return entry
        if isinstance(entry, Progress):
            self._training = entry.step if self._training is None else max(self._training, entry.step)
            return entry
        tag = getattr(entry, "tag", None)
        if tag is None:
            return entry
        if entry.step is not None:
            self._last_others[tag] = entry.step
            return entry
        self._last_others[tag] = step = self._next_other(tag)
        if isinstance(entry, PendingRecord):
            entry.step = step
            return entry
        return entry._replace(step=step)

    def _next_other(self, tag: str) -> int:
        step = self._highest.get(tag.rpartition("/")[0], self._training)
        return min(self._last_others.get(tag, -1) + 1, MAX_STEP) if step is None else step
