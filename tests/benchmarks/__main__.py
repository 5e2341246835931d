"""`make bench`: one table, printed and written to `docs/benchmarks.md`."""

from __future__ import annotations

import os
import platform
import sys
from datetime import date
from pathlib import Path

import torch

from monitor.runs.environment import versions
from tests.benchmarks import calls, loops, scale, wholes
from tests.benchmarks.measure import COLUMNS, Row

PAGE = Path(__file__).parents[2] / "docs" / "benchmarks.md"
HEAD = """# Benchmarks

Written by `make bench`. Each figure is a ratio of medians from repeats that took turns in one run; on another machine,
or on a busy one, the times differ and the ratios less so. The loop rows are medians of the ratios of
neighbours, for loops of some 3 s; single pairs spread by some per cent, so a row that is close to its bound is reached
in the median, not in each pair.
"""


def main() -> int:
    """Measure everything, write the page, and return how many bounds were missed."""
    found: list[Row] = []
    for part in (calls.rows, scale.import_rows, loops.rows, scale.rows, wholes.rows):
        for row in part():
            print(f"{'reached' if row.reached else 'MISSED '}  {row.what}: {row.found}  (must: {row.must})", flush=True)
            found.append(row)
    found.sort(key=lambda row: row.reached)
    lines = [f"| what | must reach | found | | {' | '.join(COLUMNS)} |", "| --- " * (4 + len(COLUMNS)) + "|"]
    for r in found:
        costs = " | ".join(r.costs.get(column, "") for column in COLUMNS)
        lines.append(f"| {r.what} | {r.must} | {r.found} | {'reached' if r.reached else '**missed**'} | {costs} |")
    packages = ", ".join(f"{name} {version}" for name, version in versions().items())
    machine = f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()} {platform.release()}"
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    tail = f"\nMeasured on {date.today().isoformat()}: {machine}, {gpu}; {packages}.\n"
    PAGE.write_text(HEAD + "\n" + "\n".join(lines) + "\n" + tail)
    return sum(not row.reached for row in found)


if __name__ == "__main__":
    sys.exit(main())
