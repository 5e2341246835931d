"""All runs of a log directory, again and again: what has not changed is known from before, or from the catalog."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

from monitor.runs.listing import walk
from monitor.runs.listing.catalog import Catalog, CatalogRow
from monitor.runs.listing.reading import is_being_made, read_run, status_of
from monitor.runs.listing.run_info import RunInfo
from monitor.runs.listing.signatures import (
    SETTLED_ON_NETWORK_S,
    SETTLED_S,
    Signature,
    is_local,
    is_settled,
    signature,
)
from monitor.runs.listing.stored_fields import LISTED_PARTS, PARTS, StoredFields, split
from monitor.runs.run_file import RUN_FILE
from monitor.runs.settings.convert import read_settings
from monitor.runs.status import RunStatus

if TYPE_CHECKING:
    from monitor.runs.listing.foreign import ForeignRun

MIN_RUNS = 1000  # a smaller log directory has no catalog
MIN_CHANGES = 100  # that are worth writing
MAX_BELOW = 100  # directories in another one that is not read anew if it has not changed
STATUSES = {str(status): status for status in RunStatus}


class _Known:
    """What is known of a directory; a signature is None if it cannot be trusted."""

    __slots__ = ("file_signature", "folder", "folder_signature", "foreign", "info", "is_saved")

    def __init__(self) -> None:
        self.folder = walk.Folder(False, (), ())
        self.folder_signature: Signature | None = None
        self.file_signature: Signature | None = None  # of `run.json`, or of all event files
        self.info: RunInfo | None = None
        self.foreign: ForeignRun | None = None
        self.is_saved = False  # in the catalog, as it is


class FoundRuns:
    """The runs of a log directory, those of other programs too; each call looks again, and reads only what is new.

    A run is read again unless the size, the times of modification and change, and the inode of its `run.json` are as
    they were, and its process is looked for each time. `save` keeps what was read for the next process, in the
    `Catalog` of a log directory with 1,000 runs and more.
    """

    def __init__(self, logdir: Path, *, with_foreign: bool = True) -> None:
        """Prepare; nothing is read yet. Runs of other programs are left out unless `with_foreign`."""
        self._with_foreign = with_foreign
        self._logdir = os.fspath(logdir)
        self._root = Path(logdir).resolve().name
        self._is_local = is_local(self._logdir)
        self._margin = SETTLED_S if self._is_local else SETTLED_ON_NETWORK_S
        self._known: dict[str, _Known] = {}
        self._catalog: Catalog | None = None
        self._now, self._run_count, self._read_count = 0.0, 0, 0
        self._gone: set[str] = set()  # names of directories that the catalog still has

    def __call__(self, parts: int = LISTED_PARTS) -> list[RunInfo]:
        """Return the runs by name. Blocks while it reads.

        `parts` of what the catalog has are taken from there, see `stored_fields`: without any, the status and the start
        of all runs are at hand, and other fields are read from the file when they are asked for.
        """
        if self._catalog is None:
            self._catalog = Catalog(self._logdir)
            for name, row in self._catalog.read(parts).items():
                path = os.path.join(self._logdir, name) if name else self._logdir  # noqa: PTH118 - many
                known = _from_row(row, name or self._root, path)
                if known is not None:
                    self._known[path] = known
        self._now, self._read_count = time.time(), 0
        before, self._known = self._known, {}
        infos = []
        for path, folder in walk.walk(self._logdir, lambda path: self._look(path, before)):
            known = self._known[path]
            info = (
                self._own(known, path) if folder.is_run else self._foreign(known, path) if self._with_foreign else None
            )
            if info is not None:
                infos.append(info)
        self._gone |= {self._name(path) for path, known in before.items() if known.is_saved and path not in self._known}
        self._run_count = len(infos)
        infos.sort(key=lambda info: info.name)
        return infos

    def save(self) -> None:
        """Write what was read anew into the catalog, if that is worth it. Blocks while it writes."""
        if self._catalog is None or self._run_count < MIN_RUNS:
            return
        changed = [(path, known) for path, known in self._known.items() if not known.is_saved and _is_storable(known)]
        for path, known in changed:
            if known.folder.is_run and known.info is not None and None in _compact(known.info).parts:
                self._read(known, path)  # its directory has changed, and not all of it is at hand
        changed = [(path, known) for path, known in changed if _is_storable(known)]
        self._gone -= {self._name(path) for path, _ in changed}
        if len(changed) + len(self._gone) < MIN_CHANGES:
            return
        if self._catalog.write(((self._name(path), _to_row(known)) for path, known in changed), self._gone):
            self._gone = set()
            for _, known in changed:
                known.is_saved = True

    def _name(self, path: str) -> str:
        return path[len(self._logdir) :].lstrip(os.sep)

    def _look(self, path: str, before: dict[str, _Known]) -> walk.Folder:
        """Return what a directory holds; it is read only if that may have changed."""
        known = self._known[path] = before.get(path) or _Known()
        try:
            found = os.stat(path)  # noqa: PTH116 - many
        except OSError:
            known.folder = walk.Folder(False, (), ())
            return known.folder
        if self._is_local and known.folder_signature is not None and known.folder_signature == signature(found):
            return known.folder
        known.folder, known.is_saved, known.folder_signature = walk.look_into(path), False, None
        if is_settled(found, self._now, self._margin) and len(known.folder.below) <= MAX_BELOW:
            known.folder_signature = signature(found)
        return known.folder

    def _own(self, known: _Known, path: str) -> RunInfo | None:
        """Return a run of ours; None if it is just being made."""
        info = known.info
        if info is not None and info.status is not RunStatus.FOREIGN and known.file_signature is not None:
            may_run = info.status in (RunStatus.RUNNING, RunStatus.LOST)
            if (self._is_local or not may_run) and known.file_signature == _signature_of(f"{path}/{RUN_FILE}"):
                info.now = self._now
                if may_run:
                    info.status = status_of(info.fields, self._now, known.file_signature[1] / 1e9)
                return info
        info = self._read(known, path)
        return None if is_being_made(info) else info

    def _read(self, known: _Known, path: str) -> RunInfo:
        """Read a run of ours."""
        info, found = read_run(path, self._name(path) or self._root, self._now)
        known.info, known.is_saved, known.file_signature = info, False, None
        if found is not None and is_settled(found, self._now, self._margin):
            known.file_signature = signature(found)
            self._read_count += 1
            if self._read_count > MIN_RUNS:  # parsed, they take seven times the memory
                _compact(info)
        return info

    def _foreign(self, known: _Known, path: str) -> RunInfo | None:
        """Return a run of another program."""
        signatures: list[int] = []
        are_settled = True
        for file in known.folder.event_files:
            try:
                found = os.stat(f"{path}/{file}")  # noqa: PTH116
            except OSError:
                continue
            signatures += signature(found)
            are_settled = are_settled and is_settled(found, self._now, self._margin)
        info = known.info
        if info is not None and info.status is RunStatus.FOREIGN and known.file_signature == tuple(signatures):
            info.now = self._now
            return info
        if known.foreign is None:
            from monitor.runs.listing.foreign import ForeignRun

            known.foreign = ForeignRun(Path(path))
        known.info, known.is_saved = known.foreign.info(self._name(path) or self._root), False
        known.file_signature = tuple(signatures) if are_settled and known.info.error is None else None
        return known.info


def _signature_of(file: str) -> Signature | None:
    try:
        return signature(os.stat(file))  # noqa: PTH116
    except OSError:
        return None


def _is_storable(known: _Known) -> bool:
    if known.folder_signature is None:
        return False
    return known.info is None or known.file_signature is not None


def _compact(info: RunInfo) -> StoredFields:
    """Let a run have its fields as the catalog stores them, and return them."""
    if not isinstance(info.fields, StoredFields):
        config = info.fields.get("config") or {}
        info.is_config_plain = read_settings(config) == config
        info.fields = StoredFields(info.folder, *split(info.fields))
    return info.fields


def _to_row(known: _Known) -> CatalogRow:
    is_run, event_files, below = known.folder
    folder = [known.folder_signature, is_run, () if is_run else event_files, below]
    if known.info is None:
        return CatalogRow([folder])
    if known.info.status is RunStatus.FOREIGN:  # there is no `run.json` to read more from
        return CatalogRow([folder, known.file_signature, known.info.status, False, dict(known.info.fields)])
    fields = _compact(known.info)
    facts = [folder, known.file_signature, fields["status"], known.info.is_config_plain, fields.head()]
    return CatalogRow(facts, fields.parts)


def _from_row(row: CatalogRow, name: str, path: str) -> _Known | None:
    """Return what a row of the catalog says; None for one that cannot be."""
    known = _Known()
    try:
        (folder_signature, is_run, event_files, below), *run = row.facts
        known.folder = walk.Folder(is_run, tuple(event_files), tuple(below))
        known.folder_signature = tuple(folder_signature)
        if run:
            file_signature, status, is_plain, head = run
            known.file_signature = tuple(file_signature)
            fields = head
            if status != RunStatus.FOREIGN:
                fields = StoredFields(path, head, [*row.parts, *[None] * (PARTS - len(row.parts))])
            known.info = RunInfo(name, path, STATUSES[status], fields, head.get("error"), 0.0, is_config_plain=is_plain)
    except (AttributeError, KeyError, TypeError, ValueError):
        return None
    known.is_saved = True
    return known
