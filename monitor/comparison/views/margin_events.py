"""Write means and bands of groups as event files, which TensorBoard shows as margin charts under CUSTOM SCALARS."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

import numpy as np

from monitor.comparison.charts import group_aggregates
from monitor.events import summaries
from monitor.events.files import event_files
from monitor.events.writer import EventFileWriter

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from monitor.comparison.side_by_side import SideBySide

LOWER, UPPER = "lower", "upper"
MAX_NAME_CHARS = 100  # of a directory


def write_margin_events(folder: Path, comparison: SideBySide) -> Iterator[Path]:
    """Write one run per group below `folder`, and yield its directory; an earlier one of the name is replaced.

    Each metric TAG is the center, `TAG/lower` and `TAG/upper` are the ends of the band. Blocks while it reads the runs;
    raises `OSError`.
    """
    taken: set[str] = set()
    for number, group in enumerate(comparison.groups):
        name = re.sub(r"[^\w.=+ -]+", "-", group.name).strip(" .-")[:MAX_NAME_CHARS] or f"group {number}"
        name = name if name not in taken else f"{name} {number}"
        taken.add(name)
        path = folder / name
        path.mkdir(parents=True, exist_ok=True)
        earlier = event_files(path)
        writer = EventFileWriter(path)
        now = time.time()
        writer.add(summaries.event([summaries.margin_layout(comparison.metrics, LOWER, UPPER)], 0, now))
        for tag, found in group_aggregates(group, comparison.metrics, comparison.spread, comparison.on_error).items():
            columns = {tag: found.center, f"{tag}/{LOWER}": found.lower, f"{tag}/{UPPER}": found.upper}
            for at, step in enumerate(found.steps.tolist()):
                # A single run has no spread; TensorBoard draws no band where its ends are missing.
                values = [
                    summaries.scalar(key, column[at]) for key, column in columns.items() if np.isfinite(column[at])
                ]
                writer.add(summaries.event(values, step, now))
        writer.flush()
        writer.close()
        for file in earlier:
            file.unlink(missing_ok=True)
        yield path
