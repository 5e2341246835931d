"""Change the `run.json` of a run that is in a store, wherever it was logged."""

from __future__ import annotations

import os
import uuid
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from monitor.errors import DataError
from monitor.remote.manifest import CLAIM, Manifest
from monitor.remote.store import RUN_FILE, Store
from monitor.remote.upload import RunUpload
from monitor.remote.uploader import open_lock, take_lock
from monitor.remote.urls import spool_path
from monitor.runs.listing import load
from monitor.runs.status import RunStatus

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def editable(url: str) -> Iterator[Path]:
    """Give the directory of a run in a store, to be changed; what was changed is in the store at the end.

    It is the run directory itself where this machine uploads the run, and otherwise a folder with its `run.json`; the
    place in the store then belongs to no machine, so that one which resumes the run gets what was changed. Blocks.
    Raises `DataError` if there is no such run, or it goes on; raises `StoreError` if the store cannot be used.
    """
    store, folder = Store(url), spool_path(url)
    owner = store.get(CLAIM)
    if (folder / RUN_FILE).is_file() and owner in (None, Manifest.load(folder).token.encode()):
        with open_lock(folder) as lock:
            if not take_lock(lock):
                raise DataError(f"the run {url!r} is still being uploaded; wait until that has ended")
            yield from _changed_here(folder, store)
        return
    with TemporaryDirectory() as parent:
        copy = Path(parent) / folder.name
        copy.mkdir()
        try:
            yield from _changed_there(copy, store, url)
        except DataError as error:
            raise DataError(str(error).replace(str(copy), url)) from error


def _changed_here(folder: Path, store: Store) -> Iterator[Path]:
    before = (folder / RUN_FILE).read_bytes()
    yield folder
    if (folder / RUN_FILE).read_bytes() != before:
        RunUpload(folder, store).step(is_final=True)


def _changed_there(copy: Path, store: Store, url: str) -> Iterator[Path]:
    fields = store.get(RUN_FILE)
    if fields is None:
        raise DataError(f"there is no run {url!r}: it has no {RUN_FILE}")
    (copy / RUN_FILE).write_bytes(fields)
    os.utime(copy / RUN_FILE, (0, 0))  # only its heartbeat says whether the run goes on
    there = {name for name in store.list() if "/" not in name}
    for name in there:
        if "tfevents" in name:
            (copy / name).touch()  # in place of the file, so that a new one gets another name
    yield copy
    if (copy / RUN_FILE).read_bytes() == fields:
        return
    if load(copy).fields["status"] == RunStatus.LOST:
        raise DataError(f"the run {url!r} was lost, and its machine may still upload the rest of it; resume it first")
    store.put(CLAIM, uuid.uuid4().hex.encode())
    for path in sorted(copy.iterdir()):
        if path.name not in there:
            store.put(path.name, path.read_bytes())
    store.put(RUN_FILE, (copy / RUN_FILE).read_bytes())
