"""Whatever the schedule, the faults, and the signals: each record is delivered once, in order, or counted."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING

import pytest

from monitor import Run
from tests.simulation.world import World

if TYPE_CHECKING:
    from pathlib import Path

SEEDS = int(os.environ.get("MONITOR_SEEDS", "500"))
FIRST_SEED = int(os.environ.get("MONITOR_FIRST_SEED", "0"))
PARTS = 10  # tests, so that several processes share the work


def simulate(seed: int, path: Path, run: Run) -> None:
    """Run one seed; a failure names it."""
    with pytest.MonkeyPatch.context() as patch:
        try:
            World(seed, path, run, patch).run()
        except BaseException as error:
            raise AssertionError(f"MONITOR_FIRST_SEED={seed} MONITOR_SEEDS=1 repeats this: {error}") from error


@pytest.mark.parametrize("part", range(PARTS))
def test_every_record_is_delivered_once_or_counted(part: int, tmp_path: Path) -> None:
    logging.getLogger("monitor").setLevel(logging.CRITICAL)
    run = Run(tmp_path / "run", is_written=False)
    try:
        for seed in range(FIRST_SEED + part, FIRST_SEED + SEEDS, PARTS):
            (tmp_path / "events").write_bytes(b"")
            simulate(seed, tmp_path, run)
    finally:
        logging.getLogger("monitor").setLevel(logging.NOTSET)
