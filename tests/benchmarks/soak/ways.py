"""How each fault is done to a slot, and how it ends. SIGKILL to the training is in `slot`: there, a run ends."""

from __future__ import annotations

import itertools
import resource
import signal
import subprocess
import time
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.benchmarks.soak.plan import Fault
    from tests.benchmarks.soak.slot import Slot

    Act = Callable[[Slot, Fault], None]

SIGNALS, AT_ONCE = 400, 8  # of one fault, without a pause
DAY_S = 86400.0


class Way(NamedTuple):
    """How a fault begins, and how it ends."""

    begin: Act
    mend: Act


def nothing(_slot: Slot, _fault: Fault) -> None:
    """Do nothing: this fault is over when it has begun."""


def to_training(number: int) -> Act:
    """Return what sends a signal to the training."""
    return lambda slot, _: slot.training.signal(number)


def to_visdom(number: int) -> Act:
    """Return what sends a signal to the Visdom server."""

    def send(slot: Slot, _fault: Fault) -> None:
        assert slot.server.served is not None
        slot.server.served.process.send_signal(number)

    return send


def send_signals(slot: Slot, fault: Fault) -> None:
    """Send a burst of signals, over the length of the fault, while the training logs and flushes."""
    for number in range(SIGNALS // AT_ONCE):
        if number % 10 == 0:
            slot.training.tell("flush")
        for _ in range(AT_ONCE):  # one may arrive while the handler of another runs
            slot.training.signal(signal.SIGUSR1)
        time.sleep(fault.length * AT_ONCE / SIGNALS)
    slot.training.ask("flush")


def step_clock(slot: Slot, fault: Fault) -> None:
    """Let the training's clock jump by a day."""
    slot.training.ask("clock", seconds=DAY_S if fault.chance < 0.5 else -DAY_S)


def limit_file_size(slot: Slot, fault: Fault) -> None:
    """Let no file of the training grow further than a bit."""
    size = max(file.stat().st_size for file in slot.training.path.iterdir())
    set_limit(slot, size + int(fault.chance * 1000))


def set_limit(slot: Slot, size: int) -> None:
    """Set the size that a file of the training may grow to."""
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    resource.prlimit(slot.training.process.pid, resource.RLIMIT_FSIZE, (size, hard))


def move_aside(slot: Slot, _fault: Fault) -> None:
    """Rename the run directory."""
    slot.training.path.rename(slot.logdir / "aside")


_numbers = itertools.count(1)  # a run may be moved several times


def move_back(slot: Slot, _fault: Fault) -> None:
    """Rename the run directory back. Where the run has made it again meanwhile, that one is moved away."""
    path = slot.training.path
    while True:
        try:
            (slot.logdir / "aside").rename(path)
        except OSError:
            path.rename(slot.logdir / f"made again {next(_numbers)}")
        else:
            return


def fill(path: Path) -> None:
    """Fill the disk to its last byte."""
    with path.open("wb", buffering=0) as file:
        for size in (2**20, 2**12, 1):
            try:
                while file.write(bytes(size)):
                    pass
            except OSError:
                continue


def mount(*arguments: str) -> None:
    """Mount a file system."""
    subprocess.run(["mount", *arguments], check=True)


def unmount(path: Path) -> None:
    """Unmount a file system, whoever uses it."""
    subprocess.run(["umount", "-l", str(path)], check=True)


CUT = Way(lambda slot, fault: slot.network.cut(fault.cut), lambda slot, _: slot.network.mend())
WAYS = {
    "training stopped": Way(to_training(signal.SIGSTOP), to_training(signal.SIGCONT)),
    "Visdom stopped": Way(to_visdom(signal.SIGSTOP), to_visdom(signal.SIGCONT)),
    "Visdom killed": Way(lambda slot, _: slot.server.stop(), lambda slot, _: slot.server.start()),
    "network refuse": CUT,
    "network stall": CUT,
    "network reset": CUT,
    "signals": Way(send_signals, nothing),
    "clock stepped": Way(step_clock, nothing),
    "disk full": Way(lambda slot, _: fill(slot.disk / "ballast"), lambda slot, _: (slot.disk / "ballast").unlink()),
    "file size limit": Way(limit_file_size, lambda slot, _: set_limit(slot, resource.RLIM_INFINITY)),
    "file system unmounted": Way(
        lambda slot, _: unmount(slot.logdir),
        lambda slot, _: mount("--bind", str(slot.disk), str(slot.logdir)),
    ),
    "directory moved": Way(move_aside, move_back),
}
