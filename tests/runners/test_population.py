"""A trial of a population goes on from another trial's checkpoint, with options of its own."""

from __future__ import annotations

import json
import os
import shutil
import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
import torch

from monitor.runs.trials.population import Gate, open_gate, read_gate
from monitor.runs.trials.trial import SWEEP_VARIABLE, Population, Trial
from runners.launch.options import CHANGEABLE
from runners.launch.population import change_optimizer
from runners.launch.resume_options import ResumePoint
from runners.training.checkpointing import checkpoints
from runners.training.optimizers import make_optimizer, make_scheduler
from tests.support import event_reader
from tests.support.resuming import train

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from click.testing import Result

STEPS = 20  # of an epoch


class Peers:
    """The sweep of the trials, which opens their gates until it is to interrupt the one behind `last` epochs."""

    def __init__(self, folder: Path, data: Path) -> None:
        self.folder, self.data, self.logdir = folder, data, folder.parent
        (folder / "trials").mkdir(parents=True)
        self.gates: list[Gate] = []

    def train(self, number: int, *options: object, last: int | None = None, **donor: Any) -> Result:
        """Run the trial, as an engine would."""
        population = Population(CHANGEABLE, 1, **donor)
        trial = Trial("p", number, "test/accuracy", "max", {}, self.folder, population=population._asdict())
        with pytest.MonkeyPatch.context() as patch, self._opened(number, last):
            patch.setenv(SWEEP_VARIABLE, trial.to_environment())
            return train(self.logdir, self.data, "--name", f"p-{number}", "--epochs", 4, *options)

    @contextmanager
    def _opened(self, number: int, last: int | None) -> Iterator[None]:
        has_ended = threading.Event()
        self.gates = []

        def open_gates() -> None:
            while not has_ended.wait(0.01):
                gate = read_gate(self.folder, number)
                if gate is not None and gate not in self.gates:
                    self.gates.append(gate)
                    if gate.epoch == last:
                        os.kill(os.getpid(), signal.SIGINT)
                    else:
                        open_gate(self.folder, number)

        opener = threading.Thread(target=open_gates)
        opener.start()
        try:
            yield
        finally:
            has_ended.set()
            opener.join()

    def give(self, donor: int, number: int) -> str:
        """Put the donor's newest checkpoint in the place of those of another trial; return its name."""
        folder = self.logdir / f"p-{number}" / "checkpoints"
        newest = checkpoints.list_checkpoints(self.logdir / f"p-{donor}" / "checkpoints")[-1]
        shutil.rmtree(folder)
        folder.mkdir()
        shutil.copy(newest, folder)
        return newest.name

    def fields(self, number: int) -> dict[str, Any]:
        """Return what the run's `run.json` says."""
        fields: dict[str, Any] = json.loads((self.logdir / f"p-{number}" / "run.json").read_text())
        return fields

    def series(self, number: int, tag: str) -> dict[int, float]:
        """Return the points of a curve."""
        return dict(event_reader.series(self.logdir / f"p-{number}", tag))


def test_a_trial_goes_on_from_the_weights_of_another(tmp_path: Path, small_mnist: Path) -> None:
    peers = Peers(tmp_path / "p.sweep", small_mnist)
    done = peers.train(0, "--lr", 0.01)
    assert done.exit_code == 0, done.output
    assert peers.gates == [Gate(epoch, epoch * STEPS) for epoch in (1, 2, 3)]
    assert len(checkpoints.list_checkpoints(tmp_path / "p-0" / "checkpoints")) == checkpoints.MAX_CHECKPOINTS

    ended = peers.train(1, "--lr", 5, "--dropout", 0, "--weight-decay", 0.5, last=1)
    assert ended.exit_code == 130, ended.output
    assert peers.fields(1)["status"] == "interrupted"

    # With the options of the other trial, it is that one's training from here on, bit by bit.
    donor: Any = {"donor": 0, "checkpoint": peers.give(0, 1)}
    done = peers.train(1, "--lr", 0.01, **donor)
    assert done.exit_code == 0, done.output
    assert peers.gates == []
    assert peers.series(1, "test/loss")[4 * STEPS] == peers.series(0, "test/loss")[4 * STEPS]
    fields = peers.fields(1)
    assert (fields["status"], fields["config"]["lr"], fields["config"]["dropout"]) == ("finished", 0.01, 0.3)
    (exploit,) = fields["exploits"]
    assert (exploit["step"], exploit["trial"], exploit["checkpoint"]) == (3 * STEPS, 0, donor["checkpoint"])
    assert exploit["before"] == {"lr": 5, "dropout": 0, "weight_decay": 0.5}
    assert exploit["values"] == exploit["donor"] == {"lr": 0.01, "dropout": 0.3, "weight_decay": 0}
    losses = peers.series(1, "test/loss")
    assert sorted(losses) == [STEPS, 3 * STEPS, 4 * STEPS]
    assert losses[3 * STEPS] == peers.series(0, "test/loss")[3 * STEPS]
    assert "weights of trial 0, lr 5 → 0.01" in "".join(event_reader.text(tmp_path / "p-1", "population"))


def test_with_changed_options(tmp_path: Path, small_mnist: Path) -> None:
    peers = Peers(tmp_path / "p.sweep", small_mnist)
    assert peers.train(0, "--lr", 0.01, last=1).exit_code == 130
    assert peers.train(1, "--lr", 5, last=2).exit_code == 130
    donor: Any = {"donor": 0, "checkpoint": peers.give(0, 1)}
    changed = ["--lr", 0.002, "--weight-decay", 0.25, "--dropout", 0.1]
    assert peers.train(1, *changed, last=2, **donor).exit_code == 130
    schedule = [(1 + torch.cos(torch.tensor(torch.pi * epoch / 4)).item()) / 2 for epoch in range(4)]
    assert peers.series(1, "lr") == {2 * STEPS: pytest.approx(0.002 * schedule[1])}
    assert peers.gates == [Gate(2, 2 * STEPS)]
    contents = checkpoints.load(tmp_path / "p-1")[1]
    assert {name: contents["options"][name] for name in ("lr", "weight_decay", "dropout")} == {
        "lr": 0.002, "weight_decay": 0.25, "dropout": 0.1
    }  # fmt: skip
    assert contents["optimizer"]["param_groups"][0]["weight_decay"] == 0.25

    # Its process starts again with the same options: it goes on from its own checkpoint, and nothing changes.
    done = peers.train(1, *changed, **donor)
    assert done.exit_code == 0, done.output
    assert peers.gates == [Gate(3, 3 * STEPS)]
    assert len(peers.fields(1)["exploits"]) == 1
    assert peers.series(1, "lr")[4 * STEPS] == pytest.approx(0.002 * schedule[3])
    steps = sorted(peers.series(1, "train/loss"))
    assert steps == [*range(4 * STEPS)]

    refused = peers.train(1, *changed, "--hidden", 8)
    assert refused.exit_code == 2
    assert "'--hidden'" in refused.stderr


@pytest.mark.parametrize(
    ("optimizer", "before", "now"),
    [
        ("sgd", {"momentum": 0.0}, {"momentum": 0.9}),
        ("rmsprop", {"momentum": 0.0}, {"momentum": 0.9}),
        ("rmsprop", {"momentum": 0.9}, {"momentum": 0.0}),
        ("adam", {"lr": 0.1, "weight_decay": 0.0}, {"lr": 0.01, "weight_decay": 0.1}),
        ("lbfgs", {"lr": 0.1}, {"lr": 0.2}),
    ],
)
@pytest.mark.parametrize("schedule", ["none", "step"])
def test_what_an_optimizer_gets(
    tmp_path: Path, optimizer: str, before: dict[str, float], now: dict[str, float], schedule: str
) -> None:
    saved = {"lr": 0.1, "momentum": 0.0, "weight_decay": 0.0, **before}
    weight = torch.nn.Parameter(torch.ones(3))
    made = make_optimizer(optimizer, [weight], **saved)
    scheduler = make_scheduler(schedule, made, 3)

    def step() -> None:
        made.step(lambda: weight.square().sum())  # type: ignore[arg-type, return-value]

    weight.grad = torch.ones(3)
    step()
    if scheduler is not None:
        scheduler.step()
    contents = {"options": saved, "at": {"step": 1}}
    point = ResumePoint(tmp_path, "c", contents, population=Population(CHANGEABLE, 1))
    options: Any = type("Options", (), {**saved, **now})
    change_optimizer(point, options, made, scheduler)
    scale = 0.1 if schedule == "step" else 1
    expected = {name: value * (scale if name == "lr" else 1) for name, value in now.items()}
    assert {name: made.param_groups[0][name] for name in now} == pytest.approx(expected)
    step()
    assert torch.isfinite(weight).all()
