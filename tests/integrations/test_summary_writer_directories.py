"""Whose directory a `SummaryWriter` writes into, and what is there already."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

from monitor import (
    Run,
    RunStatus,
    SummaryWriter,
)
from monitor.events.files import event_files
from monitor.runs.listing import load
from monitor.runs.reuse import reuse
from tests.support import event_reader

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def points(path: Path, tag: str = "loss") -> list[tuple[int, float]]:
    return event_reader.series(path, tag)


def test_a_directory_is_used_again(tmp_path: Path) -> None:
    for step in range(3):
        with SummaryWriter(tmp_path / "a") as writer:
            writer.add_scalar("loss", 5.0 - step, step)
    assert points(tmp_path / "a") == [(0, 5.0), (1, 4.0), (2, 3.0)]
    assert len(event_files(tmp_path / "a")) == 3
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    with SummaryWriter(tmp_path / "a") as writer:
        writer.add_scalar("loss", 9.0, 3)
    assert load(tmp_path / "a").metrics["loss"] == {"last": 9.0, "step": 3, "best": 3.0, "best_step": 2, "goal": "min"}


def test_it_goes_on_after_close(tmp_path: Path) -> None:
    writer = SummaryWriter(tmp_path)
    writer.add_scalar("loss", 1.0, 1)
    writer.close()
    assert writer.file_writer is None
    assert load(tmp_path).status is RunStatus.FINISHED
    writer.add_scalar("loss", 2.0, 2)
    writer.flush()
    assert load(tmp_path).status is RunStatus.RUNNING
    writer.close()
    writer.close()
    assert points(tmp_path) == [(1, 1.0), (2, 2.0)]
    assert len(event_files(tmp_path)) == 2


def test_a_file_writer_that_was_closed_goes_on_too(tmp_path: Path) -> None:
    writer = SummaryWriter(tmp_path)
    writer.add_scalar("loss", 1.0, 1)
    inner = writer.file_writer
    assert inner is not None
    inner.close()
    inner.reopen()
    writer.add_scalar("loss", 2.0, 2)
    writer.close()
    assert points(tmp_path) == [(1, 1.0), (2, 2.0)]


def test_what_an_earlier_process_left_stays(tmp_path: Path) -> None:
    code = "from monitor import SummaryWriter\nw = SummaryWriter({!r})\nw.add_scalar('loss', 1.0, 1)\n{}"
    for end in ("", "w.flush(); import os, signal; os.kill(os.getpid(), signal.SIGKILL)"):
        subprocess.run([sys.executable, "-c", code.format(str(tmp_path), end)], check=not end, timeout=60)
    assert load(tmp_path).status is RunStatus.LOST
    with SummaryWriter(tmp_path) as writer:
        writer.add_scalar("loss", 2.0, 2)
    run = load(tmp_path)
    assert run.status is RunStatus.FINISHED
    assert [life["status"] for life in run.fields["lives"]] == ["finished", "lost"]
    assert points(tmp_path) == [(1, 1.0), (1, 1.0), (2, 2.0)]


def test_two_writers_of_one_directory(tmp_path: Path) -> None:
    first, second = SummaryWriter(tmp_path), SummaryWriter(tmp_path)
    first.add_scalar("loss", 1.0, 1)
    second.add_scalar("other", 2.0, 1)
    second.close()
    assert load(tmp_path).status is RunStatus.RUNNING  # the first one's
    first.close()
    assert load(tmp_path).status is RunStatus.FINISHED
    assert points(tmp_path) + points(tmp_path, "other") == [(1, 1.0), (1, 2.0)]


def test_a_run_that_is_starting_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "run.json").touch()
    assert not reuse(tmp_path).is_written
    (tmp_path / "run.json").write_text("{")
    assert reuse(tmp_path).is_written
    assert load(tmp_path).status is RunStatus.RUNNING


def test_a_run_of_a_logger_is_taken_over(tmp_path: Path) -> None:
    Run(tmp_path / "a", {"lr": 0.1}).finish("failed", "no reason")
    with SummaryWriter(tmp_path / "a") as writer:
        writer.add_scalar("loss", 1.0, 1)
    run = load(tmp_path / "a")
    assert (run.status, run.error, run.config) == (RunStatus.FINISHED, None, {"lr": 0.1})


def test_default_directories(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with SummaryWriter(comment="_lr") as writer:
        writer.add_scalar("loss", 1.0, 1)
    [path] = (tmp_path / "runs").iterdir()
    assert path.name.endswith("_lr")
    assert str(path) == str(tmp_path / writer.get_logdir())
    with SummaryWriter(log_dir="named", filename_suffix=".end") as writer:
        writer.add_scalar("loss", 1.0, 1)
    [file] = event_files(tmp_path / "named")
    assert file.name.endswith(".end")


def test_the_file_is_there_when_asked_for(tmp_path: Path) -> None:
    writer = SummaryWriter(tmp_path)
    inner = writer.file_writer
    assert inner is not None
    name = inner.event_writer._ev_writer._file_name  # noqa: SLF001 - tensorboardX's tests do so
    assert [str(path) for path in event_files(tmp_path)] == [name]
    writer.close()
