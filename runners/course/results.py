"""What a run of a lesson left: its last metrics, and its event file, read back."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from monitor.comparison.event_data import read_points
from monitor.events.reading.reader import read_history
from monitor.records import Text
from monitor.runs.run_file import read_run_file

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class RunResult:
    """A finished run of a lesson: the newest value of each metric by tag, and the run's directory."""

    metrics: dict[str, float]
    path: Path

    def series(self, tag: str) -> dict[int, float]:
        """Return the values of a scalar by step, from the event file. Blocks."""
        steps, values = read_points(self.path, [tag])[tag]
        return dict(zip(steps.tolist(), values.tolist()))

    def last(self, tag: str) -> float:
        """Return the last value of a scalar."""
        return list(self.series(tag).values())[-1]

    def probabilities(self) -> dict[int, float]:
        """Return the probabilities that the run's closing table prints, by row, from 1 on."""
        texts = [
            record.text
            for records in read_history(self.path, lambda tag: tag.startswith("predictions"), kinds=frozenset({Text}))
            for record in records
            if isinstance(record, Text)
        ]
        rows = re.findall(r"^ *\S.* (\d\.\d{4}) +\S+$", texts[-1], re.M) if texts else []
        return {number: float(p) for number, p in enumerate(rows, start=1)}

    @cached_property
    def config(self) -> dict[str, Any]:
        """The settings of the run."""
        return dict(read_run_file(self.path).get("config", {}))
