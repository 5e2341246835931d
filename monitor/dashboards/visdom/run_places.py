"""Where the runs of a log directory have the windows of their envs, or the event files to make them from."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from monitor.dashboards.visdom.env_store import fits_page
from monitor.events.files import event_files, runs_under
from monitor.runs.run_file import parse_time
from monitor.runs.status import RunStatus
from monitor.sinks.visdom.windows import clean_env_name

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from monitor.runs.listing import RunInfo
    from monitor.runs.listing.found_runs import FoundRuns

SAVED_FOLDER = "visdom"  # in the directory of a run, and of a group of runs
CLOCK_STEP_S = 1.0  # of file systems, at most
FOREIGN_QUIET_S = 60.0  # a run of another program whose event files changed more recently may be running


@dataclass(frozen=True)
class RunPlace:
    """One run, or one page of a run or of a group of runs.

    Attributes:
        path: its directory.
        saved: the file with its windows; None if there is none, or if the event files have more.
        start: when the run started, in seconds since the epoch, as far as that is known.
        changed: when its files last changed.
        is_running: whether it goes on.
    """

    path: Path
    saved: Path | None
    start: float
    changed: float
    is_running: bool


def find_places(logdir: Path, runs: FoundRuns) -> dict[str, RunPlace]:
    """Return the runs under a log directory by the names of their envs, the newest first. Reads no event file.

    `runs` are those of ours, which it reads again where they have changed.

    Where two envs have the same name, the older one has that of its folder before it.
    """
    found = sorted(_places(logdir, runs), key=lambda item: -item[1].start)
    places: dict[str, RunPlace] = {}
    for given, place in found:
        name = given
        if name in places and places[name].path != place.path:
            name = clean_env_name(".".join([*place.path.relative_to(logdir).parts[:-1], given]))
        places.setdefault(name, place)
    return places


def _places(logdir: Path, runs: FoundRuns) -> Iterator[tuple[str, RunPlace]]:
    own = runs(0) if logdir.is_dir() else []
    taken, groups = {run.path for run in own}, set()
    for run in own:
        groups.add(run.path.parent)
        yield from _of_run(logdir, run.path, run)
    for path in runs_under(logdir).values() if logdir.is_dir() else ():
        if taken.isdisjoint([path, *path.parents]):
            yield from _of_run(logdir, path, None)
    for group in groups - taken:  # pages of several runs, such as a comparison
        for file in _saved_pages(group):
            changed = _changed(file)
            yield file.stem, RunPlace(group, file, changed, changed, is_running=False)


def _of_run(logdir: Path, path: Path, run: RunInfo | None) -> Iterator[tuple[str, RunPlace]]:
    logged = max(map(_changed, event_files(path)), default=0.0)
    start = run and parse_time(run.fields.get("start"))
    is_running = run.status is RunStatus.RUNNING if run else time.time() - logged < FOREIGN_QUIET_S
    saved = _saved_pages(path)
    for file in saved:
        changed = _changed(file)
        current = file if changed + CLOCK_STEP_S >= logged else None
        yield file.stem, RunPlace(path, current, start or logged, max(changed, logged), is_running)
    if not saved:
        name = clean_env_name(".".join(path.relative_to(logdir).parts) or path.name)
        yield name, RunPlace(path, None, start or logged, logged, is_running)


def _saved_pages(folder: Path) -> list[Path]:
    with suppress(OSError):
        return sorted(file for file in (folder / SAVED_FOLDER).glob("*.json") if fits_page(file.stem))
    return []


def _changed(file: Path) -> float:
    with suppress(OSError):
        return file.stat().st_mtime
    return 0.0
