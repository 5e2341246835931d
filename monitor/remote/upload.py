"""Bring what is new in a run directory into its place in a store: one pass at a time, each of which may fail."""

from __future__ import annotations

import os
import re
import time
import uuid
from typing import TYPE_CHECKING

from monitor.events.files import event_files
from monitor.remote.manifest import CLAIM, Manifest
from monitor.remote.segments import (
    SEGMENT_BYTES,
    Segment,
    next_segments,
    segment_name,
    stamp_of,
    uploaded_part,
    with_checksum,
)
from monitor.remote.store import RUN_FILE, Store, StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

RUN_FILE_INTERVAL_S = 12.0  # a reader takes a run without a heartbeat for 30 seconds as lost
SETTLED_S = 2.0  # since the last change of a file that may still be being written
AGE_SHARE, MIN_INTERVAL_S, MAX_INTERVAL_S = 0.05, 5.0, 300.0  # between two segments, by the age of the upload
MANY_BYTES = 2**16  # a larger file that keeps changing goes up again when it has doubled, and at the end
RANK = re.compile(r"\.rank\d+$")


class RunUpload:
    """One run directory and its place in a store. Not for several threads."""

    def __init__(self, folder: Path, store: Store, rank: str = "", on_progress: Callable[[], None] = lambda: None):
        """Prepare; nothing is read yet.

        Args:
            folder: the run directory.
            store: its place.
            rank: the end of the names of the event files to upload, such as `.rank1`, and nothing else; by default, all
                but those of ranks.
            on_progress: called whenever something has arrived.
        """
        self._folder, self._store, self._rank, self._on_progress = folder, store, rank, on_progress
        self._manifest = Manifest.load(folder, rank)
        self._is_checked = False
        self._looked_at: dict[str, list[int]] = {}  # by event file: its state when the store had all that was due
        self._began = self._last_segment = self._last_run_file = time.monotonic()
        self._last_segment = self._last_run_file = -MAX_INTERVAL_S

    def disconnected(self) -> None:
        """Check at the next pass that no other machine has continued the run meanwhile."""
        self._is_checked = False

    def step(self, *, is_final: bool) -> None:
        """Upload what is due, and with `is_final` all there is. Blocks; raises `StoreError`, and other `OSError`s."""
        if is_final or not self._is_checked:
            self._check_claim()
        events, others = self._files()
        due = [name for name, path in others.items() if is_final or self._is_due(name, path)]
        due += [] if self._rank else self._due_run_file(is_final=is_final)
        # An event file is listed before the checkpoint whose mark it holds is put.
        waits = not is_final and all(name == RUN_FILE for name in due) and not self._is_segment_due()
        for name, path in events.items():
            self._put_events(name, path, SEGMENT_BYTES if waits else 1, is_final=is_final)
        for name in due:
            self._put_file(name)
        self._remove_gone(others)

    def left(self) -> int:
        """Return how many bytes are not in the store, about. Raises `OSError`."""
        events, others = self._files()
        parts = self._manifest.segments
        missing = [
            path.stat().st_size - (parts[name][-1].end if parts.get(name) else 0) for name, path in events.items()
        ]
        run_file = self._folder / RUN_FILE
        others = {**others, RUN_FILE: run_file} if not self._rank and run_file.is_file() else others
        missing += [path.stat().st_size for name, path in others.items() if self._known(name) != _state(path)]
        return sum(size for size in missing if size > 0)

    def _check_claim(self) -> None:
        """See to it that the place belongs to this directory. Raises `StoreError` if it belongs to another."""
        if not self._rank:
            if not claim_place(self._store, self._manifest):
                raise StoreError(
                    f"{self._store.url} belongs to another run, or this one was continued on another machine",
                    is_refusal=True,
                )
            self._manifest.save()
        self._is_checked = True

    def _is_segment_due(self) -> bool:
        now = time.monotonic()
        interval = min(max(MIN_INTERVAL_S, (now - self._began) * AGE_SHARE), MAX_INTERVAL_S)
        return now - self._last_segment >= interval

    def _put_events(self, name: str, path: Path, minimum: int, *, is_final: bool) -> None:
        manifest, state = self._manifest, _state(path)
        known = manifest.segments.setdefault(name, [])
        is_short = bool(known) and 0 <= state[0] - known[-1].end < minimum
        if is_short and not is_final and (minimum > 1 or self._looked_at.get(name) == state):
            return  # there is not enough for a segment, or nothing new
        kept = uploaded_part(path, known)
        if len(kept) < len(known):
            manifest.drop(name, kept)
            minimum = 1
        start = kept[-1].end if kept else 0
        for place in next_segments(path, start, minimum, to_the_end=is_final):
            self._put_segment(name, path, with_checksum(path, self._segment_name(name), place))
        while manifest.free.get(name):
            self._store.remove(manifest.free[name][0])
            del manifest.free[name][0]
            manifest.save()
        self._looked_at[name] = state

    def _put_segment(self, name: str, path: Path, segment: Segment) -> None:
        content = segment.content(path, time.time())
        manifest = self._manifest
        if manifest.free.get(name):
            del manifest.free[name][0]  # its name is the segment's
        manifest.segments[name].append(segment)
        manifest.unsure = name
        manifest.save()
        try:
            self._store.put(segment.name, content)
        except BaseException:
            manifest.drop(name, manifest.segments[name][:-1])
            raise
        manifest.unsure = ""
        manifest.save()
        self._last_segment = time.monotonic()
        self._on_progress()

    def _segment_name(self, file: str) -> str:
        manifest = self._manifest
        if manifest.free.get(file):
            return manifest.free[file][0]
        manifest.stamp = max(int(time.time()), manifest.stamp + 1, stamp_of(file))
        return segment_name(file, manifest.stamp)

    def _put_file(self, name: str) -> None:
        path = self._folder / name
        try:
            state = _state(path)
            if name == RUN_FILE or state[0] < MANY_BYTES:
                self._store.put(name, path.read_bytes())
            else:
                self._store.put_file(name, path, self._on_progress)
        except FileNotFoundError:
            return  # an old checkpoint, removed meanwhile
        self._manifest.files[name] = state
        self._manifest.save()
        if name == RUN_FILE:
            self._last_run_file = time.monotonic()
        self._on_progress()

    def _is_due(self, name: str, path: Path) -> bool:
        state, known = _state(path), self._known(name)
        if state == known or time.time() - state[1] / 1e9 < SETTLED_S:
            return False
        return known is None or state[0] < MANY_BYTES or state[0] >= 2 * known[0]

    def _due_run_file(self, *, is_final: bool) -> list[str]:
        path = self._folder / RUN_FILE
        if not is_final and time.monotonic() - self._last_run_file < RUN_FILE_INTERVAL_S:
            return []
        is_new = path.is_file() and path.stat().st_size > 0 and _state(path) != self._known(RUN_FILE)
        return [RUN_FILE] if is_new else []

    def _known(self, name: str) -> list[int] | None:
        return self._manifest.files.get(name)

    def _remove_gone(self, others: dict[str, Path]) -> None:
        """Remove objects whose files are gone, such as old checkpoints; never what was logged."""
        if self._rank or not (self._folder / RUN_FILE).is_file():
            return
        for name in [name for name in self._manifest.files if name not in others and name != RUN_FILE]:
            if not (self._folder / name).exists():
                self._store.remove(name)
                del self._manifest.files[name]
                self._manifest.save()

    def _files(self) -> tuple[dict[str, Path], dict[str, Path]]:
        """Return the event files of this process, and the other files but `run.json`, by their names."""
        from monitor.events.index.run_index import INDEX_FILE

        events, others = {}, {}
        # In this order: what an event file holds when it is uploaded includes the marks of the checkpoints found here.
        for path in sorted(_regular_files(self._folder)):
            name = path.relative_to(self._folder).as_posix()
            if "tfevents" in path.name:
                rank = RANK.search(path.name)
                if (rank[0] if rank else "") == self._rank:
                    events[name] = path
            elif not self._rank and name not in (RUN_FILE, INDEX_FILE):
                others[name] = path
        return events, others


def claim_place(store: Store, manifest: Manifest) -> bool:
    """Claim the place of a store for a run directory; tell whether it belongs to it now. Raises `StoreError`."""
    if not manifest.token:
        manifest.token = uuid.uuid4().hex
        manifest.save()  # first: a claim may arrive whose answer does not
    token = manifest.token.encode()
    if not manifest.is_claimed and store.create(CLAIM, token):
        if store.get(RUN_FILE) is not None:  # a run that came here by other means
            store.remove(CLAIM)
            return False
        manifest.is_claimed = True
        return True
    found = store.get(CLAIM)
    if found is None and store.create(CLAIM, token):  # the store was emptied, and the run directory still has it all
        for name in manifest.segments:
            manifest.drop(name, [])  # what has arrived since then is replaced or removed
        manifest.files, found = {}, token
    manifest.is_claimed = found == token
    return manifest.is_claimed


def ranks_of(folder: Path) -> list[str]:
    """Return the ranks whose event files are in a run directory, first that of all other files, `""`."""
    return ["", *sorted({match[0] for path in event_files(folder) if (match := RANK.search(path.name))})]


def _regular_files(folder: Path) -> Iterator[Path]:
    """Yield the files of a run directory, but no hidden ones, no links, and none of another run below it."""
    with os.scandir(folder) as entries:
        found = list(entries)
    for entry in found:
        if entry.name.startswith(".") or entry.name.endswith(".part"):
            continue
        if entry.is_file(follow_symlinks=False):
            yield folder / entry.name
        elif entry.is_dir(follow_symlinks=False) and not (folder / entry.name / RUN_FILE).exists():
            yield from _regular_files(folder / entry.name)


def _state(path: Path) -> list[int]:
    found = path.stat()
    return [found.st_size, found.st_mtime_ns]
