"""Steps that the program leaves out: what each tag gets, across calls, threads, processes, and resumed runs."""

from __future__ import annotations

import json
import multiprocessing
import pickle
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from monitor import Logger, reopen
from monitor.capture.pending import DeviceScalar, PendingScalars
from monitor.delivery.children import forwarding
from monitor.delivery.inbox import Inbox, count_records
from monitor.records import Images, Scalar, Text
from monitor.sinks.memory import MemorySink

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def sink() -> MemorySink:
    return MemorySink()


def steps(sink: MemorySink, tag: str) -> list[int]:
    return [record.step for record in sink.records if getattr(record, "tag", None) == tag]  # type: ignore[union-attr]


@pytest.mark.parametrize("flush_every", [1, 3, 1000])
def test_a_loop_without_steps(tmp_path: Path, sink: MemorySink, flush_every: int) -> None:
    with Logger(tmp_path / "run", [sink]) as log:
        for number in range(30):
            log.scalar("train/loss", 1.0)
            log.scalar("train/acc", torch.tensor(0.5))
            if number % 10 == 9:
                log.scalar("train/norm", 2)
                log.scalars({"test/loss": 1.0, "test/acc": 0.5})
                log.images("samples", np.zeros((1, 1, 4, 4)))
                log.images("test/wrong", np.zeros((1, 1, 4, 4)))
            if number % flush_every == 0:
                assert log.flush()
    assert steps(sink, "train/loss") == steps(sink, "train/acc") == list(range(30))
    assert steps(sink, "train/norm") == [9, 19, 29], "a tag that is logged now and then joins the others"
    assert steps(sink, "test/loss") == steps(sink, "test/acc") == [0, 1, 2]
    assert steps(sink, "samples") == [9, 19, 29], "the training's step"
    assert steps(sink, "test/wrong") == [0, 1, 2], "the step of its group"


@pytest.mark.parametrize("flushes", [False, True])
def test_counting_continues_after_explicit_steps(tmp_path: Path, sink: MemorySink, flushes: bool) -> None:
    with Logger(tmp_path / "run", [sink]) as log:
        log.scalars({"train/loss": 1.0, "train/acc": 0.0}, 41)
        log.scalar("train/loss", 1.0, 42)
        log.scalar("train/loss", 1.0, 7)
        assert not flushes or log.flush()
        log.scalar("train/acc", 1.0)
        log.scalar("train/loss", 1.0)
        log.scalar("train/loss", 1.0, 50)
        log.scalars({"train/loss": 1.0, "val/loss": 1.0})
        log.text("notes", "a", -3)
        log.text("notes", "b")
    assert steps(sink, "train/loss") == [41, 42, 7, 43, 50, 51]
    assert steps(sink, "train/acc") == [41, 42]
    assert steps(sink, "val/loss") == [51], "what is logged together has one step"
    assert steps(sink, "notes") == [-3, 51]


def test_without_scalars_each_tag_counts_its_calls(tmp_path: Path, sink: MemorySink) -> None:
    with Logger(tmp_path / "run", [sink]) as log:
        for _ in range(3):
            log.text("a", "x")
            log.histogram("h", [1.0, 2.0])
        log.text("b", "x", 9)
        log.text("b", "x")
        log.progress(0, 1, 500, 1000)
        log.text("b", "x")
    assert steps(sink, "a") == steps(sink, "h") == [0, 1, 2]
    assert steps(sink, "b") == [9, 10, 500], "what progress says is the training's step"


MEDIA: dict[str, tuple[Any, ...]] = {
    "images": (np.zeros((1, 1, 4, 4)),),
    "predictions": (np.zeros((1, 1, 4, 4)), [1], [0]),
    "text": ("x",),
    "histogram": ([1.0],),
    "confusion_matrix": ([[1, 0], [0, 1]],),
    "curve": ([0.0, 1.0], [0.0, 1.0]),
    "figure": ({"data": [], "layout": {}},),
    "audio": (np.zeros(8),),
    "video": (np.zeros((2, 4, 4)),),
    "detections": (np.zeros((4, 4)),),
    "pr_curve": ([0, 1], [0.1, 0.9]),
    "roc_curve": ([0, 1], [0.1, 0.9]),
    "embedding": (np.eye(3),),
    "mesh": (np.eye(3),),
    "table": ([["a", 1]],),
}


def test_every_call_takes_a_step_or_none(tmp_path: Path, sink: MemorySink) -> None:
    with Logger(tmp_path / "run", [sink]) as log:
        log.scalar("loss", 1.0, 6)
        for name, arguments in MEDIA.items():
            getattr(log, name)(name, *arguments)
            getattr(log, name)(name, *arguments, 8)
            getattr(log, name)(name, *arguments, step=9)
            with pytest.raises(TypeError, match="step must be an int, not '1'"):
                getattr(log, name)(name, *arguments, "1")
        log.curve("positions", [0.0], [1.0], 3, "hours", "probability")
        for call in (lambda: log.progress(0, 1, None, 1), lambda: log.checkpoint("c", None)):  # type: ignore[arg-type]
            with pytest.raises(TypeError, match="step must be an int, not None"):
                call()
    assert {name: steps(sink, name) for name in MEDIA} == {name: [6, 8, 9] for name in MEDIA}
    assert steps(sink, "positions") == [3]
    assert all(counts.pending == counts.dropped == counts.failed == 0 for counts in log.stats().sinks.values())


def test_scalars_on_a_gpu_have_the_step_of_their_call() -> None:
    inbox = Inbox({"train/loss": 4})
    device = DeviceScalar("val/loss", torch.tensor(1.0), None, 0.0)
    inbox.entries += [("train/loss", 1.0, None, 0.0), PendingScalars({"train/loss": 2.0}, [device], 0.0)]
    assert count_records(inbox.entries) == {Scalar: 3}
    block, *others = inbox.take()
    assert block.steps.tolist() == [5, 6]  # type: ignore[union-attr]
    assert others == [device]
    assert device.step == 6
    inbox.entries += [PendingScalars({}, [DeviceScalar("a", torch.tensor(1.0), None, 0.0)], 0.0)]
    assert [item.step for item in inbox.take()] == [0]  # type: ignore[union-attr]
    sent = forwarding.resolve_entry(PendingScalars({"a": 1.0}, [DeviceScalar("b", torch.tensor(2), None, 0.0)], 0.5))
    assert sent == (None, {"a": 1.0, "b": 2.0}, None, 0.5), "a child reads them and sends one entry"


def test_threads_get_each_step_once(tmp_path: Path, sink: MemorySink) -> None:
    def work(log: Logger) -> None:
        for _ in range(500):
            log.scalar("a", 1.0)

    with Logger(tmp_path / "run", [sink]) as log:
        threads = [threading.Thread(target=work, args=(log,)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert steps(sink, "a") == list(range(2000))


def _child(log: Logger) -> None:
    for _ in range(3):
        log.scalar("child/loss", 1.0)
        log.scalars({"child/loss": 1.0, "child/acc": torch.tensor(2.0)})
    log.images("child/picture", np.zeros((1, 1, 4, 4)))
    log.text("other", "a text")


def test_the_parent_counts_for_its_children(tmp_path: Path, sink: MemorySink) -> None:
    with Logger(tmp_path / "run", [sink], children="forward") as log:
        log.scalar("child/loss", 0.0)
        children = [multiprocessing.get_context("fork").Process(target=_child, args=(log,)) for _ in range(2)]
        for child in children:
            child.start()
        for child in children:
            child.join()
            assert child.exitcode == 0
    assert steps(sink, "child/loss") == list(range(13)), "the calls of all processes together"
    assert len(steps(sink, "child/acc")) == 6
    assert steps(sink, "child/picture")[-1] == 12
    assert [type(record) for record in sink.records if isinstance(record, Images | Text)].count(Text) == 2


def test_a_logger_that_drops_calls_takes_none(tmp_path: Path) -> None:
    with Logger(tmp_path / "run", [MemorySink()]) as log:
        null = pickle.loads(pickle.dumps(log))
    null.scalar("a", 1.0)
    null.scalars({"a": 1.0})
    null.text("b", "x")


LOOP = """
import os, sys
from monitor import Logger
with Logger(sys.argv[1], ["tensorboard"]) as log:
    for number in range(120):
        log.scalar("train/loss", 1.0)
        if number % 10 == 9:
            log.scalars({"val/loss": 1.0})
        if number == 99:
            log.checkpoint("c", int(sys.argv[2]))
    log.flush()
    os.kill(os.getpid(), 9)
"""


@pytest.mark.parametrize("at_step", [100, 10])
def test_a_resumed_run_goes_on_counting(tmp_path: Path, sink: MemorySink, at_step: int) -> None:
    """Also where the program counts its checkpoints in epochs, which is lower than the steps of the training."""
    path = tmp_path / "run"
    subprocess.run([sys.executable, "-c", LOOP, path, str(at_step)], check=False, timeout=60)
    assert json.loads((path / "run.json").read_text())["status"] == "running", "it was killed"
    with Logger(reopen(path, "c", at_step), [sink, "tensorboard"]) as log:
        for _ in range(20):
            log.scalar("train/loss", 2.0)
        log.scalars({"val/loss": 2.0})
    assert [step for step, value in sink.series("train/loss") if value == 2.0] == list(range(100, 120))
    assert [step for step, value in sink.series("val/loss") if value == 2.0] == [10]


def test_a_run_that_starts_over_counts_from_zero(tmp_path: Path, sink: MemorySink) -> None:
    with Logger(tmp_path / "run", ["tensorboard"]) as log:
        for _ in range(5):
            log.scalar("train/loss", 1.0)
    with Logger(reopen(tmp_path / "run", "", 0), [sink]) as log:
        log.scalar("train/loss", 2.0)
    assert steps(sink, "train/loss") == [0]


def test_the_seconds_of_system_metrics_are_no_steps_of_the_training(tmp_path: Path, sink: MemorySink) -> None:
    with Logger(tmp_path / "run", [sink], record="none") as log:
        log.scalar("train/loss", 1.0)
        log.scalar("system/cpu_percent", 50.0, 900)  # as the recorder does it
        log.text("notes", "here")
    assert steps(sink, "notes") == [0]
