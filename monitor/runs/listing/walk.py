"""Find the runs of a log directory: the directories with a `run.json`, and those with event files alone."""

from __future__ import annotations

import os
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from monitor.runs.run_file import RUN_FILE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MAX_NESTED_DEPTH = 4  # levels below a run where another one is found
MAX_FOLDERS_WITHOUT_RUN = 1000  # that the search below a run looks into in a row


class Folder(NamedTuple):
    """What a directory holds.

    Attributes:
        is_run: whether it has a `run.json`.
        event_files: the names of its event files.
        below: the names of the directories in it, sorted. Links do not count.
    """

    is_run: bool
    event_files: tuple[str, ...]
    below: tuple[str, ...]


@dataclass
class _Nested:
    """The search below a run."""

    folders_left: int = MAX_FOLDERS_WITHOUT_RUN


def look_into(path: str) -> Folder:
    """Read a directory. One that is gone, or not ours to read, is empty."""
    is_run, event_files, below = False, [], []
    try:
        with os.scandir(path) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    below.append(entry.name)
                elif entry.name == RUN_FILE:
                    is_run = True
                elif "tfevents" in entry.name and entry.is_file():
                    event_files.append(entry.name)
    except OSError:
        pass
    return Folder(is_run, tuple(sorted(event_files)), tuple(sorted(below)))


def walk(logdir: str, look: Callable[[str], Folder]) -> Iterator[tuple[str, Folder]]:
    """Yield the directories of runs, the upper ones first: those of ours, and outside of these those with event files.

    Runs may be at any depth. One may be in the directory of another, up to four levels below it, unless a directory
    between them is hidden; the search below a run ends at 1,000 directories in a row without another one. `look` reads
    a directory. No link is followed.
    """
    waiting: deque[tuple[str, int, _Nested | None]] = deque([(logdir, 0, None)])
    while waiting:
        path, depth, nested = waiting.popleft()  # depth: below the run whose search this is
        if nested is not None and not nested.folders_left:
            continue
        folder = look(path)
        if folder.is_run:
            yield path, folder
            if nested is not None:
                nested.folders_left = MAX_FOLDERS_WITHOUT_RUN
            depth, nested = 0, _Nested(MAX_FOLDERS_WITHOUT_RUN)
        elif nested is not None:
            nested.folders_left -= 1
        elif folder.event_files:
            yield path, folder
        prefix = path if path.endswith(os.sep) else path + os.sep
        if nested is None:
            waiting.extend((prefix + name, 0, None) for name in folder.below)
        elif depth < MAX_NESTED_DEPTH:
            waiting.extend((prefix + name, depth + 1, nested) for name in folder.below if not name.startswith("."))
