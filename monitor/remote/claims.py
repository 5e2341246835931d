"""Claim the place of a run in its store, so that no two machines ever write to the same one; and bring a run back."""

from __future__ import annotations

import logging
import os
import shutil
import uuid
from contextlib import suppress
from pathlib import Path

from monitor.errors import DataError
from monitor.remote.manifest import CLAIM, Manifest
from monitor.remote.segments import stamp_of, whole
from monitor.remote.store import RUN_FILE, Store, StoreError
from monitor.remote.upload import RANK, RunUpload, claim_place, ranks_of
from monitor.remote.urls import is_url, spool_path, url_of

log = logging.getLogger("monitor")


def claim(folder: Path) -> bool:
    """Claim the place in the store for a new run directory of the spool; tell whether it was free.

    Blocks for one or two requests. Any other directory is free, and so is one whose store cannot be reached now: it is
    uploaded when the store is back. Raises `StoreError` if the store refuses, `MissingExtra` if its packages are not
    installed.
    """
    url = url_of(folder)
    if url is None:
        return True
    manifest, store = Manifest.load(folder), Store(url)
    try:
        is_free = claim_place(store, manifest)
    except StoreError as error:
        if error.is_refusal:
            manifest.path.unlink(missing_ok=True)
            raise
        log.warning("%s; the run is kept in %s, and uploaded when that is possible", error, folder)
        return True
    if is_free:
        manifest.save()
    else:
        manifest.path.unlink(missing_ok=True)
    return is_free


def check_place(folder: Path) -> None:
    """Raise `StoreError` or `MissingExtra` where a folder of the spool can never be uploaded. Blocks for a request.

    A store that cannot be reached now is no error.
    """
    url = url_of(folder)
    if url is None:
        return
    try:
        Store(url).check()
    except StoreError as error:
        if error.is_refusal:
            raise


def release(folder: Path) -> None:
    """Give the place in the store back of a run that was never uploaded. Blocks for a request; raises `OSError`."""
    url, manifest = url_of(folder), Manifest.load(folder)
    if url is None:
        return
    if manifest.is_claimed:
        with suppress(StoreError):  # then the place stays taken
            Store(url).remove(CLAIM)
    manifest.path.unlink(missing_ok=True)


def to_resume(directory: str | os.PathLike[str]) -> Path:
    """Return the local directory of a run that is to go on; one of a store is downloaded if it is not here.

    It is downloaded too where another machine has continued it. From then on, this machine alone may upload it. Blocks.
    Raises `DataError` if there is no such run, or if what was not uploaded here would be lost; raises `StoreError` if
    the store cannot be used, unless all of the run is here.
    """
    folder = spool_path(directory) if is_url(directory) else Path(directory)
    url = url_of(folder)
    if url is None:
        return folder
    store, manifest = Store(url), Manifest.load(folder)
    is_here = (folder / RUN_FILE).is_file()
    try:
        owner = store.get(CLAIM)
        if is_here and owner in (None, manifest.token.encode()):
            return folder
        objects = store.list()
    except StoreError as error:
        if not is_here or error.is_refusal:
            raise
        log.warning("%s; the run goes on from what is in %s", error, folder)
        return folder
    if RUN_FILE not in objects:
        raise DataError(f"there is no run in {url!r}: it has no {RUN_FILE}")
    if is_here and any(RunUpload(folder, store, rank).left() for rank in ranks_of(folder)):
        raise DataError(
            f"{url} was continued on another machine, and {folder} has records that it lacks; move one away"
        )
    _download(store, list(objects), folder)
    return folder


def _download(store: Store, names: list[str], folder: Path) -> None:
    """Replace `folder` by what the store has, and take the place in the store over."""
    new = folder.with_name(f".{folder.name[:100]}.{os.getpid()}.download")
    try:
        for name in names:
            if not any(part.startswith(".") for part in Path(name).parts):
                (new / name).parent.mkdir(parents=True, exist_ok=True)
                store.download(name, new / name)
        token = uuid.uuid4().hex
        _note_all(new, token)
        store.put(CLAIM, token.encode())
        if folder.exists():
            shutil.rmtree(folder)
        new.rename(folder)
    except BaseException:
        with suppress(OSError):
            shutil.rmtree(new)
        raise


def _note_all(folder: Path, token: str) -> None:
    """Write that all files of a run directory are in the store."""
    manifests = {"": Manifest.load(folder)}
    manifests[""].is_claimed = True
    for path in [path for path in folder.rglob("*") if path.is_file()]:
        name = path.relative_to(folder).as_posix()
        if "tfevents" in path.name:
            match = RANK.search(path.name)
            rank = match[0] if match else ""
            manifest = manifests.setdefault(rank, Manifest.load(folder, rank))
            manifest.segments[name] = [whole(path, name)]
            manifest.stamp = max(manifest.stamp, stamp_of(name))
        else:
            found = path.stat()
            manifests[""].files[name] = [found.st_size, found.st_mtime_ns]
    for manifest in manifests.values():
        manifest.token = token
        manifest.save()
