"""The steps of log calls without one: counted where the inbox is moved, so the log call only leaves them open."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from monitor.capture.pending import DeviceScalar, PendingRecord
from monitor.metrics import is_system
from monitor.records import Progress

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

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
        # -1 and what is missing stand for none: nobody counts below 0.
        self._last: dict[str, int] = {}  # of scalars, by tag
        self._highest: dict[str, int] = {}  # of scalars, by group
        self._training = -1  # the highest of all scalars, or what the program reported as its progress
        self._last_others: dict[str, int] = {}  # of other records, by tag
        for tag, step in (last or {}).items():
            self.note(tag, step)

    def next(self, tag: str) -> int:
        """Return the step of a scalar, and take note of it."""
        step = self._last.get(tag, -1) + 1
        highest = self._highest.get(tag.rpartition("/")[0], 0)
        if highest > step:
            step = highest
        if step > MAX_STEP:
            step = MAX_STEP
        self.note(tag, step)
        return step

    def next_together(self, tags: Sequence[str]) -> int:
        """Return the step of scalars that are logged together, and take note of it."""
        step = max(map(self.next, tags), default=0)
        for tag in tags:
            self.note(tag, step)
        return step

    def note(self, tag: str, step: int) -> None:
        """Take note of the step of a scalar."""
        if step > self._last.get(tag, -1):
            self._last[tag] = step
        group = tag.rpartition("/")[0]
        if step > self._highest.get(group, -1):
            self._highest[group] = step
        if step > self._training and not is_system(tag):
            self._training = step

    def note_calls(self, groups: Sequence[tuple[str, ...]], group: NDArray[np.int32], steps: NDArray[np.int64]) -> None:
        """Take note of the steps of many calls, as the columns of a `ScalarBlock` hold them."""
        import numpy as np

        highest = np.full(len(groups), -1, np.int64)
        np.maximum.at(highest, group, steps)
        for tags, step in zip(groups, highest.tolist()):
            for tag in tags:
                self.note(tag, step)

    def complete(self, entry: Any) -> Any:
        """Return an entry that is not a tuple, with its step."""
        if isinstance(entry, DeviceScalar):
            if entry.step is None:
                entry.step = self.next(entry.tag)
            else:
                self.note(entry.tag, entry.step)
            return entry
        if isinstance(entry, Progress):
            self._training = max(self._training, entry.step)
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
        return step if step >= 0 else min(max(0, self._last_others.get(tag, -1) + 1), MAX_STEP)
