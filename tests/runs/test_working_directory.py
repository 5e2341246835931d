"""A program may change its working directory: its run stays where it began."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from monitor import Logger, SummaryWriter
from tests.support.event_reader import series

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def files(folder: Path) -> set[str]:
    return {path.name for path in folder.rglob("*") if path.is_file()}


def test_a_run_stays_where_it_began(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path)
    with caplog.at_level("INFO", "monitor"), Logger("runs/a", ["tensorboard"]) as log:
        monkeypatch.chdir("other")
        log.scalar("loss", 0.5, 1)
    run = tmp_path / "runs" / "a"
    assert log.run.path == run
    assert series(run, "loss") == [(1, 0.5)]
    assert json.loads((run / "run.json").read_text())["status"] == "finished"
    assert files(tmp_path / "other") == set()
    assert "runs/a: finished" in caplog.messages[-1]


def test_so_does_the_log_of_a_summary_writer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path)
    writer = SummaryWriter("runs/a")
    monkeypatch.chdir("other")
    writer.add_scalar("loss", 0.5, 1)
    writer.add_scalars("loss", {"a": 0.25}, 1)
    writer.close()
    assert series(tmp_path / "runs" / "a", "loss") == [(1, 0.5)]
    assert series(tmp_path / "runs" / "a" / "loss_a", "loss") == [(1, 0.25)]
    assert writer.get_logdir() == "runs/a"
    assert files(tmp_path / "other") == set()
