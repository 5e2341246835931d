"""What happens to a run in a round of the soak, decided from the seed alone, so that a round can be repeated."""

from __future__ import annotations

import random
from typing import NamedTuple

from tests.benchmarks.soak.network import CUTS

# How each fault is done, by its name.
FAULTS = {
    "SIGKILL, then resumed": "the process is killed and continued from its last checkpoint",
    "SIGKILL, then a new run": "the process is killed and another run started",
    "training stopped": "SIGSTOP and SIGCONT to the training process",
    "Visdom stopped": "SIGSTOP and SIGCONT to the Visdom server",
    "Visdom killed": "SIGKILL to the Visdom server, and a new one on its port",
    "network refuse": "a proxy in front of Visdom resets all connections and takes no new ones",
    "network stall": "a proxy in front of Visdom passes nothing on",
    "network reset": "a proxy in front of Visdom resets each connection at its first bytes",
    "signals": "a burst of SIGUSR1, whose handler calls log.stats()",
    "clock stepped": "the process's time.time jumps by a day, back or forward",
    "disk full": "a tmpfs is filled to its last byte",
    "file size limit": "RLIMIT_FSIZE of the process stops its event file from growing",
    "file system unmounted": "the file system of the run is unmounted lazily and mounted again",
    "directory moved": "the run directory is renamed, and later renamed back",
}
NEEDS_ROOT = ("disk full", "file system unmounted")
ON_DISK = ("disk full", "file size limit", "file system unmounted", "directory moved")
KILLS = ("SIGKILL, then resumed", "SIGKILL, then a new run")
# By name: how the training ends, its exit status, and the status of its run.
ENDS = {
    "end: close": ("the with block ends", 0, "finished"),
    "end: backlog": ("10,000 steps at full speed, then close", 0, "finished"),
    "end: exit": ("sys.exit(3)", 3, "failed"),
    "end: exception": ("an exception in the loop", 1, "failed"),
    "end: SIGINT": ("SIGINT at any moment", -2, "interrupted"),
    "end: SIGTERM": ("SIGTERM, whose handler raises SystemExit or closes the logger", 143, "killed"),
}


class Fault(NamedTuple):
    """One fault: what it is, the seconds of logging before it, its length in seconds, and a number from 0 to 1."""

    name: str
    delay: float
    length: float
    chance: float

    @property
    def cut(self) -> str:
        """How the network is cut, if it is."""
        return next((cut for cut in CUTS if self.name.startswith(f"network {cut}")), "")


class Plan(NamedTuple):
    """What happens to one run.

    Attributes:
        pace: steps per second.
        faults: one after the other.
        ends_within: whether the training ends while the last fault lasts; never for one of its disk.
        end: how it ends.
        on_sigterm: what its handler of SIGTERM does, `exit` or `close`.
    """

    pace: int
    faults: tuple[Fault, ...]
    ends_within: bool
    end: str
    on_sigterm: str

    def __str__(self) -> str:
        parts = [f"{fault.name} {fault.length:.1f} s" for fault in self.faults]
        return ", ".join(parts) + f", {'within it ' if self.ends_within else ''}{self.end}"


def plan(seed: int, round_number: int, slot: int, faults: tuple[str, ...]) -> Plan:
    """Return what happens to the run in this slot, in this round. All faults come in turn, in a random order."""
    order = list(faults)
    per_cycle = max(1, len(faults) // 3)  # rounds in which the three slots go through all faults
    random.Random(f"{seed}/{round_number // per_cycle}").shuffle(order)
    chance = random.Random(f"{seed}/{round_number}/{slot}")
    names = [order[(3 * (round_number % per_cycle) + slot) % len(order)]]
    names += chance.sample(faults, chance.choice((0, 0, 0, 1, 1, 2)) if len(faults) > 2 else 0)
    made = tuple(Fault(n, chance.uniform(0.3, 2.0), chance.uniform(0.5, 3.0), chance.random()) for n in names)
    can_end_within = made[-1].name.startswith(("Visdom", "network"))
    return Plan(
        pace=chance.choice((50, 200, 500)),
        faults=made,
        ends_within=can_end_within and chance.random() < 0.3,
        end=chance.choice(list(ENDS)),
        on_sigterm=chance.choice(("exit", "close")),
    )
