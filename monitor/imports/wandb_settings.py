"""The settings of a run of W&B, or its summary: values that are set, changed, and removed one by one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from monitor.imports.wandb_media import Unsupported
from monitor.imports.wandb_values import decode_json, flatten

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_CHARS = 2**20  # of all keys and values


class Settings:
    """Values by their keys, within a bound.

    Attributes:
        changed: whether there are changes that nobody has taken note of; for the caller to reset.
    """

    def __init__(self) -> None:
        self.changed = False
        self._texts: dict[str, str] = {}  # JSON
        self._chars = 0

    def update(self, changes: Any) -> int:
        """Apply the changes of a message; return how many there was no room for."""
        left_out = 0
        for item in changes.remove:
            self._remove(item_key(item))
        for item in changes.update:
            key, text = item_key(item), item.value_json
            self._remove(key)  # so that the latest change is the last one
            if self._chars + len(key) + len(text) > MAX_CHARS:
                left_out += 1
                continue
            self._texts[key] = text
            self._chars += len(key) + len(text)
        self.changed = self.changed or bool(changes.update or changes.remove)
        return left_out

    def values(self) -> Iterator[tuple[str, Any]]:
        """Yield keys and values; nested dicts are flattened."""
        for key, text in self._texts.items():
            try:
                yield from flatten(key, decode_json(text))
            except Unsupported:
                yield key, text

    def _remove(self, key: str) -> None:
        text = self._texts.pop(key, None)
        if text is not None:
            self._chars -= len(key) + len(text)


def item_key(item: Any) -> str:
    """Return the key of an item; the parts of a nested one are joined by dots, as W&B's own pages do."""
    return ".".join(item.nested_key) or str(item.key)
