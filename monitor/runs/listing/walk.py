"""Find the runs of a log directory: the directories with a `run.json`, at any depth."""

from __future__ import annotations

import os
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from monitor.runs.run_file import RUN_FILE

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_NESTED_DEPTH = 4  # levels below a run where another one is found
MAX_FOLDERS_WITHOUT_RUN = 1000  # that the search below a run looks into in a row


@dataclass
class _Nested:
    """The search below a run."""

    folders_left: int = MAX_FOLDERS_WITHOUT_RUN


def run_folders(logdir: Path) -> Iterator[Path]:
    """Yield the directories with a `run.json`, the upper ones first. No link is followed."""
    waiting: deque[tuple[str, int, _Nested | None]] = deque([(os.fspath(logdir), 0, None)])
    while waiting:
        folder, depth, nested = waiting.popleft()  # depth: below the run whose search this is
        if nested is not None and not nested.folders_left:
            continue
        is_run, below = _look_into(folder)
        if is_run:
            yield Path(folder)
            if nested is not None:
                nested.folders_left = MAX_FOLDERS_WITHOUT_RUN
            depth, nested = 0, _Nested()
        elif nested is not None:
            nested.folders_left -= 1
        if nested is None:
            waiting.extend((entry.path, 0, None) for entry in below)
        elif depth < MAX_NESTED_DEPTH:
            waiting.extend((entry.path, depth + 1, nested) for entry in below if not entry.name.startswith("."))


def _look_into(folder: str) -> tuple[bool, list[os.DirEntry[str]]]:
    """Return whether a directory has a `run.json`, and the directories in it, sorted by name."""
    is_run, below = False, []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    below.append(entry)
                elif entry.name == RUN_FILE:
                    is_run = True
    except OSError:  # it is gone, or not ours to read
        pass
    return is_run, sorted(below, key=lambda entry: entry.name)
