"""The fields of a `run.json` as a catalog stores them: in parts, because most lists need some of them only."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

from monitor.errors import DataError
from monitor.runs.run_file import read_with_stat

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

COMPUTED = ("name", "path", "status", "error", "duration", "age")  # what a list says of each run instead
HEAD = frozenset({*COMPUTED, "start", "end", "resumed", "spent", "heartbeat", "incomplete"})  # without other parts
PART_OF = {"config": 1} | dict.fromkeys(
    ("alerts", "command", "controls", "git", "goals", "host", "launchers", "lives", "logged", "pid", "process",
     "recorded", "versions"), 2)  # fmt: skip
PARTS = 3  # 0 has all other fields
LISTED_PARTS = 2  # that a table needs

dumps = partial(json.dumps, ensure_ascii=False)
_decode = json.JSONDecoder().raw_decode


class StoredFields(Mapping[str, Any]):
    """The fields of a `run.json`, parsed when they are asked for; what is not at hand is read from the file.

    Attributes:
        parts: the parts as JSON; None for one that is not at hand.
    """

    __slots__ = ("_folder", "_known", "_waiting", "parts")

    def __init__(self, folder: str, head: dict[str, Any], parts: Sequence[bytes | None]) -> None:
        """Take the fields of `HEAD`, and the parts as JSON, as far as they are at hand, of the file in `folder`."""
        self._folder, self._known, self.parts = folder, head, parts
        self._waiting = 2**PARTS - 1  # a bit for each part that is not yet parsed

    def __getitem__(self, name: str) -> Any:
        if name not in self._known:
            self._need(name)
        return self._known[name]

    def get(self, name: str, default: Any = None) -> Any:
        """Return the value of a field, or else `default`."""
        known = self._known
        if name in known:
            return known[name]
        if name in HEAD:
            return default
        self._need(name)
        return self._known.get(name, default)

    def __iter__(self) -> Iterator[str]:
        self._load_all()
        return iter(self._known)

    def __len__(self) -> int:
        self._load_all()
        return len(self._known)

    def __repr__(self) -> str:
        return repr(dict(self))

    def as_json(self, computed: Mapping[str, Any]) -> str:
        """Return what `to_json` does, without parsing what is stored as JSON."""
        if None in self.parts:
            return dumps({**self, **computed})
        known = {name: value for name, value in self.head().items() if name not in COMPUTED}
        parts = [dumps({**computed, **known}), *(part.decode() for part in self.parts if part is not None)]
        return "{" + ", ".join(inner for part in parts if (inner := part[1:-1])) + "}"

    def head(self) -> dict[str, Any]:
        """Return the fields of `HEAD`."""
        return {name: value for name, value in self._known.items() if name in HEAD}

    def lacks(self, field: str, name: str) -> bool:
        """Tell, without parsing it, whether an object cannot have a value of this name; False if that is not known."""
        part = PART_OF.get(field, 0)
        text = self.parts[part] if self._waiting >> part & 1 else None
        return text is not None and _as_key(name) not in text

    def listed(self) -> dict[str, Any]:
        """Return the fields of the head and of the first part; others may be among them."""
        self._load(0)
        return self._known

    def _need(self, name: str) -> None:
        part = PART_OF.get(name, 0)
        if self._waiting >> part & 1 and name not in HEAD:
            self._load(part)

    def _load_all(self) -> None:
        for part in range(PARTS):
            self._load(part)

    def _load(self, part: int) -> None:
        if not self._waiting >> part & 1:
            return
        text = self.parts[part]
        if text is None:
            with suppress(DataError):  # it was removed or damaged just now
                self._known = read_with_stat(self._folder)[0]
            self._waiting = 0
        else:
            self._known.update(_decode(text.decode())[0])
            self._waiting &= ~(1 << part)


@lru_cache
def _as_key(name: str) -> bytes:
    return dumps(name).encode()


def to_json(fields: Mapping[str, Any], computed: Mapping[str, Any]) -> str:
    """Return the fields of a `run.json` as an object in one line, with `computed` in place of those in `COMPUTED`."""
    return fields.as_json(computed) if isinstance(fields, StoredFields) else dumps({**fields, **computed})


def split(fields: Mapping[str, Any]) -> tuple[dict[str, Any], list[bytes]]:
    """Return the fields of `HEAD`, and the parts as JSON, as `StoredFields` takes them."""
    head: dict[str, Any] = {}
    parts: list[dict[str, Any]] = [{} for _ in range(PARTS)]
    for name, value in fields.items():
        (head if name in HEAD else parts[PART_OF.get(name, 0)])[name] = value
    return head, [dumps(part).encode() for part in parts]
