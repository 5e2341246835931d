"""Runs with an index, and their curves without it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from monitor import ScalarBlock
from monitor.comparison.event_data import RunCurves, read_curves
from monitor.events.index.run_index import INDEX_FILE
from monitor.events.scalars.encoding import encode_scalars

if TYPE_CHECKING:
    from pathlib import Path

TAGS = ("train/loss", "train/accuracy", "test/loss", "system/cpu")
STEPS = 20_000  # of four tags: an event file of 3.6 MB


def events(start: int, stop: int, tags: tuple[str, ...] = TAGS, seed: int = 0) -> bytes:
    """Return framed events with NaN and infinity among the values."""
    steps = np.arange(start, stop)
    values = np.random.default_rng(seed).normal(size=len(steps) * len(tags))
    odd = values[:: max(1, len(values) // 7)]
    odd[:] = np.resize([np.nan, np.inf, -np.inf, 1e30, -1e30, 0.0, 1.0, 2.0], len(odd))
    block = ScalarBlock([tags], np.zeros(len(steps), np.int32), steps, 1.7e9 + steps / 50, values)
    return encode_scalars(block)


def make_run(folder: Path, data: bytes) -> Path:
    """Write a run with one event file; return the file."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "events.out.tfevents.1"
    file.write_bytes(data)
    return file


def plain(curves: RunCurves) -> Any:
    """Return curves in a form that compares NaN as equal."""
    series = {tag: (one.points(), one.count, repr(one.first_non_finite)) for tag, one in curves.series.items()}
    return repr((series, curves.clock.points(), curves.epochs.points()))


def from_files(run: Path, tags: tuple[str, ...] = TAGS, buckets: int = 256) -> Any:
    """Return the curves without an index."""
    index, aside = run / INDEX_FILE, run / "aside"
    if index.exists():
        index.rename(aside)
    try:
        return plain(read_curves(run, tags, max_buckets=buckets))
    finally:
        if aside.exists():
            aside.rename(index)
