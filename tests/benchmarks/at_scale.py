"""`make bench SECTION=scale`: what large runs and many runs cost, in a table at the end of `docs/scale.md`."""

from __future__ import annotations

import os
import platform
from datetime import date
from pathlib import Path

from monitor.runs.processes.environment import versions
from tests.benchmarks import arithmetic, board, listing, object_store, reading, sweeping

PARTS = (reading.rows, listing.rows, sweeping.rows, object_store.rows, board.rows)
PAGE = Path(__file__).parents[2] / "docs" / "scale.md"
HEADING = "## Measured"
HEAD = """
Written by `make bench SECTION=scale`. Both sides of a ratio are measured in turns within one run; on another or a busy
machine, the times differ, the ratios less so. Runs and event files are synthetic: they have the bytes that a `Logger`
or another writer leaves, and were not trained. Many runs are links to the files of one. What was not measured is in
[Arithmetic](#arithmetic).

| what | bound | found | |
| --- | --- | --- | --- |
"""


def write() -> int:
    """Measure, print, and write the table; return how many bounds were missed."""
    lines, missed = [], 0
    for part in PARTS:
        for row in part():
            is_reached = "reached" if row.reached else "**missed**"
            print(f"{is_reached:10}  {row.what}: {row.found}  (bound: {row.must})", flush=True)
            lines.append(f"| {row.what} | {row.must} | {row.found} | {is_reached} |")
            missed += not row.reached
    packages = ", ".join(f"{name} {version}" for name, version in versions().items())
    machine = f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, {platform.system()}"
    tail = f"\n\nMeasured on {date.today().isoformat()}: {machine}; {packages}.\n"
    page = PAGE.read_text().partition(HEADING)[0]
    PAGE.write_text(page + HEADING + "\n" + HEAD + "\n".join(lines) + tail + "\n" + arithmetic.section())
    return missed
