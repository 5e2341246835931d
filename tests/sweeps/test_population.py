"""`monitor sweep --scheduler pbt`: what it refuses, and what stays within the space."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from monitor.cli import main
from monitor.runs.trials.population import Gate, describe_exploit, open_gate, read_gate
from monitor.sweeps.population import Limits
from monitor.sweeps.settings import read_sweep, write_sweep
from monitor.sweeps.setup import make_sweep

if TYPE_CHECKING:
    from pathlib import Path

POPULATION = ["--engine", "ray", "--scheduler", "pbt"]
LR = ["--set", "lr=log:1e-3..1e-1"]
SETTINGS: Any = {"engine": "ray", "metric": "test/accuracy", "is_module": False, "perturb_every": 3, "trials": 4}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([*LR, "--scheduler", "pbt"], "--scheduler pbt goes with --engine ray"),
        ([*LR, "--scheduler", "asha"], "asha goes with --engine ray"),
        ([*LR, *POPULATION, "--sampler", "tpe"], "draws the first values at random; leave out --sampler tpe"),
        ([*LR, *POPULATION, "--prune", "reduction_factor=3"], "--prune ends bad trials"),
        ([*LR, *POPULATION, "--trials", "1"], "a population has 2 or more"),
        (["--set", "hidden=50..100:50", *POPULATION], "these can: lr, dropout, momentum, weight-decay"),
        ([*LR, "--engine", "ray", "--perturb-every", "2"], "goes with --scheduler pbt"),
    ],
)
def test_what_cannot_be_a_population_takes_one_line(tmp_path: Path, arguments: list[str], said: str) -> None:
    options = ["--metric", "test/accuracy", "--logdir", str(tmp_path), "--trials", "4"]
    done = CliRunner().invoke(main, ["sweep", "mlp", *options, *arguments])
    assert (done.exit_code == 0, done.stderr.count("\n")) == (False, 1)
    assert said in done.stderr
    assert not list(tmp_path.iterdir())


def test_a_script_has_nothing_that_can_change(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("")
    options = ["--metric", "loss", "--trials", "4", "--logdir", str(tmp_path / "runs"), *POPULATION]
    done = CliRunner().invoke(main, ["sweep", str(tmp_path / "train.py"), *LR, *options])
    assert done.exit_code != 0
    assert "which " in done.stderr
    assert "does not take; accepted: linear, logistic, mlp\n" in done.stderr


def test_the_sweep_keeps_that_it_is_one(tmp_path: Path) -> None:
    sweep = make_sweep("mlp", [], space=["lr=0.01,0.1"], name="p", **SETTINGS)
    write_sweep(tmp_path, sweep)
    assert read_sweep(tmp_path) == sweep
    assert (sweep.perturb_every, sweep.sampler) == (3, "random")
    other = make_sweep("mlp", [], space=["lr=0.01,0.1"], name="p", **{**SETTINGS, "perturb_every": 4})
    assert not sweep.has_space_of(other)


def test_changes_stay_within_the_ranges() -> None:
    space = ["lr=log:0.001..0.1", "dropout=0.0..0.5", "momentum=0.5,0.9", "hidden=50,100"]
    sweep = make_sweep("mlp", [], space=space, name="p", **SETTINGS)
    changed = {"lr": 0.12, "dropout": 0.6, "momentum": "0.9", "hidden": "50"}
    assert Limits(sweep)(changed) == {"lr": 0.1, "dropout": 0.5, "momentum": "0.9", "hidden": "50"}


def test_a_gate_that_is_half_written_is_none(tmp_path: Path) -> None:
    (tmp_path / "trials").mkdir()
    assert read_gate(tmp_path, 3) is None
    (tmp_path / "trials" / "3.gate").write_text('{"epoch": 2')
    assert read_gate(tmp_path, 3) is None
    (tmp_path / "trials" / "3.gate").write_text('{"epoch": 2, "step": 40}')
    assert read_gate(tmp_path, 3) == Gate(2, 40)
    open_gate(tmp_path, 3)
    open_gate(tmp_path, 3)
    assert read_gate(tmp_path, 3) is None


def test_a_change_as_a_line() -> None:
    changed = {"trial": 2, "before": {"lr": 0.5, "hidden": [16]}, "values": {"lr": 0.0123456789, "hidden": [24]}}
    assert describe_exploit(changed) == "weights of trial 2, lr 0.5 → 0.0123457, hidden [16] → [24]"
    assert describe_exploit({"trial": None, "before": None, "values": {"lr": 1}}) == "lr None → 1"
