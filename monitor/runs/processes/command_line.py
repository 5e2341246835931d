"""The command that started a run, as its user would type it."""

from __future__ import annotations

import re
from pathlib import PurePath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

OWN_COMMAND = "monitor"
_INTERPRETER = re.compile(r"(?:python|pypy)[\d.]*(?:\.exe)?", re.IGNORECASE)
_SCRIPT_FOLDERS = ("bin", "Scripts")  # where installed commands are


def typed_command(words: Sequence[str]) -> list[str]:
    """Return a recorded command line without the paths that a user does not type.

    An installed command has its name alone, and so has an interpreter; `python -m monitor` is `monitor`.
    """
    if not words:
        return []
    first, *rest = words
    if not _INTERPRETER.fullmatch(PurePath(first).name):
        return [PurePath(first).name if _is_installed(first) else first, *rest]
    if rest[:2] == ["-m", OWN_COMMAND]:
        return [OWN_COMMAND, *rest[2:]]
    if rest and _is_installed(rest[0]):
        return [PurePath(rest[0]).name, *rest[1:]]
    return [PurePath(first).name, *rest]


def _is_installed(word: str) -> bool:
    """Tell whether a word is the path of an installed command."""
    path = PurePath(word)
    return path.parent.name in _SCRIPT_FOLDERS and path.suffix in ("", ".exe")
