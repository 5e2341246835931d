"""The files that Visdom's page needs and does not bring: which they are, and how each is known to be the right one."""

from __future__ import annotations

import hashlib
import json
from importlib.resources import files
from typing import NamedTuple


class Asset(NamedTuple):
    """A file, by the name that the page asks for, and where it is in which npm package (`name@version`)."""

    name: str
    package: str
    path: str
    size: int  # bytes
    sha256: str

    def is_content(self, content: bytes) -> bool:
        """Say whether this is the file's content, to the last bit."""
        return len(content) == self.size and hashlib.sha256(content).hexdigest() == self.sha256


ASSETS: tuple[Asset, ...] = tuple(
    Asset(**entry) for entry in json.loads(files(__package__).joinpath("assets.json").read_text("utf-8"))
)
