"""Who runs a trial: a locked file per trial, which its processes inherit.

The driver locks the file before the trial's process exists and hands the open file on to it, so at no moment does a
running trial look as if nobody ran it. The lock ends with the last of both, however they end. Over a network, where
locks may be local to a machine, a trial of another machine counts as gone only if besides nobody has touched its file
for a while.
"""

from __future__ import annotations

import json
import os
import time
from typing import TYPE_CHECKING, Any

from monitor.runs.processes import process
from monitor.runs.status import HEARTBEAT_TIMEOUT_S
from monitor.runs.trials.trial import TRIALS_FOLDER
from monitor.sweeps.locks import lock

if TYPE_CHECKING:
    from pathlib import Path


class Claim:
    """The file of a trial, opened.

    Attributes:
        descriptor: of the file; a process that inherits it keeps the lock.
        owner: what the file says: `driver` and `process`, the identities of both, and `deaths`, how often the trial's
            process was killed.
    """

    def __init__(self, folder: Path, trial: int) -> None:
        """Open the file, and make it if there is none. Raises `OSError`."""
        self._path = folder / TRIALS_FOLDER / f"{trial}.lock"
        self.descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        self.owner: dict[str, Any] = {}
        self.read()

    def read(self) -> None:
        """Read what the file says; half a line, which a dying driver left, says nothing."""
        try:
            owner = json.loads(os.pread(self.descriptor, 2**16, 0))
        except ValueError:
            owner = {}
        self.owner = owner if isinstance(owner, dict) else {}

    def write(self, **owner: Any) -> None:
        """Say more about who runs the trial. Raises `OSError`."""
        self.owner |= owner
        line = json.dumps(self.owner).encode() + b"\n"
        os.pwrite(self.descriptor, line, 0)
        os.ftruncate(self.descriptor, len(line))

    def take(self) -> bool:
        """Lock the file for this driver; return false if the trial is running, or may be."""
        if not lock(self.descriptor, self._path):
            return False
        driver = self.owner.get("driver") or {}
        if driver.get("machine") not in (None, process.machine()) and time.time() - self._touched < HEARTBEAT_TIMEOUT_S:
            return False  # closing the file unlocks it
        self.write(driver=process.identity())
        return True

    def try_lock(self) -> bool:
        """Lock the file if no process holds it; return whether this did."""
        return lock(self.descriptor, self._path)

    def adopt(self) -> bool:
        """Take the place of a driver of this machine that is gone, while the trial runs; return whether this did."""
        driver = self.owner.get("driver")
        if process.is_alive(driver) is not False:
            return False
        self.write(driver=process.identity())
        return True

    @property
    def is_ours(self) -> bool:
        """Whether this driver still has the trial: another machine takes it if this one was not to be seen."""
        self.read()
        return bool(self.owner.get("driver") == process.identity())

    @property
    def pid(self) -> int | None:
        """The number of the trial's first process, which may be gone; None if its driver died before it could say."""
        known = self.owner.get("process")
        pid = known.get("pid") if isinstance(known, dict) and known.get("machine") == process.machine() else None
        return pid if isinstance(pid, int) else None

    @property
    def deaths(self) -> int:
        """How often the trial's process was killed while its driver lived."""
        deaths = self.owner.get("deaths")
        return deaths if isinstance(deaths, int) else 0

    @property
    def _touched(self) -> float:
        return os.fstat(self.descriptor).st_mtime

    def touch(self) -> None:
        """Show other machines that this one is there."""
        os.utime(self.descriptor)

    def close(self) -> None:
        """Close the file; the lock stays with the trial's process, if there is one."""
        os.close(self.descriptor)
