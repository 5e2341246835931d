"""Give each curve of a writer's files a name of its own in the other sinks."""

from __future__ import annotations

import threading

NO_NAME = "untagged"


class Names:
    """The names under which scalars go through the pipeline, and where they go in the files.

    `add_scalars` writes each of its curves into a directory of its own, under the same tag. Elsewhere, such as in
    Visdom, they need different names.

    Attributes:
        plain: names by the tags that were passed to `add_scalar`.
        series: for `add_scalars`, by its two tags: the name, and the directory.
        routes: by name, the directory and the tag in the files, where they differ from the run's own directory and the
            name. The directory is None for what is in no file.
    """

    def __init__(self) -> None:
        self.plain: dict[str, str] = {}
        self.series: dict[tuple[str, str], tuple[str, str]] = {}
        self.routes: dict[str, tuple[str | None, str]] = {}
        self._names: dict[tuple[str | None, str], str] = {}
        self._taken: set[str] = set()
        self._lock = threading.RLock()

    def name(self, tag: str, directory: str | None = "", wanted: str | None = None) -> str:
        """Return the name of the curve `tag` in `directory`; a new one is like `wanted`, by default the tag.

        Raises `UnicodeEncodeError` for a tag that is not valid Unicode.
        """
        place = directory, tag
        found = self._names.get(place)
        if found is not None:
            return found
        tag.encode()
        with self._lock:
            if place not in self._names:
                wanted = wanted if wanted is not None else tag
                base = name = wanted if wanted.strip() else NO_NAME
                number = 1
                while name in self._taken:
                    number += 1
                    name = f"{base} ({number})"
                self._taken.add(name)
                if directory != "" or name != tag:
                    self.routes[name] = directory, tag
                self._names[place] = name
            return self._names[place]

    def after_fork(self) -> None:
        """Replace the lock, which another thread of the parent may hold."""
        self._lock = threading.RLock()
