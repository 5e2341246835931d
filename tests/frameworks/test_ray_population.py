"""`monitor sweep --engine ray --scheduler pbt`: bad trials go on from the weights of good ones."""

from __future__ import annotations

import json
import os
import signal
from typing import TYPE_CHECKING, Any

import pytest

from monitor.events.reading.reader import read_scalars
from monitor.testing import wait_until
from tests.frameworks.test_ray_sweep import TIMEOUT_S, start_sweep
from tests.support.sweeps import trial_pids, trial_runs

if TYPE_CHECKING:
    from pathlib import Path

    from monitor.runs.listing import RunInfo

pytestmark = [pytest.mark.timeout(900), pytest.mark.xdist_group("ray")]

TRIALS, ROUND_EPOCHS, STEPS = 4, 12, 8  # steps of an epoch of the digits
# With this seed, two of four learning rates let nothing be learned.
SPACE = ["--set", "lr=log:0.001..1000", "--set", "hidden=16,24", "--seed", "5"]
RAY = ["--engine", "ray", "--cpus", "0.25", "--scheduler", "pbt", "--perturb-every", str(ROUND_EPOCHS)]
OPTIONS = ["--trials", str(TRIALS), "--metric", "test/accuracy", "--sink", "tensorboard", "--name", "p"]


def start(folder: Path, rounds: int) -> Any:
    """Start a sweep over trainings of so many rounds."""
    runner = ["--", "--data", "digits", "--epochs", str(rounds * ROUND_EPOCHS), "--no-output", "--record", "none"]
    return start_sweep(folder, "mlp", *SPACE, *OPTIONS, *RAY, *runner)


def exploits(runs: list[RunInfo]) -> list[dict[str, Any]]:
    """Return how trials have gone on from others."""
    return [exploit for run in runs for exploit in run.fields.get("exploits", [])]


def lives(runs: Path) -> list[dict[str, Any]]:
    """Return the lives of all runs that have ended before another began."""
    return [life for run in trial_runs(runs) for life in run.fields.get("lives", [])]


def check(folder: Path, rounds: int) -> str:
    """Check what a sweep has left; return what it has printed."""
    out = (folder / "out").read_text()
    runs = {run.fields["sweep"]["trial"]: run for run in trial_runs(folder / "runs")}
    assert sorted(runs) == list(range(TRIALS)), out
    assert [run.status for run in runs.values()] == ["finished"] * TRIALS, out
    curves = {number: read_scalars(run.path, ["lr", "train/loss", "test/accuracy"]) for number, run in runs.items()}
    for number, run in runs.items():
        steps = [step for step, _ in curves[number]["train/loss"]]
        assert steps == sorted(set(steps))
        assert steps[-1] == rounds * ROUND_EPOCHS * STEPS - 1
        assert run.progress["epoch"] == rounds * ROUND_EPOCHS
        found = run.fields.get("exploits", [])
        lr = next(
            (exploit["before"]["lr"] for exploit in found if "lr" in exploit["before"]), run.fields["config"]["lr"]
        )
        assert len({exploit["checkpoint"] for exploit in found}) == len(found)
        assert run.fields["config"]["lr"] == run.fields["sweep"]["values"]["lr"]
        for exploit, later in zip(found, [*found[1:], None]):
            assert exploit["trial"] != number
            lr = exploit["values"].get("lr", lr)
            end = later["step"] if later else steps[-1] + 2
            rates = [value for step, value in curves[number]["lr"] if exploit["step"] < step < end]
            assert rates == [pytest.approx(lr)] * len(rates)
        assert lr == run.fields["config"]["lr"]
    assert len(json.loads((folder / "runs" / "p.sweep" / "ray.json").read_text())) == TRIALS
    assert f"{TRIALS} of {TRIALS} trials: {TRIALS} complete" in out
    assert "UserWarning" not in out
    return out


def test_bad_trials_go_on_from_the_weights_of_good_ones(tmp_path: Path) -> None:
    done = start(tmp_path, rounds=5)
    assert done.wait(TIMEOUT_S) == 0, (tmp_path / "out").read_text()
    out = check(tmp_path, rounds=5)
    runs = trial_runs(tmp_path / "runs")
    values = [dict(read_scalars(run.path, ["test/accuracy"])["test/accuracy"]) for run in runs]
    jumps = [
        (points[exploit["step"]], max(value for step, value in points.items() if step < exploit["step"]))
        for points, run in zip(values, runs)
        for exploit in run.fields.get("exploits", [])[:1]
    ]
    assert any(value > 0.6 and before < 0.3 for value, before in jumps), (jumps, out)
    top = max(run.metrics["test/accuracy"]["last"] for run in runs)
    best = [run for run in runs if run.metrics["test/accuracy"]["last"] == top]
    printed = [run for run in best if f"--lr {run.fields['config']['lr']} " in out]
    assert printed, out
    assert ("These are its last options" in out) in {bool(run.fields.get("exploits")) for run in printed}


@pytest.mark.slow
@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGINT])
def test_killed_trials_and_a_sweep_that_is_ended_go_on(tmp_path: Path, end: signal.Signals) -> None:
    runs = tmp_path / "runs"
    first = start(tmp_path, rounds=8)
    try:
        wait_until(lambda: exploits(trial_runs(runs)), TIMEOUT_S)
        wait_until(lambda: trial_pids(runs, "p"), TIMEOUT_S)
        for pid in trial_pids(runs, "p"):
            os.kill(pid, signal.SIGKILL)
        wait_until(lambda: any(life["status"] in ("killed", "lost") for life in lives(runs)), TIMEOUT_S)
        first.send_signal(end)
        first.wait(TIMEOUT_S)
    finally:
        first.kill()
        first.wait()
    assert any(run.status != "finished" for run in trial_runs(runs))
    done = start_sweep(tmp_path, "--resume", "p", "--cpus", "0.25")
    assert done.wait(TIMEOUT_S) == 0, (tmp_path / "out").read_text()
    check(tmp_path, rounds=8)
    assert not list((runs / "p.sweep").rglob("checkpoint_*"))
