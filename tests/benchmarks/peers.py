"""The loggers that are measured beside ours where a fault is done, and how to read back what they wrote."""

from __future__ import annotations

import json
import os
import sqlite3
from contextlib import closing
from importlib.metadata import distributions
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.support import event_reader

if TYPE_CHECKING:
    from collections.abc import Sequence

# trackio is no requirement of this project: `pip install --target FOLDER trackio`, and name the folder.
FOLDER_VARIABLE = "MONITOR_BENCH_PACKAGES"


def writers() -> Sequence[str]:
    """Return the names of the loggers that are there."""
    extra = Path(os.environ.get(FOLDER_VARIABLE, "/nowhere")) / "trackio"
    return ("ours", "tensorboardX", "torch", *(["trackio"] if extra.is_dir() else []))


def trackio_version() -> str:
    """Return the name and version of trackio, where it is there."""
    (found,) = distributions(name="trackio", path=[os.environ[FOLDER_VARIABLE]])
    return f"trackio {found.version}"


def points(writer: str, folder: Path, tag: str = "a") -> list[int]:
    """Return the steps of a tag that are found with the right value, or with a NaN or text that was logged for it."""
    found: list[tuple[int, Any]]
    if writer == "trackio":
        found = _trackio_points(folder / "run", tag)
    else:
        run = folder / "run"
        found = [*event_reader.series(run, tag)] if run.is_dir() else []
    return [step for step, value in found if value == step or value != value or isinstance(value, str)]


def _trackio_points(folder: Path, tag: str) -> list[tuple[int, Any]]:
    found: list[tuple[int, Any]] = []
    for path in folder.glob("*.db"):
        with closing(sqlite3.connect(path)) as database:
            try:
                rows = database.execute("SELECT step, metrics FROM metrics").fetchall()
            except sqlite3.DatabaseError:
                continue
        for step, metrics in rows:
            values = json.loads(metrics)
            if tag in values:
                value = values[tag]
                found.append((step, float("nan") if value in (None, "NaN") else value))
    return found
