"""Requests reach the loop: what they change, what is recorded of them, pauses, and stops."""

from __future__ import annotations

import json
import logging
import os
import signal
import threading
from typing import TYPE_CHECKING, Any

import pytest
import torch

from monitor import Controls, Logger, MemorySink, Scalar, Text, reopen
from monitor.errors import DataError
from monitor.testing import wait_until
from tests.support import event_reader

if TYPE_CHECKING:
    from pathlib import Path

    from monitor.steering.controls import Controls as ControlsType
    from tests.support.processes import Start


@pytest.fixture
def optimizer() -> torch.optim.Optimizer:
    return torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1, weight_decay=0.01)


def heard(log: Logger) -> ControlsType:
    """Let requests be heard without a dashboard."""
    log.controls.listens = True
    return log.controls


def entries(run: Path) -> list[tuple[Any, ...]]:
    fields = json.loads((run / "run.json").read_text())
    return [(c["step"], c["control"], c.get("value"), c.get("before")) for c in fields.get("controls", [])]


def test_a_change_is_applied_and_recorded_everywhere(tmp_path: Path, optimizer: torch.optim.Optimizer) -> None:
    memory = MemorySink()
    called: list[int] = []
    controls = {"lr": optimizer, "weight_decay": optimizer, "test": called.append}
    with Logger(tmp_path / "a", [memory, "tensorboard"], controls=controls) as log:
        steered = heard(log)
        group = optimizer.param_groups[0]
        assert [steered.pending, log.steer(0), steered.pending] == [True, False, False], "the first step begins"
        steered.request("lr", "1e-3")
        assert bool(steered.pending)
        assert steered.answers["lr"].text == "comes with the next step"
        assert group["lr"] == 0.1, "nothing happens before the loop asks"
        assert not log.steer(5)
        assert group["lr"] == 0.001
        assert entries(tmp_path / "a") == [(5, "lr", 0.001, 0.1)], "it is in run.json before the step"
        for control, value in (
            ("lr", "-1"),
            ("lr", "1e400"),
            ("weight_decay", "0.5"),
            ("test", "clicked"),
            ("no", "1"),
        ):
            steered.request(control, value)
        assert not log.steer(6)
        assert not steered.pending
        assert steered.answers["lr"].text == "refused: 1e400 is not a number greater than 0"
        assert steered.answers["weight_decay"].text == "was 0.01 until step 6"
        assert "no" not in steered.answers
        assert (group["lr"], group["weight_decay"], called) == (0.001, 0.5, [6])
        steered.request("lr", "0.001")
        log.steer(7)
        assert log.flush()
    assert entries(tmp_path / "a") == [(5, "lr", 0.001, 0.1), (6, "weight_decay", 0.5, 0.01), (6, "test", None, None)]
    texts = [(r.step, r.text) for r in memory.of(Text)]
    assert texts == [(5, "lr: 0.1 → 0.001"), (6, "weight_decay: 0.01 → 0.5"), (6, "test")]
    assert [(s, v) for t, v, s, _ in memory.of(Scalar) if t == "control/lr"] == [(0, 0.1), (5, 0.1), (5, 0.001)]
    assert event_reader.series(tmp_path / "a", "control/weight_decay")[1:] == [(6, pytest.approx(0.01)), (6, 0.5)]
    assert "lr: 0.1 → 0.001" in event_reader.text(tmp_path / "a", "steering")[0]


def test_without_a_dashboard_it_is_off(
    tmp_path: Path, optimizer: torch.optim.Optimizer, caplog: pytest.LogCaptureFixture
) -> None:
    with Logger(tmp_path / "a", [MemorySink()]) as log:
        assert not log.controls.pending
        assert not log.steer(0)
    with caplog.at_level(logging.WARNING), Logger(tmp_path / "b", [MemorySink()], controls={"lr": optimizer}) as log:
        assert not log.steer(0)
        log.controls.request("lr", "0.5")
        assert not log.steer(1)
    assert optimizer.param_groups[0]["lr"] == 0.1
    assert [r.message for r in caplog.records if r.levelno >= logging.WARNING] == [
        "steering needs a dashboard that can change something, such as visdom; training goes on without it"
    ]
    with pytest.raises(TypeError, match="controls is a mapping such as"):
        Logger(tmp_path / "c", [], controls=[optimizer])  # type: ignore[arg-type]
    assert not (tmp_path / "c").exists()


def test_a_stop_ends_the_loop_and_the_run_says_so(tmp_path: Path, optimizer: torch.optim.Optimizer) -> None:
    with Logger(tmp_path / "a", [MemorySink()], controls={"lr": optimizer}) as log:
        steered = heard(log)
        for step in range(1000):
            if step == 3:
                steered.request("stop")
                steered.request("lr", "0.5")
            if log.steer(step):
                break
        assert (step, log.should_stop, log.steer(step)) == (3, True, True)
        assert optimizer.param_groups[0]["lr"] == 0.1, "nothing comes after a stop"
    fields = json.loads((tmp_path / "a" / "run.json").read_text())
    assert (fields["status"], fields["error"]) == ("stopped", "stopped from a dashboard at step 3")


@pytest.mark.slow
def test_a_pause_waits_takes_changes_and_is_no_stall(tmp_path: Path, optimizer: torch.optim.Optimizer) -> None:
    rules = ["no progress for 1 second"]
    with Logger(tmp_path / "a", [MemorySink()], controls={"lr": optimizer}, alerts=rules) as log:
        steered, passed = heard(log), threading.Event()

        def loop() -> None:
            for step in range(2):
                log.scalar("a", 1.0, step)
                log.steer(step)
            passed.set()

        steered.request("pause")
        thread = threading.Thread(target=loop)
        thread.start()
        wait_until(lambda: steered.is_paused, 60, "the pause")
        assert steered.status() == "paused at step 0"
        assert not passed.wait(2.5), "longer than the alert allows, with the ticks of the watch"
        steered.request("lr", "0.7")
        wait_until(lambda: optimizer.param_groups[0]["lr"] == 0.7, 60, "a change during the pause")
        steered.request("resume")
        assert passed.wait(60)
        thread.join()
        assert steered.paused_s > 2.5
        assert steered.status() == "running"
    fields = json.loads((tmp_path / "a" / "run.json").read_text())
    assert fields["status"] == "finished"
    assert "alerts" not in fields
    assert [control for _, control, *_ in entries(tmp_path / "a")] == ["pause", "lr", "resume"]


def read(file: Path) -> str:
    return file.read_text() if file.is_file() else ""


PAUSED = """
import sys, torch
from monitor import Logger, MemorySink
from monitor.runs.processes.process import signals_as_exit
optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
with signals_as_exit(), Logger(sys.argv[1], [MemorySink()], controls={"lr": optimizer}) as log:
    log.controls.listens = True
    log.controls.request("pause")
    log.steer(0)
"""


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, "interrupted"), (signal.SIGTERM, "killed")])
def test_a_signal_ends_a_pause(tmp_path: Path, start: Start, number: int, status: str) -> None:
    process = start("-c", PAUSED, str(tmp_path / "a"))
    wait_until(lambda: '"pause"' in read(tmp_path / "a" / "run.json"), 60, "the pause")
    os.kill(process.pid, number)
    process.communicate(timeout=60)
    assert json.loads((tmp_path / "a" / "run.json").read_text())["status"] == status


def steps(log: Logger, optimizer: torch.optim.Optimizer, numbers: range) -> list[float]:
    found = []
    for step in numbers:
        log.steer(step)
        found.append(optimizer.param_groups[0]["lr"])
        log.scalar("a", 1.0, step)
    return found


def test_changes_come_again_in_a_resumed_run_and_in_another_one(tmp_path: Path) -> None:
    def new() -> torch.optim.Optimizer:
        return torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)

    optimizer = new()
    tested: list[int] = []
    again: list[int] = []
    with Logger(tmp_path / "a", ["tensorboard"], controls={"lr": optimizer, "test": tested.append}) as log:
        steered = heard(log)
        whole = steps(log, optimizer, range(5))
        steered.request("lr", "0.2")
        whole += steps(log, optimizer, range(5, 10))
        assert log.checkpoint("c", 10)
        for control, value in (("lr", "0.3"), ("test", ""), ("checkpoint", ""), ("pause", ""), ("resume", "")):
            steered.request(control, value)
        whole += steps(log, optimizer, range(10, 15))
        steered.request("lr", "0.4")
        steered.request("stop", "")
        whole += steps(log, optimizer, range(15, 20))
    assert whole == [0.1] * 5 + [0.2] * 5 + [0.3] * 5 + [0.4] * 5

    another = new()
    repeated = Controls({"lr": another, "test": again.append}, repeat=tmp_path / "a", listens=False)
    with Logger(tmp_path / "b", ["tensorboard"], controls=repeated) as log:
        assert steps(log, another, range(20)) == whole
        assert not log.should_stop, "a stop is not repeated, nor is a pause"
        assert not log.controls.pending
    assert again == tested == [10]
    assert entries(tmp_path / "b") == [e for e in entries(tmp_path / "a") if e[1] in ("lr", "test")]
    assert event_reader.series(tmp_path / "b", "control/lr") == event_reader.series(tmp_path / "a", "control/lr")

    resumed = new()
    resumed.param_groups[0]["lr"] = 0.2  # as a checkpoint has it
    again.clear()
    with Logger(reopen(tmp_path / "a", "c", 10), ["tensorboard"],
                controls=Controls({"lr": resumed, "test": again.append}, listens=False)) as log:  # fmt: skip
        assert steps(log, resumed, range(10, 20)) == whole[10:]
    assert again == [10]
    assert event_reader.series(tmp_path / "a", "control/lr") == event_reader.series(tmp_path / "b", "control/lr")
    assert entries(tmp_path / "a") == entries(tmp_path / "b")


def test_a_new_change_drops_the_planned_ones_of_its_control(tmp_path: Path, optimizer: torch.optim.Optimizer) -> None:
    changes = [
        {"step": 2, "control": "lr", "value": 0.5, "before": 0.1}, {"step": 3, "control": "weight_decay", "value": 0.3},
        {"step": 3, "control": "gone", "value": 1.0}, {"step": 4, "control": "lr", "value": -1.0},
    ]  # fmt: skip
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "run.json").write_text(json.dumps({"status": "finished", "controls": changes}))
    controls = Controls({"lr": optimizer, "weight_decay": optimizer}, repeat=tmp_path / "a")
    with Logger(tmp_path / "b", [MemorySink()], controls=controls) as log:
        steered = heard(log)
        log.steer(0)
        steered.request("lr", "0.7")
        assert steps(log, optimizer, range(1, 6)) == [0.7] * 5
    assert optimizer.param_groups[0]["weight_decay"] == 0.3
    assert entries(tmp_path / "b") == [(1, "lr", 0.7, 0.1), (3, "weight_decay", 0.3, None)]


@pytest.mark.parametrize(
    "change", [{"step": -1, "control": "lr"}, {"step": 1}, {"step": 1, "control": "lr", "value": "x"}]
)
def test_a_record_of_unknown_origin_is_checked(tmp_path: Path, change: dict[str, Any]) -> None:
    (tmp_path / "run.json").write_text(json.dumps({"status": "finished", "controls": [change]}))
    with pytest.raises(DataError, match="'controls' is"):
        Controls({}, repeat=tmp_path)
