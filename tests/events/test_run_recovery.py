"""A run gets through the loss of its directory: nothing is missing or twice, in the log and in the counts."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from monitor import Logger
from tests.support import event_reader
from tests.support.blocked_paths import block

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def goes_through(log: Logger, begin: Callable[[], None], end: Callable[[], None]) -> None:
    """Log before, during and after a fault; nothing may be missing or twice."""
    for step in range(3000):
        log.scalar("a", float(step), step)
        if step == 999:
            assert log.flush()
            begin()
        elif step == 1999:
            log.flush(3)
            end()
    assert log.close()
    assert log.stats().sinks["tensorboard"].delivered == 3001
    assert event_reader.series(log.run.path, "a") == [(step, float(step)) for step in range(3000)]
    assert '"status": "finished"' in (log.run.path / "run.json").read_text()


def test_a_run_whose_directory_is_moved_aside_and_back(tmp_path: Path) -> None:
    run, aside = tmp_path / "run", tmp_path / "aside"

    def move_aside() -> None:
        run.rename(aside)

    def move_back() -> None:
        shutil.rmtree(run)
        aside.rename(run)

    goes_through(Logger(run, ["tensorboard"]), move_aside, move_back)


def test_a_run_on_a_share_that_is_away(share: Callable[[bool], None], tmp_path: Path) -> None:
    goes_through(Logger(tmp_path / "logs" / "run", ["tensorboard"]), lambda: share(False), lambda: share(True))


@pytest.mark.slow
@pytest.mark.parametrize("in_the_way", ["a file", "a link to nowhere"])
def test_a_run_whose_directory_cannot_be_made_again_for_three_seconds(tmp_path: Path, in_the_way: str) -> None:
    run = tmp_path / "run"

    def begin() -> None:
        shutil.rmtree(run)
        block(run, in_the_way)

    goes_through(Logger(run, ["tensorboard"]), begin, run.unlink)
