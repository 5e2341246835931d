"""Catalogs of a few runs, in a folder of the test."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from monitor.runs.listing import found_runs
from monitor.runs.listing.reading import read_run

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def _small_catalogs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a few runs have a catalog, in a folder of the test, and be read from there at once."""
    for name, value in (("MIN_RUNS", 5), ("MIN_CHANGES", 1), ("SETTLED_S", 0.0), ("SETTLED_ON_NETWORK_S", 0.0)):
        monkeypatch.setattr(found_runs, name, value)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the directories whose `run.json` a list reads, as it does."""
    folders: list[str] = []

    def read(folder: str, name: str, now: float) -> Any:
        folders.append(folder)
        return read_run(folder, name, now)

    monkeypatch.setattr(found_runs, "read_run", read)
    return folders
