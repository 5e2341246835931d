"""A log directory reduced to the runs that are asked for: a folder of links, which TensorBoard serves in its place.

The runs keep their names. The folder follows the log directory: runs that match appear, and runs that no longer do
leave. It has links, and the small files of reduced runs; nothing is written into the log directory.
"""

from __future__ import annotations

import fcntl
import logging
import os
import shutil
import tempfile
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from monitor.dashboards.tensorboard.reduced_run import ReducedRun, reduce_run
from monitor.events.media.projector import CONFIG_NAME

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

log = logging.getLogger("monitor")

PREFIX = "monitor-view-"
LOCK_FILE = "lock"  # held by the process whose folder it is
INTERVAL_S = 2.0  # between two looks at the log directory
SHARE = 0.05  # of the time that the looks take at most
ABSENCE_S = 12.0  # of a run that is made anew: TensorBoard, which looks every 5 s, has forgotten it by then


class Choice(NamedTuple):
    """The runs of a log directory.

    Attributes:
        runs: the directories of all of them.
        chosen: of those to show.
    """

    runs: Sequence[Path]
    chosen: Sequence[Path]


@dataclass
class _Shown:
    """A run that is shown.

    Attributes:
        folder: where its links are.
        links: what they lead to, by name.
        reduced: its small event file, if it has one.
    """

    folder: Path
    links: dict[str, Path] = field(default_factory=dict)
    reduced: ReducedRun | None = None


class RunView:
    """The folder of links. Use `update` once before TensorBoard starts, and `follow` on a thread then.

    Attributes:
        folder: what TensorBoard is to serve.
        found: the runs at the last look.
    """

    def __init__(self, logdir: Path, find: Callable[[], Choice], *, full: bool = False) -> None:
        """Make the folder, and remove those that killed processes left. Raises `OSError`.

        Args:
            logdir: the log directory.
            find: returns its runs, with paths below `logdir`. May block.
            full: show large runs as they are, too.
        """
        self._logdir, self._find, self._full = logdir, find, full
        _remove_abandoned()
        self._root = Path(tempfile.mkdtemp(prefix=PREFIX))
        self._lock = os.open(self._root / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        with suppress(OSError):  # a file system without locks
            fcntl.flock(self._lock, fcntl.LOCK_SH)
        self.folder = self._root / "runs"
        self.folder.mkdir()
        self.found = Choice((), ())
        self._shown: dict[Path, _Shown] = {}
        self._returns: dict[Path, float] = {}  # when runs that are made anew are shown again, on the monotonic clock
        self._stop = threading.Event()
        self._problem = ""

    @property
    def reduced(self) -> int:
        """How many of the shown runs are reduced."""
        return sum(shown.reduced is not None for shown in self._shown.values())

    def update(self) -> None:
        """Look at the log directory, and make the folder show what is to be shown. Blocks; raises `OSError`."""
        self.found = self._find()
        chosen = dict.fromkeys(self.found.chosen)
        above = _with_folders_above(self.found.runs)
        for run, shown in list(self._shown.items()):
            if run not in chosen:
                self._remove(run)
            elif not _is_followed(shown):
                self._remove(run)
                self._returns[run] = time.monotonic() + ABSENCE_S
            else:
                self._link(run, shown, above)
        for run in chosen:
            if run not in self._shown and time.monotonic() >= self._returns.get(run, 0.0):
                with suppress(OSError):  # it is gone, or not ours to read; the next look tells
                    self._show(run, above)

    def follow(self) -> None:
        """Keep the folder up to date until `close`. Blocks; never raises."""
        pause = 0.0
        while not self._stop.wait(pause):
            began = time.monotonic()
            try:
                for shown in self._shown.values():
                    if shown.reduced is not None:
                        with suppress(OSError):
                            shown.reduced.copy_others(self._stop)
                if pause and not self._stop.is_set():
                    self.update()
            except Exception as error:
                if str(error) != self._problem:
                    self._problem = str(error)
                    log.warning("the view of %s is not up to date: %s", self._logdir, error)
            pause = max(INTERVAL_S, (time.monotonic() - began) / SHARE)

    def stop(self) -> None:
        """Let `follow` return soon."""
        self._stop.set()

    def close(self) -> None:
        """Remove the folder. Idempotent."""
        self.stop()
        shutil.rmtree(self._root, ignore_errors=True)  # which follows no links
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def _show(self, run: Path, above: Mapping[str, bool]) -> None:
        folder = self.folder / run.relative_to(self._logdir)
        if any(path.is_symlink() for path in (folder, *folder.parents) if path.is_relative_to(self.folder)):
            return  # what is made there would be in the log directory
        folder.mkdir(parents=True, exist_ok=True)
        shown = _Shown(folder, reduced=None if self._full else reduce_run(run, folder))
        self._shown[run] = shown
        self._link(run, shown, above)

    def _link(self, run: Path, shown: _Shown, above: Mapping[str, bool]) -> None:
        """Make the links of a run be those to what it has now."""
        wanted = dict(_entries(str(run), above, is_reduced=shown.reduced is not None))
        for name in shown.links.keys() - wanted.keys():
            _unlink(shown, name)
            del shown.links[name]
        for name, target in wanted.items():
            if name not in shown.links:
                with suppress(FileExistsError):
                    (shown.folder / name).parent.mkdir(parents=True, exist_ok=True)
                    (shown.folder / name).symlink_to(target)
                    shown.links[name] = target

    def _remove(self, run: Path) -> None:
        """Remove what is shown of a run, and folders that are empty then."""
        shown = self._shown.pop(run)
        for name in shown.links:
            _unlink(shown, name)
        if shown.reduced is not None:
            shown.reduced.remove()
        for folder in (shown.folder, *shown.folder.parents):
            if folder == self.folder:
                return
            try:
                folder.rmdir()
            except OSError:  # it has another run
                return


def _unlink(shown: _Shown, name: str) -> None:
    """Remove a link, and folders of the run that are empty then."""
    path = shown.folder / name
    path.unlink(missing_ok=True)
    with suppress(OSError):  # one has something else
        for folder in path.parents:
            if folder == shown.folder:
                return
            folder.rmdir()


def _is_followed(shown: _Shown) -> bool:
    """Bring a reduced run up to date; tell whether it can be shown further as it is."""
    try:
        return shown.reduced is None or shown.reduced.follow()
    except OSError:
        return False


def _entries(folder: str, above: Mapping[str, bool], *, is_reduced: bool, name: str = "") -> Iterator[tuple[str, Path]]:
    """Yield what TensorBoard may read of a run, by its path in the run, but nothing of the other runs in it."""
    try:
        with os.scandir(folder) as entries:
            found = list(entries)
    except OSError:  # it is gone
        return
    for entry in found:
        is_events = "tfevents" in entry.name and not is_reduced
        if entry.is_dir():
            is_run = above.get(entry.path)
            if is_run is None and not entry.name.startswith("."):
                yield name + entry.name, Path(entry.path)
            elif is_run is False:  # a link to it would lead to the run in it
                yield from _entries(entry.path, above, is_reduced=False, name=f"{name}{entry.name}/")
        elif (is_events or entry.name == CONFIG_NAME) and entry.is_file():
            yield name + entry.name, Path(entry.path)


def _with_folders_above(runs: Sequence[Path]) -> dict[str, bool]:
    """Return the directories of runs, and all folders that have one in them, which are false."""
    found: dict[str, bool] = {}
    for run in runs:
        path = str(run)
        while path not in found:
            found[path] = False
            path = os.path.dirname(path)  # noqa: PTH120 - many times faster, and there may be many runs
    return found | {str(run): True for run in runs}


def _remove_abandoned() -> None:
    """Remove the folders of processes that were killed."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with suppress(OSError):
            found = folder.lstat()
            if found.st_uid != os.getuid() or folder.is_symlink():
                continue
            lock = os.open(folder / LOCK_FILE, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(lock)
