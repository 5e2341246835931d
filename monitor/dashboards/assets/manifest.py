"""The files that Visdom's page needs and that the package visdom does not contain, with their checksums."""

from __future__ import annotations

import hashlib
import json
from importlib.resources import files
from typing import NamedTuple


class Asset(NamedTuple):
    """A file that Visdom's page needs.

    Attributes:
        name: the path that the page asks for.
        package: the npm package that contains the file, as `name@version`.
        path: the path in that package.
        size: bytes.
        sha256: the checksum of the content, in hexadecimal.
    """

    name: str
    package: str
    path: str
    size: int
    sha256: str

    def is_content(self, content: bytes) -> bool:
        """Tell whether `content` is exactly the content of the file."""
        return len(content) == self.size and hashlib.sha256(content).hexdigest() == self.sha256


ASSETS: tuple[Asset, ...] = tuple(
    Asset(**entry) for entry in json.loads(files(__package__).joinpath("assets.json").read_text("utf-8"))
)
