"""The life of a `SummaryWriter`: its directory, its runs, its files."""

from __future__ import annotations

import gc
import json
import pickle
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from monitor import (
    Config,
    Histogram,
    Images,
    MemorySink,
    Run,
    RunStatus,
    Scalar,
    Summary,
    SummaryWriter,
    Text,
)
from monitor.events.files import event_files
from monitor.runs.listing import load, scan
from monitor.runs.reuse import reuse
from monitor.testing import wait_until
from tests.support import event_reader
from tests.support.leftovers import worker_threads

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from monitor import Record


def points(path: Path, tag: str = "loss") -> list[tuple[int, float]]:
    return event_reader.series(path, tag)


def values(sink: MemorySink) -> dict[str, float]:
    return {record.tag: record.value for record in sink.records if isinstance(record, Scalar)}


def test_the_run_is_listed_with_its_status(tmp_path: Path) -> None:
    with SummaryWriter(tmp_path / "a") as writer:
        writer.add_scalar("loss", 2.0, 1)
        writer.flush()
        assert load(tmp_path / "a").status is RunStatus.RUNNING
        assert points(tmp_path / "a") == [(1, 2.0)]
    [run] = scan(tmp_path)
    assert run.status is RunStatus.FINISHED
    assert run.metrics["loss"]["last"] == 2.0


def test_an_exception_is_the_status(tmp_path: Path) -> None:
    def train() -> None:
        with SummaryWriter(tmp_path) as writer:
            writer.add_scalar("loss", 2.0, 1)
            raise ValueError("diverged")

    with pytest.raises(ValueError, match="diverged"):
        train()
    assert (load(tmp_path).status, load(tmp_path).error) == (RunStatus.FAILED, "ValueError: diverged")


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
        subprocess.run([sys.executable, "-c", code.format(str(tmp_path), end)], check=not end, timeout=200)
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


def test_a_writer_that_nobody_holds_closes_itself(tmp_path: Path) -> None:
    writer = SummaryWriter(tmp_path)
    writer.add_scalar("loss", 1.0, 1)
    assert worker_threads()
    del writer
    gc.collect()
    wait_until(lambda: not worker_threads(), 60, "the end of its threads")
    assert load(tmp_path).status is RunStatus.FINISHED
    assert points(tmp_path) == [(1, 1.0)]


@pytest.mark.parametrize("closes", [True, False])
def test_a_thousand_writers_in_a_row(tmp_path: Path, closes: bool) -> None:
    from pathlib import Path

    for number in range(1000):
        writer = SummaryWriter(tmp_path / str(number % 50))
        if number % 20 == 0:
            writer.add_scalar("loss", 1.0, number)
        if closes:
            writer.close()
    del writer
    wait_until(lambda: not worker_threads(), 60, "the end of their threads")
    assert len(list(Path("/proc/self/fd").iterdir())) < 100
    assert sum(len(points(run.path)) for run in scan(tmp_path)) == 50


def test_a_writer_that_does_not_write(tmp_path: Path) -> None:
    with SummaryWriter(tmp_path / "a", write_to_disk=False) as writer:
        writer.add_scalar("loss", 1.0, 1)
        writer.add_scalars("group", {"a": 1.0}, 1)
        writer.add_text("text", "nothing", 1)
        writer.flush()
        with pytest.raises(AssertionError):
            writer.add_scalar("loss", [1.0, 2.0], 1)
    assert list(tmp_path.iterdir()) == []
    assert not worker_threads()


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


def test_other_sinks(tmp_path: Path) -> None:
    sink = MemorySink()
    with SummaryWriter(tmp_path, sinks=["tensorboard", sink]) as writer:
        writer.add_scalar("loss", 1.0, 1)
        writer.add_scalars("group", {"a": 2.0, "b": 3.0}, 1)
        writer.add_scalar("loss/new", 4.0, 1, new_style=True)
        writer.add_hparams({"lr": 0.1}, {"accuracy": 5.0})
    scalars = values(sink)
    assert scalars == {"loss": 1.0, "group/a": 2.0, "group/b": 3.0, "loss/new": 4.0, "accuracy": 5.0}
    assert load(tmp_path).config == {"lr": 0.1}
    assert points(tmp_path / "group_a", "group") == [(1, 2.0)]


def test_sinks_that_show_pictures_get_what_the_summaries_hold(tmp_path: Path) -> None:
    class Pictures(MemorySink):
        accepts = frozenset({Scalar, Images, Text, Histogram, Config})

    sink = Pictures()
    with SummaryWriter(tmp_path, sinks=["tensorboard", sink]) as writer:
        writer.add_image("image", np.zeros((3, 4, 4)), 1)
        writer.add_histogram("histogram", np.arange(9.0), 2)
        writer.add_text("text", "hello", 3)
        writer.add_scalar("new", 4.0, 4, new_style=True)
        writer.add_mesh("mesh", np.zeros((1, 4, 3)))  # there is no record for it
        writer.add_hparams({"lr": 0.1}, {})
    assert [(record.tag, record.step) for record in sink.of(Images)] == [("image", 1)]
    assert [(record.tag, record.step) for record in sink.of(Histogram)] == [("histogram", 2)]
    assert [(record.tag, record.text) for record in sink.of(Text)] == [("text", "hello")]
    assert sink.series("new") == [(4, 4.0)]
    assert [record.values for record in sink.of(Config)] == [{}, {"lr": 0.1}]
    assert sink.accepts == {Scalar, Images, Text, Histogram, Config, Summary}


def test_pages_show_what_is_in_the_directory(tmp_path: Path) -> None:
    class Page(MemorySink):
        def recall(self, records: Sequence[Record]) -> None:
            self.records.extend(records)

    for step in range(2):
        sink = Page()
        with SummaryWriter(tmp_path, sinks=["tensorboard", sink]) as writer:
            writer.add_scalar("loss", 1.0, step)
    assert sink.series("loss") == [(0, 1.0), (1, 1.0)]


def test_alerts(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with SummaryWriter(tmp_path, alerts=["loss > 2"]) as writer:
        writer.add_scalar("loss", 3.0, 1)
    assert [alert["rule"] for alert in load(tmp_path).fields["alerts"]] == ["loss > 2"]
    assert "loss > 2" in caplog.text
    assert event_reader.read(tmp_path).Tags()["tensors"] == []  # the files are what the stock class would write


def test_sinks_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setenv("MONITOR_SINKS", "console,tensorboard")
    with SummaryWriter(tmp_path) as writer:
        writer.add_text("note", "seen on the console", 1)
    assert "seen on the console" in capsys.readouterr().out + capsys.readouterr().err
    assert event_reader.text(tmp_path, "note") == ["seen on the console"]
    fields = json.loads((tmp_path / "run.json").read_text())
    assert set(fields["logged"]) == {"tensorboard", "console"}


def test_curves_of_one_name_stay_apart(tmp_path: Path) -> None:
    sink = MemorySink()
    with SummaryWriter(tmp_path, sinks=["tensorboard", sink]) as writer:
        writer.add_scalars("loss", {"train": 1.0}, 1)
        writer.add_scalar("loss/train", 2.0, 1)
        writer.add_scalar("", 3.0, 1)
    assert sorted(values(sink).values()) == [1.0, 2.0, 3.0]
    assert points(tmp_path / "loss_train") == [(1, 1.0)]
    assert points(tmp_path, "loss/train") == [(1, 2.0)]
    assert points(tmp_path, "") == [(1, 3.0)]


def test_different_hyperparameters_are_different_runs(tmp_path: Path) -> None:
    with SummaryWriter(tmp_path) as writer:
        for lr in (0.1, 0.1, 0.2):
            writer.add_hparams({"lr": lr}, {"accuracy": lr})
    below = [path for path in tmp_path.iterdir() if path.is_dir()]
    assert len(below) == 1
    assert [value for _, value in points(tmp_path, "accuracy")] == pytest.approx([0.1, 0.1])
    assert [value for _, value in points(below[0], "accuracy")] == pytest.approx([0.2])


def test_exported_scalars(tmp_path: Path) -> None:
    with SummaryWriter(tmp_path / "a") as writer:
        writer.add_scalars("group", {"a": 1.0}, 1, walltime=2.0)
        writer.add_scalars("group", {"a": 2.0}, walltime=3.0)
        writer.export_scalars_to_json(tmp_path / "all.json")
        assert writer.scalar_dict == {}
    assert json.loads((tmp_path / "all.json").read_text()) == {
        f"{tmp_path}/a/group_a": [[2.0, 1, 1.0], [3.0, None, 2.0]]
    }


def test_it_can_be_pickled(tmp_path: Path) -> None:
    writer = SummaryWriter(tmp_path)
    writer.add_scalar("loss", 1.0, 1)
    copy = pickle.loads(pickle.dumps(writer))
    writer.close()
    copy.add_scalar("loss", 2.0, 2)
    copy.close()
    assert points(tmp_path) == [(1, 1.0), (2, 2.0)]


@pytest.mark.parametrize(
    ("error", "call"),
    [
        (AssertionError, lambda w: w.add_scalar("loss", [1.0, 2.0])),
        (NotImplementedError, lambda w: w.add_scalar("loss", {"a": 1})),
        (ValueError, lambda w: w.add_scalar("loss", 1.0, 2**63)),
        (AssertionError, lambda w: w.add_image("image", [[1.0]])),
        (TypeError, lambda w: w.add_image("image", __import__("numpy").zeros((5, 9, 9)))),
        (ValueError, lambda w: w.add_histogram("histogram", __import__("numpy").zeros(0))),
        (AttributeError, lambda w: w.add_text("text", 3)),
        (AssertionError, lambda w: w.add_embedding(__import__("numpy").zeros((3, 2)), ["a"])),
        (ValueError, lambda w: w.add_pr_curve("pr", __import__("numpy").zeros(9), __import__("numpy").zeros(8))),
        (TypeError, lambda w: w.add_hparams([], {})),
        (ValueError, lambda w: w.add_histogram_raw("raw", 0, 1, 2, 3, 4, [1], [])),
    ],
)
def test_mistakes_raise_at_the_call(tmp_path: Path, error: type[Exception], call: Any) -> None:
    with SummaryWriter(tmp_path) as writer, pytest.raises(error):
        call(writer)
