"""Where event files are: those of one run, and the runs under a folder."""

from __future__ import annotations

import os
from pathlib import Path


def event_files(run: Path) -> list[Path]:
    """Return the event files of one run in their order; `run` may be such a file itself."""
    if run.is_file():
        return [run]
    try:
        return sorted(entry for entry in run.iterdir() if "tfevents" in entry.name and entry.is_file())
    except OSError:
        return []


def event_bytes(run: Path) -> int:
    """Return the size of all event files of a run. Raises `OSError`."""
    return sum(path.stat().st_size for path in event_files(run))


def runs_under(path: Path) -> dict[str, Path]:
    """Return the runs under `path`, by the names that TensorBoard gives them: folders that hold event files.

    What is named like an event file but is no regular file, such as a FIFO, does not count.
    """
    if path.is_file():
        return {path.parent.name or path.name: path}
    found = {}
    for folder, below, files in os.walk(path):
        below.sort()
        at = Path(folder)
        if any("tfevents" in name and (at / name).is_file() for name in files):
            found[path.resolve().name if at == path else str(at.relative_to(path))] = at
    return found
