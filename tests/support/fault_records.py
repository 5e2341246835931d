"""The faults that tests do, and what they recorded of them, for the table in `docs/guarantees.md`.

A test records with the fixture `record_fault`, a soak with `append`. Both write to the file that MONITOR_FAULTS names.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable

VARIABLE = "MONITOR_FAULTS"
PAGE = Path(__file__).parents[2] / "docs" / "guarantees.md"
BEGIN, END = "<!-- faults: written by make guarantees -->", "<!-- end of faults -->"
COLUMNS = ("fault", "how it is done", "times", "values logged", "values lost")

# By name: how each fault is done.
FAULTS = {
    "SIGKILL": "at a random moment of the training; values older than one second count",
    "SIGKILL, then resumed": "at a random moment of the training, which is then resumed from its last checkpoint",
    "SIGKILL, then a new run": "at a random moment of the training, and another run is started",
    "SIGTERM": "at a random moment, with a handler that raises SystemExit or closes the logger",
    "SIGINT": "at a random moment, or at the end of the loop",
    "exception": "raised in the loop, with and without a `with` block",
    "sys.exit": "in the loop, with and without a `with` block",
    "no close": "the program ends and never closes its logger",
    "close with a backlog": "the loop logs 10,000 steps at full speed, then the logger is closed",
    "signals in bursts": "hundreds of SIGUSR1 whose handler calls `log.stats()`, while the training logs and flushes",
    "training stopped": "SIGSTOP to the training process, later SIGCONT",
    "clock stepped": "the clock of the process jumps by a day, forward and back",
    "disk full": "a tmpfs is filled to its last byte, and later freed",
    "file size limit": "RLIMIT_FSIZE keeps the event file from growing, and is later lifted",
    "disk read-only": "the file system is remounted read-only, and later writable",
    "no file descriptors": "RLIMIT_NOFILE is used up, and descriptors are later freed",
    "directory removed": "the run directory is deleted during the run",
    "directory moved": "the run directory is renamed, and later renamed back",
    "file system unmounted": "the file system of the run is unmounted lazily, and later mounted again",
    "Visdom killed": "SIGKILL to the Visdom server, and a new server on its port",
    "Visdom stopped": "SIGSTOP to the Visdom server, later SIGCONT",
    "network refuses": "a proxy in front of Visdom resets all connections and takes no new ones",
    "network stalls": "a proxy in front of Visdom passes nothing on",
    "network resets": "a proxy in front of Visdom resets each connection at its first bytes",
    "another sink fails": "it hangs, sleeps, raises at every call or at every third, or raises at its close",
    "data loader worker dies": "a worker process of a `DataLoader` ends with `os._exit`",
}
# The names that the soak has for some of them.
SOAK_NAMES = {
    "signals": "signals in bursts",
    "network refuse": "network refuses",
    "network stall": "network stalls",
    "network reset": "network resets",
    "end: backlog": "close with a backlog",
    "end: exit": "sys.exit",
    "end: exception": "exception",
    "end: SIGINT": "SIGINT",
    "end: SIGTERM": "SIGTERM",
}
# Faults in which values may be lost so far, as the page says.
NOT_PROMISED: set[str] = set()


class Record(NamedTuple):
    """What a test or a soak found after it had done a fault so many times."""

    fault: str
    times: int
    logged: int
    lost: int


class RecordFault(Protocol):
    """Record that a fault was done."""

    def __call__(self, fault: str, *, logged: int, found: int, times: int = 1) -> None:
        """`logged`: the values that must be there; `found`: those that are."""


def record(fault: str, *, logged: int, found: int, times: int = 1) -> None:
    """Record that a fault was done: `logged` values must be there, `found` are."""
    append([Record(fault, times, logged, max(0, logged - found))])


def append(records: Iterable[Record]) -> None:
    """Append to the file that MONITOR_FAULTS names, if it does. Raises `KeyError` for a fault that is not listed."""
    records = list(records)
    if unknown := {r.fault for r in records} - set(FAULTS):
        raise KeyError(f"not in FAULTS: {unknown}")
    lines = "".join(json.dumps(r._asdict()) + "\n" for r in records)
    if path := os.environ.get(VARIABLE):
        with Path(path).open("a") as file:  # one write, so that processes can share the file
            file.write(lines)


def table(records: Iterable[Record]) -> str:
    """Return the table over all records, in the order of `FAULTS`."""
    sums = {name: Record(name, 0, 0, 0) for name in FAULTS}
    for r in records:
        before = sums[r.fault]
        sums[r.fault] = Record(r.fault, before.times + r.times, before.logged + r.logged, before.lost + r.lost)
    lines = [f"| {' | '.join(COLUMNS)} |", "| --- " * len(COLUMNS) + "|"]
    lines += [
        f"| {name} | {FAULTS[name]} | {r.times:,} | {r.logged:,} | {r.lost:,} |" for name, r in sums.items() if r.times
    ]
    return "\n".join(lines)


def rows(page: str) -> dict[str, Record]:
    """Return the rows of the table in the page, by fault."""
    lines = page.partition(BEGIN)[2].partition(END)[0].strip().splitlines()[2:]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {row[0]: Record(row[0], *(int(cell.replace(",", "")) for cell in row[2:])) for row in cells}


def main(path: str) -> None:
    """Write the table of the records in `path` into the page."""
    records = [Record(**json.loads(line)) for line in Path(path).read_text().splitlines()]
    before, _, rest = PAGE.read_text().partition(BEGIN)
    after = rest.partition(END)[2]
    PAGE.write_text(f"{before}{BEGIN}\n\n{table(records)}\n\n{END}{after}")
    print(table(records))


if __name__ == "__main__":
    main(sys.argv[1])
