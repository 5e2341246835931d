"""What keeps `run.json` current goes on, whatever is logged."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from monitor import Logger, MemorySink, Scalar
from monitor.runs.run import Run
from monitor.runs.run_file import read_run_file
from monitor.sinks.run_status import RunStatusSink

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("what", ["scalar", "predictions"])
def test_what_is_too_large_for_it_costs_nothing_else(
    tmp_path: Path, what: str, caplog: pytest.LogCaptureFixture
) -> None:
    endless = "x" * 9_000_000
    with Logger(tmp_path / "run", [MemorySink()], stop_on_alert=True, record="none") as log:
        if what == "scalar":
            log.scalar(endless, float("nan"), 1)
            log.scalar("loss", 0.5, 7)
        else:
            for _ in range(2):
                log.predictions(endless, np.zeros((1, 1, 4, 4), np.uint8), [0], [0])
            log.scalar("loss", 0.5, 7)
        assert log.flush()
    fields = read_run_file(log.run.path)
    assert fields["progress"]["step"] == 7
    if what == "scalar":
        assert list(fields["metrics"]) == ["loss"]
        assert fields["status"] == "stopped"
        assert fields["alerts"][0]["message"].startswith("xxx")
    else:
        assert fields["status"] == "finished"
    assert all(len(record.getMessage()) < 10_000 for record in caplog.records)
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


def test_a_definition_is_no_endless_text(tmp_path: Path) -> None:
    with Logger(tmp_path / "run", [MemorySink()], record="none") as log:
        log.define("x" * 2000, goal="min")
        with pytest.raises(ValueError, match="a metric has at most 2,000 characters, not 2,001"):
            log.define("x" * 2001, goal="min")


def test_the_first_metrics_are_written_at_once(tmp_path: Path) -> None:
    """A run that is killed in its first seconds has them, too."""
    run = Run(tmp_path / "run")
    sink = RunStatusSink()
    sink.open(run)
    sink.flush()
    assert read_run_file(run.path)["metrics"] == {}
    for step in range(2):
        sink.write([Scalar("loss", 0.5, step, 0.0)])
        sink.flush()  # what comes later waits its turn
    assert read_run_file(run.path)["metrics"] == {
        "loss": {"last": 0.5, "step": 0, "best": 0.5, "best_step": 0, "goal": "min"}
    }
