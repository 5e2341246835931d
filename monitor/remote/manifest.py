"""What is known to be in the store of one run: a file in the run directory, written before and after each object."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from monitor.machine.files import atomic_write, open_regular
from monitor.remote.segments import Segment

if TYPE_CHECKING:
    from pathlib import Path

MANIFEST = ".upload{rank}.json"  # of rank 0 and of `monitor run`; other ranks upload their own event files
CLAIM = ".claim"  # in the store: which local run directory may write there


@dataclass
class Manifest:
    """What one process uploads of a run.

    Attributes:
        path: the file.
        token: names the run directory whose uploads belong to the place in the store.
        is_claimed: whether the claim in the store has this token.
        segments: by event file, its parts that are in the store, in their order.
        free: by event file, names of objects whose content is out of date, to be used again or removed.
        files: by name, size and modification time in nanoseconds of the other files that are in the store.
        stamp: the latest time in the name of a segment.
        unsure: the event file whose last segment may not have arrived.
    """

    path: Path
    token: str = ""
    is_claimed: bool = False
    segments: dict[str, list[Segment]] = field(default_factory=dict)
    free: dict[str, list[str]] = field(default_factory=dict)
    files: dict[str, list[int]] = field(default_factory=dict)
    stamp: int = 0
    unsure: str = ""

    @classmethod
    def load(cls, folder: Path, rank: str = "") -> Manifest:
        """Read the manifest in a run directory; an empty one where there is none. Raises `OSError`.

        One that cannot be read counts as none; the claim in the store then says that the place is taken.
        """
        path = folder / MANIFEST.format(rank=rank)
        try:
            with open_regular(path) as file:
                fields = json.loads(file.read())
            made = cls(
                path,
                str(fields["token"]),
                bool(fields["is_claimed"]),
                {name: list(map(Segment.from_json, found)) for name, found in fields["segments"].items()},
                {name: list(map(str, found)) for name, found in fields["free"].items()},
                {name: list(map(int, found)) for name, found in fields["files"].items()},
                int(fields["stamp"]),
                str(fields["unsure"]),
            )
        except (FileNotFoundError, ValueError, TypeError, KeyError, AttributeError):
            return cls(path)
        if made.unsure and made.segments.get(made.unsure):
            made.drop(made.unsure, made.segments[made.unsure][:-1])
        return made

    def save(self) -> None:
        """Write the file. Raises `OSError`."""
        fields: dict[str, Any] = {**self.__dict__, "segments": {}}
        del fields["path"]
        fields["segments"] = {name: [part.to_json() for part in parts] for name, parts in self.segments.items()}
        atomic_write(self.path, json.dumps(fields))

    def drop(self, file: str, kept: list[Segment]) -> None:
        """Keep only the first segments of an event file; the names of the others can be used again."""
        names = [part.name for part in self.segments.get(file, [])[len(kept) :]]
        if names:
            self.free[file] = names + self.free.get(file, [])
        self.segments[file] = kept
