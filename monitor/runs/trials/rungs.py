"""What runs tell their peers about rungs: one empty file for each run and rung, whose name holds the value.

A file is there or it is not, and no process writes to another's, so a SIGKILL leaves nothing half written, and neither
locks nor appends are needed, which shared disks do not always keep. Reading a rung is listing one folder.
"""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from typing import TYPE_CHECKING
from urllib.parse import quote

from monitor.machine.files import atomic_write

if TYPE_CHECKING:
    from pathlib import Path

RUNGS_FOLDER = "rungs"  # in the folder of a sweep
MAX_NAME_CHARS = 120  # of the part of a file's name that tells whose it is
_ENDS, _BASE = "ends", "base"


class Rungs:
    """The rungs that the runs of a sweep have completed. All methods but the constructor block, and raise `OSError`."""

    def __init__(self, folder: Path, run: str) -> None:
        """Prepare for `run`, a name that tells it from its peers; `folder` is that of the sweep."""
        self._folder = folder / RUNGS_FOLDER
        name = quote(run, safe="")
        is_long = len(name) > MAX_NAME_CHARS or name.startswith(".")
        self._own = hashlib.sha256(run.encode("utf-8", "surrogatepass")).hexdigest() if is_long else name

    def completed(self) -> int:
        """Return how many rungs the run has completed."""
        rung = 0
        while self._own in self._read(str(rung)):
            rung += 1
        return rung

    def add(self, rung: int, value: float) -> None:
        """Tell the value with which the run completes a rung."""
        self._write(str(rung), repr(float(value)))

    def others(self, rung: int) -> list[float]:
        """Return the values with which other runs have completed a rung."""
        return [value for run, value in self._read(str(rung)).items() if run != self._own]

    def add_end(self, resource: int) -> None:
        """Tell the resource at the last value of a run that has finished."""
        self._write(_ENDS, str(resource))

    def base(self) -> int | None:
        """Return the resource of the first rung where it is not set: a hundredth of the longest finished run's.

        It is estimated once, as soon as a run has finished, and is the same for all runs from then on. None before.
        """
        path = self._folder / _BASE
        with suppress(FileNotFoundError, ValueError):
            return max(1, int(path.read_bytes()))
        ends = self._read(_ENDS).values()
        if not ends:
            return None
        part = path.with_name(f".{_BASE}.{self._own}")
        atomic_write(part, str(max(int(max(ends)) // 100, 1)))
        try:
            os.link(part, path)  # unlike a write, it fails if another run was first
        except FileExistsError:
            pass
        except OSError:  # the disk has no hard links
            part.replace(path)
        part.unlink(missing_ok=True)
        return max(1, int(path.read_bytes()))

    def _write(self, folder: str, value: str) -> None:
        path = self._folder / folder / f"{self._own} {value}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()

    def _read(self, folder: str) -> dict[str, float]:
        """Return the values in a folder by run; what is no file of ours does not count."""
        try:
            names = os.listdir(self._folder / folder)  # noqa: PTH208 - the names are all that is needed
        except FileNotFoundError:
            return {}
        found: dict[str, float] = {}
        for name in sorted(names):
            run, _, value = name.rpartition(" ")
            with suppress(ValueError):
                number = float(value)
                if run and number == number:  # NaN is never told
                    found[run] = number
        return found
