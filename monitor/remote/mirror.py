"""A local copy of what is in a store, to be read like any log directory; only what has changed is downloaded."""

from __future__ import annotations

import json
import logging
import threading
import time
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from monitor.errors import DataError
from monitor.machine.files import atomic_write, open_regular
from monitor.remote.store import RUN_FILE, Stamp, Store
from monitor.remote.urls import cache_path, cached_url, is_url

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Sequence

STAMPS = ".stamps.json"  # in each folder: which version of each object is there
log = logging.getLogger("monitor")

FOLLOW_INTERVAL_S = 10.0  # between two looks at a store, for a server that shows what is in it
SMALL_BYTES = 2**18  # objects that are downloaded many at once
NOT_READ = "checkpoints"  # folders that only a resumed run needs


def local_name(name: str | os.PathLike[str]) -> str:
    """Return a name of a run as it was given, or for an address the folder of its copy. Raises `DataError`."""
    return str(cache_path(name)) if is_url(name) else str(name)


def refresh_list(folder: Path) -> None:
    """Download what a list of runs needs: each `run.json`, and the event files of runs of other programs.

    Blocks. Does nothing for a folder that is no copy. Raises `StoreError`.
    """
    _refresh(folder, has_curves=False)


def refresh_runs(paths: Iterable[Path]) -> None:
    """Download what has changed in these folders, but no checkpoints.

    Blocks. Does nothing for folders that are no copies. Raises `StoreError`.
    """
    for path in paths:
        _refresh(path, has_curves=True)


def keep_current(folder: Path) -> None:
    """Download what a list needs, and from now on, on a thread until the program ends, all that changes.

    Blocks for the list; raises `StoreError`. Does nothing for a folder that is no copy.
    """
    refresh_list(folder)
    if cached_url(folder) is not None:
        threading.Thread(target=_follow, args=(folder,), name="monitor-mirror", daemon=True).start()


def _follow(folder: Path) -> None:
    problem = ""
    while True:
        try:
            refresh_runs([folder])
            if problem:
                log.info("%s: back", cached_url(folder))
            problem = ""
        except OSError as error:
            if not problem:
                log.warning("%s; what was downloaded is shown", error)
            problem = str(error)
        time.sleep(FOLLOW_INTERVAL_S)


def _refresh(folder: Path, *, has_curves: bool) -> None:
    url = cached_url(folder)
    if url is None:
        return
    if folder.name == RUN_FILE or "tfevents" in folder.name:
        raise DataError(f"{url} is a file; give the address of the run")
    store = Store(url)
    objects = {name: stamp for name, stamp in store.list().items() if not _is_left_out(name)}
    by_folder: dict[str, dict[str, Stamp]] = {}
    for name, stamp in objects.items():
        by_folder.setdefault(str(PurePosixPath(name).parent), {})[name] = stamp
    if not has_curves:
        by_folder = {parent: _for_a_list(found) for parent, found in by_folder.items()}
    folder.mkdir(parents=True, exist_ok=True)
    changed = {parent: _outdated(folder / parent, found) for parent, found in by_folder.items()}
    sizes = {name: stamp.size for found in by_folder.values() for name, stamp in found.items()}
    _download(store, folder, [name for names in changed.values() for name in names], sizes)
    for parent, names in changed.items():
        if names:
            stamps = {PurePosixPath(name).name: list(stamp) for name, stamp in by_folder[parent].items()}
            known = {} if has_curves else _stamps(folder / parent)
            atomic_write(folder / parent / STAMPS, json.dumps({**known, **stamps}))
    _remove_gone(folder, objects)


def _is_left_out(name: str) -> bool:
    parts = PurePosixPath(name).parts
    return any(part.startswith(".") for part in parts) or NOT_READ in parts[:-1] or parts[-1] == STAMPS


def _for_a_list(objects: dict[str, Stamp]) -> dict[str, Stamp]:
    """Return what a list needs of one folder."""
    run_file = {name: stamp for name, stamp in objects.items() if PurePosixPath(name).name == RUN_FILE}
    return run_file or {name: stamp for name, stamp in objects.items() if "tfevents" in PurePosixPath(name).name}


def _outdated(folder: Path, objects: dict[str, Stamp]) -> list[str]:
    """Return the objects whose copies are missing or old."""
    known = _stamps(folder)
    return [
        name
        for name, stamp in objects.items()
        if known.get(last := PurePosixPath(name).name) != list(stamp) or not (folder / last).is_file()
    ]


def _download(store: Store, folder: Path, names: Sequence[str], sizes: dict[str, int]) -> None:
    small = [name for name in names if sizes[name] <= SMALL_BYTES]
    for parent in {(folder / name).parent for name in names}:
        parent.mkdir(parents=True, exist_ok=True)
    for name, data in store.read_all(small):
        atomic_write(folder / name, data)
    for name in names:
        if sizes[name] > SMALL_BYTES:
            store.download(name, folder / name)


def _remove_gone(folder: Path, objects: dict[str, Stamp]) -> None:
    """Remove copies of what is no longer there; nothing that was not downloaded."""
    for stamps in list(folder.rglob(STAMPS)):
        parent = stamps.parent.relative_to(folder)
        for last in _stamps(stamps.parent):
            if (parent / last).as_posix() not in objects:
                (stamps.parent / last).unlink(missing_ok=True)


def _stamps(folder: Path) -> dict[str, list[object]]:
    try:
        with open_regular(folder / STAMPS) as file:
            found = json.loads(file.read())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
