"""A logger of sinks in a folder of the test."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from monitor import Logger

if TYPE_CHECKING:
    from pathlib import Path


def make(folder: Path, *sinks: Any, **options: Any) -> Logger:
    """Return a logger of a run in `folder`."""
    return Logger(folder / "run", list(sinks), **options)
