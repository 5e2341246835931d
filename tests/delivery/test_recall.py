"""A sink of a resumed run gets what earlier processes logged, also if it cannot be read at first."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from monitor import Logger, MemorySink, Scalar, reopen
from monitor.delivery import recall
from monitor.events.reading import reader
from monitor.testing import wait_until

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from monitor.records import Record
    from monitor.runs.run import Run

STEPS = 300


class Remembering(MemorySink):
    """Keep what was recalled, and move the run's files away before that."""

    def __init__(self) -> None:
        super().__init__()
        self.recalled: list[Record] = []
        self.files: list[tuple[Path, Path]] = []  # where they are, and where they belong

    def open(self, run: Run) -> None:
        super().open(run)
        for file in run.path.glob("events*"):
            self.files.append((file.rename(run.path / f"moved {file.name}".replace("tfevents", "")), file))

    def recall(self, records: Sequence[Record]) -> None:
        self.recalled += records


@pytest.fixture
def resumed(tmp_path: Path) -> Run:
    with Logger(tmp_path / "run", ["tensorboard"]) as log:
        for step in range(STEPS):
            log.scalar("a", float(step), step)
        assert log.checkpoint("c", STEPS)
    return reopen(tmp_path / "run", "c", STEPS)


def test_what_was_logged_earlier_is_recalled_once_its_files_are_back(
    resumed: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "RECORDS_PER_LIST", 50)
    sink = Remembering()
    with Logger(resumed, [sink]) as log:
        log.scalar("a", float(STEPS), STEPS)
        wait_until(lambda: log.stats().sinks["memory"].retries, what="an attempt to read")
        assert sink.series("a") == []
        for place, file in sink.files:
            place.rename(file)
        assert log.flush(20)
    recalled = [(record.step, record.value) for record in sink.recalled if isinstance(record, Scalar)]
    assert recalled == [(step, float(step)) for step in range(STEPS)]
    assert sink.series("a") == [(STEPS, float(STEPS))]


def test_a_sink_goes_on_without_what_stays_away(
    resumed: Run, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(recall, "RECALL_TIMEOUT_S", 0.5)
    sink = Remembering()
    with Logger(resumed, [sink]) as log:
        log.scalar("a", float(STEPS), STEPS)
        assert log.flush(20)
    assert sink.recalled == []
    assert sink.series("a") == [(STEPS, float(STEPS))]
    assert "what the run logged earlier cannot be read" in caplog.text
