"""`make soak`: three runs log side by side while one real fault after another is done to each of them.

After each round, everything is looked up. The exit status is 1 if anything was lost; the seed repeats the schedule.
"""

from __future__ import annotations

import argparse
import logging
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from tests.benchmarks.soak.checks import Findings, Leftovers
from tests.benchmarks.soak.plan import ENDS, FAULTS, NEEDS_ROOT, Plan, plan
from tests.benchmarks.soak.slot import Slot
from tests.support import fault_records

if TYPE_CHECKING:
    from collections.abc import Sequence

SLOTS = 3
Table = dict[str, list[Findings]]


def main(arguments: Sequence[str] | None = None) -> int:
    """Soak, and return 1 if something was lost."""
    options = parse(arguments)
    print(f"Seed {options.seed}, {options.seconds:.0f} s; faults: {'; '.join(options.faults)}", flush=True)
    table, problems = soak(options.seconds, options.seed, options.faults, first_round=options.round)
    print(render(table))
    print("A fault may share its run with others; values are those of the runs that it was in.")
    lost = sum(f.lost for f in {id(f): f for findings in table.values() for f in findings}.values())
    print(f"{f'FAILED: {len(problems)} problems' if problems or lost else 'Nothing lost'}. Seed {options.seed}.")
    return 1 if problems or lost else 0


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.soak", description=__doc__)
    seconds = float(os.environ.get("MONITOR_SOAK_S", "3600"))
    parser.add_argument("--seconds", type=float, default=seconds, help="the last round begins before they are over")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--round", type=int, default=0, help="begin with this round, to repeat it")
    parser.add_argument(
        "--faults", type=lambda text: tuple(text.split(";")), default=None, help="names, with semicolons between them"
    )
    options = parser.parse_args(arguments)
    mounts = can_mount()
    options.faults = options.faults or tuple(name for name in FAULTS if mounts or name not in NEEDS_ROOT)
    if unknown := set(options.faults) - set(FAULTS):
        parser.error(f"unknown faults: {'; '.join(unknown)}. There are: {'; '.join(FAULTS)}")
    return options


def soak(seconds: float, seed: int, faults: tuple[str, ...], *, first_round: int = 0) -> tuple[Table, list[str]]:
    """Play rounds until the time is over; return the findings by fault, and all problems in words."""
    table: Table = defaultdict(list)
    problems: list[str] = []
    logging.getLogger("tensorboard").setLevel(logging.ERROR)  # it tells of every restart that it reads
    end, number = time.monotonic() + seconds, first_round
    mounts = bool(set(faults) & set(NEEDS_ROOT))
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        with ThreadPoolExecutor(SLOTS) as pool:
            slots = list(pool.map(partial(Slot, mounts=mounts), [Path(folder) / f"slot{n}" for n in range(SLOTS)]))
        for slot in slots:
            stack.callback(slot.close)
        while number == first_round or time.monotonic() < end:
            plans = [plan(seed, number, index, faults) for index in range(SLOTS)]
            problems += play_round(number, slots, plans, table, Path(folder))
            number += 1
    return table, problems


def play_round(number: int, slots: list[Slot], plans: list[Plan], table: Table, folder: Path) -> list[str]:
    """Play one round in all slots, print a line, and return the problems."""
    began = time.monotonic()
    servers = [slot.server.served for slot in slots]
    leftovers = Leftovers(folder)
    with ThreadPoolExecutor(SLOTS) as pool:
        plays = [partial(slot.play, plan, f"r{number}-{index}") for index, (slot, plan) in enumerate(zip(slots, plans))]
        found = [future.result() for future in [pool.submit(play) for play in plays]]
    problems = [problem for findings in found for problem in findings.problems]
    if [slot.server.served for slot in slots] == servers:  # a restarted server is another process
        problems += leftovers.found()
    for slot in slots:
        slot.clean()
    for findings, one in zip(found, plans):
        for name in dict.fromkeys([*(fault.name for fault in one.faults), one.end]):
            table[name].append(findings)
        fault_records.append(records(findings, one))
    logged, lost, last = (sum(getattr(f, what) for f in found) for what in ("logged", "lost", "last_second"))
    runs = "; ".join(str(one) for one in plans)
    took = time.monotonic() - began
    verdict = "FAILED" if problems or lost else "whole"
    print(
        f"round {number} ({took:.0f} s): {logged:,} values, {lost:,} lost, {last:,} of a last second, {verdict}: {runs}"
    )
    for problem in problems:
        print(f"  {problem}", flush=True)
    sys.stdout.flush()
    return [f"round {number}: {problem}" for problem in problems]


def records(findings: Findings, one: Plan) -> list[fault_records.Record]:
    """Return what goes into the table of guarantees. The faults that promise nothing are blamed first for a loss."""
    names = [fault_records.SOAK_NAMES.get(fault.name, fault.name) for fault in one.faults]
    blamed = set(names) & fault_records.NOT_PROMISED or set(names)
    names += [fault_records.SOAK_NAMES[one.end]] if one.end in fault_records.SOAK_NAMES else []
    return [
        fault_records.Record(name, 1, findings.logged, findings.lost if name in blamed else 0)
        for name in dict.fromkeys(names)
    ]


def render(table: Table) -> str:
    """Return the table, by fault and by end."""
    how = {**FAULTS, **{name: end[0] for name, end in ENDS.items()}}
    lines = [f"{'fault':<24} {'times':>5} {'values logged':>14} {'lost':>8} {'failed':>6}  how"]
    for name in how:
        if found := table.get(name):
            logged, lost = sum(f.logged for f in found), sum(f.lost for f in found)
            failed = sum(bool(f.problems) for f in found)
            lines.append(f"{name:<24} {len(found):>5} {logged:>14,} {lost:>8,} {failed:>6}  {how[name]}")
    return "\n".join(lines)


def can_mount() -> bool:
    """Tell whether this process may mount file systems."""
    with tempfile.TemporaryDirectory() as folder:
        made = subprocess.run(["mount", "-t", "tmpfs", "tmpfs", folder], capture_output=True, check=False)
        if made.returncode:
            return False
        subprocess.run(["umount", folder], check=True)
        return True


if __name__ == "__main__":
    sys.exit(main())
