"""`monitor sweep` as a user runs it: real trials in processes of their own."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.support import event_reader
from tests.support.sweeps import (
    SCRIPT,
    finished_trials,
    script_arguments,
    states,
    stored_trials,
    sweep_arguments,
    trial_runs,
)

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.processes import Start

TIMEOUT_S = 200
MLP = ("mlp", "--metric", "test/accuracy", "--sink", "tensorboard", "--name", "s")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with the script of trials."""
    (tmp_path / "trial.py").write_text(SCRIPT)
    return tmp_path


def test_a_sweep_over_a_script(start: Start, folder: Path) -> None:
    process = start(*script_arguments("s", 5, "--seconds", "0.1"), cwd=folder, env=environment(SLURM_PROCID="3"))
    out, err = process.communicate(timeout=TIMEOUT_S)
    assert process.wait() == 0, err
    runs = trial_runs(folder / "runs")
    assert [info.name for info in runs] == [f"s-{number}" for number in range(5)]
    stored = {trial.number: trial for trial in stored_trials(folder / "runs", "s")}
    best = min(stored.values(), key=lambda trial: trial.value)
    for info in runs:
        sweep = info.fields["sweep"]
        trial = stored[sweep["trial"]]
        x = trial.params["x"]
        assert sweep == {"name": "s", "trial": trial.number, "metric": "loss", "goal": "min", "values": {"x": x}}
        assert trial.value == pytest.approx((x - 0.3) ** 2)
        assert trial.user_attrs["run"] == str(info.path)
        assert dict(event_reader.series(info.path, "loss")) == pytest.approx({0: trial.value})
    assert "[5/5] trial" in out
    assert "5 of 5 trials: 5 complete" in out
    # The best command line is one that a shell takes.
    command = next(line for line in out.splitlines() if line.startswith("  monitor run trial.py"))
    assert shlex.split(command)[1:] == ["run", "trial.py", "--seconds", "0.1", "--x", str(best.params["x"])]
    assert not (folder / "doubled").exists()


@pytest.mark.slow
def test_a_sweep_over_a_runner_with_flags_and_commas(start: Start, tmp_path: Path, small_mnist: Path) -> None:
    space = ["--set", "lr=log:1e-3..1e-1", "--set", "hidden=8,8|16", "--set", "log-gradients=true,false"]
    fixed = ["--", "--epochs", "1", "--batch-size", "100", "--data-dir", str(small_mnist)]
    process = start(*sweep_arguments(*MLP, *space, "--trials", "4", "--jobs", "2"), *fixed, cwd=tmp_path)
    out, err = process.communicate(timeout=TIMEOUT_S)
    assert process.wait() == 0, err
    for info in trial_runs(tmp_path / "runs"):
        values = info.fields["sweep"]["values"]
        assert info.config["lr"] == values["lr"]
        assert info.config["hidden"] == [int(width) for width in str(values["hidden"]).split(",")]
        histograms = event_reader.read(info.path).Tags()["histograms"]
        assert any("gradients" in tag for tag in histograms) == values["log-gradients"]
        assert info.fields["command"][1:5] == ["-m", "monitor", "train", "mlp"]
    assert finished_trials(tmp_path / "runs") == [0, 1, 2, 3]
    best = max(stored_trials(tmp_path / "runs", "s"), key=lambda trial: trial.value)
    assert f"  monitor train mlp {shlex.join(fixed[1:])} --lr {best.params['lr']!r} --hidden" in out


RUNNER = """
import click
from monitor import Logger

@click.command()
@click.option("--size", type=click.IntRange(1, 9), required=True)
def main(size):
    with Logger(config={"size": size}) as log:
        log.scalar("score", float(size), 0)
        print("rank 0 of 1", __import__("os").environ.get("SLURM_PROCID"))
"""


def test_a_sweep_over_a_runner_of_another_package_without_our_options(start: Start, tmp_path: Path) -> None:
    package = tmp_path / "package"
    (package / "theirs-1.0.dist-info").mkdir(parents=True)
    (package / "theirs-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: theirs\nVersion: 1.0\n")
    (package / "theirs-1.0.dist-info" / "entry_points.txt").write_text("[monitor.runners]\ntheirs = theirs:main\n")
    (package / "theirs.py").write_text(RUNNER)
    options = ["--set", "size=1..9:4", "--sampler", "grid", "--metric", "score", "--sink", "tensorboard", "--name", "s"]
    variables = environment(PYTHONPATH=str(package), SLURM_PROCID="3")
    process = start(*sweep_arguments("theirs", *options), cwd=tmp_path, env=variables, fresh=True)
    out, err = process.communicate(timeout=TIMEOUT_S)
    assert process.wait() == 0, out + err
    assert "  monitor train theirs --size 9" in out.splitlines()
    runs = trial_runs(tmp_path / "runs")
    assert [info.name for info in runs] == ["s-0", "s-1", "s-2"]
    assert sorted(info.config["size"] for info in runs) == [1, 5, 9]
    assert (tmp_path / "runs" / "s.sweep" / "trials" / "0.log").read_text().startswith("rank 0 of 1 None\n")


@pytest.mark.slow
def test_several_drivers_are_one_sweep_and_more_trials_may_follow(start: Start, folder: Path) -> None:
    first = start(*script_arguments("s", 6, "--seconds", "0.3", jobs=1), cwd=folder)
    same = start(*script_arguments("s", 6, "--seconds", "0.3", jobs=1), cwd=folder)  # as of each task of `srun`
    outputs = [process.communicate(timeout=TIMEOUT_S)[0] for process in (first, same)]
    assert [process.wait() for process in (first, same)] == [0, 0]
    assert finished_trials(folder / "runs") == list(range(6))
    assert all("6 of 6 trials: 6 complete" in out for out in outputs)
    more = start(*sweep_arguments("--resume", "s", "--trials", "8", "--jobs", "2"), cwd=folder)
    out, err = more.communicate(timeout=TIMEOUT_S)
    assert more.wait() == 0, err
    assert "Sweep s: 6 of 8 trials" in out
    assert finished_trials(folder / "runs") == list(range(8))
    other = start(*script_arguments("s", 6, "--seconds", "1"), cwd=folder)
    assert "there is another sweep 's'" in other.communicate(timeout=TIMEOUT_S)[1]
    assert other.wait() == 2
    assert not (folder / "doubled").exists()


def test_a_dry_run_shows_commands_and_writes_nothing(start: Start, tmp_path: Path) -> None:
    space = ["--set", "lr=0.1,0.2", "--set", "hidden=200,200|500", "--sampler", "grid"]
    process = start(*sweep_arguments(*MLP, *space, "--dry-run"), cwd=tmp_path)
    lines = process.communicate(timeout=TIMEOUT_S)[0].splitlines()
    assert sorted(lines) == [
        f"monitor train mlp --lr {lr} --hidden {hidden}" for lr in (0.1, 0.2) for hidden in ("200,200", "500")
    ]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_mistakes_end_a_sweep_early_with_one_line(start: Start, folder: Path) -> None:
    def ends(*arguments: str) -> str:
        process = start(*sweep_arguments(*arguments), cwd=folder)
        out, err = process.communicate(timeout=TIMEOUT_S)
        assert process.wait() == (2 if "Sweep" not in out else 1)
        return err.splitlines()[-1]

    script = ("trial.py", "--set", "x=0.0..1.0", "--trials", "9", "--sink", "tensorboard")
    message = ends(*script, "--metric", "los", "--goal", "min", "--name", "a")
    assert "has no metric 'los'; did you mean 'loss'?" in message
    assert message.endswith("go on with: monitor sweep --resume a")
    assert states(folder / "runs", "a") == ["FAIL"]
    (folder / "broken.py").write_text("import sys\nsys.exit('no such file: data.csv')\n")
    broken = ("broken.py", *script[1:], "--metric", "loss", "--name", "b")
    assert "the first 3 trials failed; the last one: " in ends(*broken)
    assert states(folder / "runs", "b") == ["FAIL"] * 3
    assert ends("mlp", "--set", "lr=1..", "--metric", "loss") == f"Error: lr=1..: '1..' is no range; {forms()}"
    assert "options of the program itself come after --" in ends("mlp", "--epochs", "3")
    assert ends("--resume", "c") == "Error: there is no sweep 'c' in 'runs'; known: a, b"
    assert "There is nothing to sweep" in ends()


def forms() -> str:
    from monitor.sweeps.space import FORMS

    return FORMS


@pytest.mark.slow
def test_optuna_is_loaded_by_drivers_alone() -> None:
    script = """
import sys
from monitor.sweeps.target import Target
from monitor.sweeps.processes.trial_server import can_fork, preload
preload(Target.find("mlp", []).preloads)
print("optuna" in sys.modules, "torch" in sys.modules, "runners.launch.job" in sys.modules, can_fork())
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=TIMEOUT_S, check=True)
    assert done.stdout.split() == ["False", "True", "True", "True"]
    script = "import sys\ntry:\n    from monitor.cli import main; main(['sweep', '--help'])\nfinally:\n"
    script += "    print([name for name in ('optuna', 'torch', 'numpy') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=TIMEOUT_S, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def environment(**variables: str) -> dict[str, str]:
    return {**os.environ, "SLURM_NTASKS": "8", **variables}
