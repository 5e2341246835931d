"""Put something in the way of a directory."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def block(directory: Path, in_the_way: str) -> None:
    """Put `a file` or `a link to nowhere` at the path of a directory that is gone."""
    if in_the_way == "a file":
        directory.write_text("in the way")
    else:
        directory.symlink_to("nowhere")
