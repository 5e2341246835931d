"""Sweeps whose trials and drivers are killed: no trial is lost, and none is done twice."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import psutil
import pytest

from monitor.testing import wait_until
from tests.support import event_reader
from tests.support.sweeps import (
    SCRIPT,
    finished_trials,
    script_arguments,
    states,
    sweep_arguments,
    trial_pids,
    trial_runs,
)

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.processes import Process, Start

TIMEOUT_S = 200


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with the script of trials."""
    (tmp_path / "trial.py").write_text(SCRIPT)
    return tmp_path


def running(folder: Path) -> set[int]:
    """Return the trials whose scripts have logged and have not ended."""
    return {
        info.fields["sweep"]["trial"]
        for info in trial_runs(folder / "runs")
        if info.status == "running" and "loss" in info.metrics
    }


def resumed(start: Start, folder: Path, *options: str) -> str:
    """Go on with the sweep `s` to its end; return what that printed."""
    process = start(*sweep_arguments("--resume", "s", "--jobs", "2", *options), cwd=folder)
    out, err = process.communicate(timeout=TIMEOUT_S)
    assert process.wait() == 0, out + err
    return out


def kill_server(driver: int) -> None:
    """Kill the process that starts the trials of a driver, if it is there."""
    with suppress(psutil.NoSuchProcess):
        for child in psutil.Process(driver).children():
            if "monitor.sweeps.processes.trial_server" in child.cmdline():
                child.kill()


def kill(process: Process) -> None:
    process.kill()
    process.communicate(timeout=TIMEOUT_S)


@pytest.mark.slow
def test_running_trials_of_a_dead_driver_are_found_and_not_doubled(start: Start, folder: Path) -> None:
    first = start(*script_arguments("s", 3, "--until", "go"), cwd=folder)
    wait_until(lambda: running(folder) == {0, 1}, TIMEOUT_S)
    kill(first)
    with (folder / "out").open("w") as file:
        second = start(*sweep_arguments("--resume", "s", "--jobs", "2"), cwd=folder, stdout=file.fileno())
    wait_until(lambda: (folder / "out").read_text().count("still running, and watched from here now") == 2, TIMEOUT_S)
    (folder / "go").touch()
    second.communicate(timeout=TIMEOUT_S)
    assert second.wait() == 0
    assert finished_trials(folder / "runs") == [0, 1, 2]
    assert [info.name for info in trial_runs(folder / "runs")] == ["s-0", "s-1", "s-2"]
    assert states(folder / "runs", "s") == ["COMPLETE"] * 3
    assert not (folder / "doubled").exists()


@pytest.mark.slow
def test_a_killed_trial_starts_again_but_not_for_ever(start: Start, folder: Path) -> None:
    process = start(*script_arguments("s", 2, "--until", "go", jobs=1), cwd=folder)  # two retries
    killed: set[int] = set()

    found: list[int] = []

    def is_new() -> bool:
        found[:] = trial_pids(folder / "runs", "s")
        return running(folder) == {0} and bool(found) and not killed & set(found)

    for _ in range(3):
        wait_until(is_new, TIMEOUT_S)
        killed.update(found)
        os.kill(found[0], signal.SIGKILL)
    (folder / "go").touch()
    out, err = process.communicate(timeout=TIMEOUT_S)
    assert process.wait() == 0, out + err
    assert out.count("trial 0: its process was killed (9); it starts again") == 2
    assert "trial 0: failed: its process was killed 3 times" in out
    assert states(folder / "runs", "s") == ["FAIL", "COMPLETE"]
    assert finished_trials(folder / "runs") == [1]


@pytest.mark.slow
def test_ctrl_c_stops_the_trials_and_a_resumed_sweep_starts_them_again(start: Start, folder: Path) -> None:
    process = start(*script_arguments("s", 2, "--until", "go"), cwd=folder)
    wait_until(lambda: running(folder) == {0, 1}, TIMEOUT_S)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=TIMEOUT_S)
    assert process.wait() == 130
    assert "Stopping 2 trials; Ctrl-C again kills" in err
    assert "Interrupted. Go on with: monitor sweep --resume s" in err
    assert [str(info.status) for info in trial_runs(folder / "runs")] == ["interrupted"] * 2
    assert states(folder / "runs", "s") == ["RUNNING"] * 2
    (folder / "go").touch()
    resumed(start, folder)
    assert finished_trials(folder / "runs") == [0, 1]
    assert states(folder / "runs", "s") == ["COMPLETE"] * 2


@pytest.mark.slow
def test_a_second_ctrl_c_kills_trials_that_do_not_end(start: Start, folder: Path) -> None:
    script = SCRIPT.replace("started =", "import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\nstarted =")
    (folder / "trial.py").write_text(script)
    with (folder / "err").open("w") as file:
        process = start(*script_arguments("s", 2, "--until", "go"), cwd=folder, stderr=file.fileno())
    wait_until(lambda: running(folder) == {0, 1}, TIMEOUT_S)
    process.send_signal(signal.SIGTERM)
    wait_until(lambda: "Stopping" in (folder / "err").read_text(), TIMEOUT_S)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=TIMEOUT_S)
    assert process.wait() == 143
    assert running(folder) == set()
    assert trial_pids(folder / "runs", "s") == []


@pytest.mark.slow
@pytest.mark.parametrize("has_checkpoint", [True, False])
def test_a_killed_trial_of_a_runner_goes_on_in_its_run(
    start: Start, tmp_path: Path, small_mnist: Path, has_checkpoint: bool
) -> None:
    space = ["mlp", "--set", "lr=0.01", "--trials", "1", "--metric", "test/accuracy", "--sink", "tensorboard"]
    fixed = ["--epochs", "60", "--batch-size", "20", "--data-dir", str(small_mnist)]
    fixed += ["--checkpoint-every", "epoch"] if has_checkpoint else []
    process = start(*sweep_arguments(*space, "--name", "s"), "--", *fixed, cwd=tmp_path)
    run = tmp_path / "runs" / "s-0"
    ready = "checkpoints/*.pt" if has_checkpoint else "events.*"
    wait_until(lambda: any(file.stat().st_size > 1000 for file in run.glob(ready)), TIMEOUT_S)
    (pid,) = trial_pids(tmp_path / "runs", "s")
    os.kill(pid, signal.SIGKILL)
    out, err = process.communicate(timeout=TIMEOUT_S)
    assert process.wait() == 0, out + err
    assert "trial 0: its process was killed (9); it starts again" in out
    (info,) = trial_runs(tmp_path / "runs")
    assert (info.name, info.status, info.progress["epoch"]) == ("s-0", "finished", 60)
    (life,) = info.fields["lives"]
    assert life["status"] == "lost"
    assert (life["step"] > 0) == has_checkpoint
    steps = [step for step, _ in event_reader.series(run, "test/accuracy")]
    assert steps == [20 * epoch for epoch in range(1, 61)]


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
def test_kills_at_random_moments_lose_nothing_and_double_nothing(start: Start, folder: Path, seed: int) -> None:
    rng = random.Random(seed)
    arguments = script_arguments("s", 12, "--seconds", "0.5")
    arguments = (*arguments[: arguments.index("--")], "--retries", "99", *arguments[arguments.index("--") :])
    for _ in range(5):
        driver = start(*arguments, cwd=folder)
        deadline = time.monotonic() + rng.uniform(1, 8)
        while time.monotonic() < deadline and driver.poll() is None:
            if rng.random() < 0.3 and (pids := trial_pids(folder / "runs", "s")):
                with suppress(ProcessLookupError):
                    os.kill(rng.choice(pids), signal.SIGKILL)
            if rng.random() < 0.1:
                kill_server(driver.pid)
            with suppress(subprocess.TimeoutExpired):
                driver.wait(rng.uniform(0.1, 1))
        kill(driver)
    out = resumed(start, folder, "--retries", "99")
    assert "12 of 12 trials: 12 complete" in out
    assert states(folder / "runs", "s") == ["COMPLETE"] * 12
    assert finished_trials(folder / "runs") == list(range(12))
    assert not (folder / "doubled").exists()
