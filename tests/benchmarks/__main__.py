"""`make bench`: two tables, printed and written to `docs/benchmarks.md`; with `SECTION=faults`, the second alone.

`SECTION=scale` measures what is in `docs/scale.md`.

What comes after them on the page stays: the results of other projects' test suites.
"""

from __future__ import annotations

import os
import platform
import sys
from datetime import date
from pathlib import Path

import torch

from monitor.runs.processes.environment import versions
from tests.benchmarks import at_scale, calls, faults, loops, scale, serving, throughput, wholes
from tests.benchmarks.measure import COLUMNS, Row

SUITES = "## Other projects' test suites"
PAGE = Path(__file__).parents[2] / "docs" / "benchmarks.md"
HEAD = """# Benchmarks

Written by `make bench`. Each number is a ratio of medians over repeats that alternate within one run. On another or a
busy machine, the times differ, the ratios less so. The loop rows are medians of the ratios of adjacent pairs of loops,
each about 3 s long; half of the pairs lie between the two numbers in parentheses. A row that is close to its bound is
reached in the median, not in every pair.
"""


def main() -> int:
    """Measure everything, or the section that is named; write the page, and return how many bounds were missed."""
    if sys.argv[1:] == ["scale"]:
        return at_scale.write()
    page, heading, suites = PAGE.read_text().partition(SUITES)
    suites = "\n" + heading + suites if heading else ""
    if sys.argv[1:] == ["faults"]:
        text, missed = faults.section()
        PAGE.write_text(page.partition("## Faults")[0].rstrip() + "\n\n" + text + suites)
        return missed
    found: list[Row] = []
    parts = (
        calls.rows, throughput.rows, scale.import_rows, serving.rows, loops.rows, scale.rows, wholes.rows
    )  # fmt: skip
    for part in parts:
        for row in part():
            print(
                f"{'reached' if row.reached else 'MISSED '}  {row.what}: {row.found}  (bound: {row.must})", flush=True
            )
            found.append(row)
    found.sort(key=lambda row: row.reached)
    lines = [f"| what | bound | found | | {' | '.join(COLUMNS)} |", "| --- " * (4 + len(COLUMNS)) + "|"]
    for r in found:
        costs = " | ".join(r.costs.get(column, "") for column in COLUMNS)
        lines.append(f"| {r.what} | {r.must} | {r.found} | {'reached' if r.reached else '**missed**'} | {costs} |")
    packages = ", ".join(f"{name} {version}" for name, version in versions().items())
    machine = f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()} {platform.release()}"
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    tail = f"\nMeasured on {date.today().isoformat()}: {machine}, {gpu}; {packages}.\n"
    text, missed = faults.section()
    PAGE.write_text(HEAD + "\n" + "\n".join(lines) + "\n" + tail + "\n" + text + suites)
    return missed + sum(not row.reached for row in found) + at_scale.write()


if __name__ == "__main__":
    sys.exit(main())
