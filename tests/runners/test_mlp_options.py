"""The MLP's options, from the command line to what is logged."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result

from monitor import Logger
from monitor.records import ConfusionMatrix
from monitor.sinks.memory import MemorySink
from runners import choices, mlp
from runners.data import images
from runners.training import models
from runners.training.distributed import DistributedContext
from runners.training.evaluation import evaluate, log_predictions
from tests.support import event_reader

if TYPE_CHECKING:
    from pathlib import Path


def train(folder: Path, *arguments: object) -> Result:
    words = [*map(str, arguments), "--logdir", str(folder), "--name", "a", "--sink", "tensorboard"]
    return CliRunner().invoke(mlp.main, words)


@pytest.mark.parametrize("name", choices.INITS)
def test_initializations(name: str) -> None:
    torch.manual_seed(0)
    model = models.MLP(400, [300], 10)
    models.initialize_weights(model, name)
    first = model[0]
    assert isinstance(first, torch.nn.Linear)
    deviation = {"normal": 1.0, "kaiming": (2 / 400) ** 0.5, "xavier": (2 / 700) ** 0.5, "default": (1 / 1200) ** 0.5}
    assert first.weight.std().item() == pytest.approx(deviation[name], rel=0.02)
    assert bool((first.bias == 0).all()) == (name != "default")


def test_layers_that_are_asked_for() -> None:
    model = models.MLP(4, [3, 3], 2, "selu", dropout=0.5, activate_output=True)
    assert [name for name, _ in model.named_children()] == [
        "fc1", "selu1", "dropout1", "fc2", "selu2", "dropout2", "fc3", "selu3",
    ]  # fmt: skip
    assert [name for name, _ in models.MLP(4, [3], 2).named_children()] == ["fc1", "relu1", "fc2"]


@pytest.mark.parametrize(
    ("scheduler", "rates"), [("none", [0.1] * 6), ("step", [0.1, 0.1, 0.01, 0.01, 0.001, 0.001]), ("cosine", None)]
)
def test_learning_rates(tmp_path: Path, small_mnist: Path, scheduler: str, rates: list[float] | None) -> None:
    where = ["--data", "mnist", "--data-dir", small_mnist, "--hidden", 8]
    said = train(tmp_path, *where, "--epochs", 6, "--lr", 0.1, "--scheduler", scheduler)
    assert said.exit_code == 0, said.output
    rates = rates or [0.05 * (1 + np.cos(np.pi * epoch / 6)) for epoch in range(6)]
    assert [rate for _, rate in event_reader.series(tmp_path / "a", "lr")] == pytest.approx(rates, rel=1e-5)


def test_a_run_with_everything(tmp_path: Path, small_mnist: Path) -> None:
    said = train(
        tmp_path, "--data", "mnist", "--data-dir", small_mnist, "--epochs", 3, "--batch-size", 50, "--hidden", 16,
        "--init", "xavier",
        "--dropout", 0.2, "--optimizer", "sgd", "--momentum", 0.9, "--weight-decay", 0.001, "--val-fraction", 0.25,
        "--log-gradients", "--loss", "hinge2", "--activate-output", "--activation", "gelu",
    )  # fmt: skip
    assert said.exit_code == 0, said.output
    run = tmp_path / "a"
    assert [step for step, _ in event_reader.series(run, "val/loss")] == [6, 12, 18]  # 300 of 400 samples, 50 a step
    assert [step for step, _ in event_reader.series(run, "val/accuracy")] == [6, 12, 18]
    assert [event.step for event in event_reader.read(run).Images("confusion")] == [6, 12, 18]
    assert len(event_reader.read(run).Histograms("gradients/fc1.weight")) == 3
    assert all(value > 0 for _, value in event_reader.series(run, "gradient_norm"))
    assert all(value > 0 for _, value in event_reader.series(run, "samples_per_second"))


def test_early_stopping(tmp_path: Path, small_mnist: Path) -> None:
    where = ["--data", "mnist", "--data-dir", small_mnist, "--hidden", 8]
    said = train(tmp_path / "b", *where, "--epochs", 50, "--lr", 1000.0, "--val-fraction", 0.25, "--early-stopping", 2)
    losses = [loss for _, loss in event_reader.series(tmp_path / "b" / "a", "val/loss")]
    assert len(losses) < 50
    assert not any(loss < min(losses[:-2]) for loss in losses[-2:])
    (text,) = event_reader.text(tmp_path / "b" / "a", "early stopping")
    step, loss, accuracy = re.fullmatch(
        r"no lower val/loss than \S+ \(step (\d+)\) in 2 tests; stopped; "
        r"at step \1: test/loss ([\d.]+), test/accuracy ([\d.]+)",
        text,
    ).groups()  # type: ignore[union-attr]
    val = event_reader.series(tmp_path / "b" / "a", "val/loss")
    assert int(step) == min(val, key=lambda point: point[1])[0]
    for tag, value in (("test/loss", loss), ("test/accuracy", accuracy)):
        assert dict(event_reader.series(tmp_path / "b" / "a", tag))[int(step)] == pytest.approx(float(value), abs=1e-4)
    often = ["--test-every", 2, "--batch-size", 50, "--val-fraction", 0.2, "--early-stopping", 1]
    said = train(tmp_path / "d", *where, "--epochs", 9, "--lr", 0.3, "--optimizer", "adam", *often)
    losses = [loss for _, loss in event_reader.series(tmp_path / "d" / "a", "val/loss")]
    rises = [later >= earlier for earlier, later in pairwise(losses)]
    assert rises.index(True) == len(rises) - 1, "it stops at the first test that is no better, not at the epoch's end"
    said = train(tmp_path / "c", *where, "--early-stopping", 2)
    assert said.exit_code == 2
    assert "'--early-stopping': needs --val-fraction" in said.stderr


def test_validation_is_held_out_of_the_training() -> None:
    digits = images.digits()
    held = digits.with_validation(0.2, seed=3)
    assert held.val is not None
    assert (len(held.train.y), len(held.val.y)) == (1150, 287)
    rows = {tuple(row) for row in held.train.x[:, ::7].tolist()}
    assert not rows & {tuple(row) for row in held.val.x[:, ::7].tolist()}
    again = digits.with_validation(0.2, seed=3)
    assert torch.equal(again.train.y, held.train.y)


def test_the_confusion_matrix_counts(tmp_path: Path) -> None:
    digits, sink = images.digits(), MemorySink()
    assert digits.test is not None
    model = models.MLP(784, [8], 10)
    with Logger(tmp_path / "run", [sink]) as log:
        evaluation = evaluate(model, digits.test, torch.nn.functional.cross_entropy, DistributedContext())
        log_predictions(log, evaluation, digits.classes, 5, DistributedContext())
    (matrix,) = sink.of(ConfusionMatrix)
    said = model(digits.test.x).argmax(1)
    for true in range(10):
        for predicted in range(10):
            count = int(((digits.test.y == true) & (said == predicted)).sum())
            assert matrix.counts[true, predicted] == count
    assert matrix.names == digits.classes


@pytest.mark.parametrize("option", ["--init", "--loss", "--activation", "--optimizer", "--scheduler", "--data"])
def test_unknown_names_list_the_known_ones(tmp_path: Path, option: str) -> None:
    said = train(tmp_path / "runs", option, "unknown")
    assert said.exit_code == 2
    known = {
        "--init": choices.INITS,
        "--loss": choices.LOSSES,
        "--activation": choices.ACTIVATIONS,
        "--optimizer": choices.OPTIMIZERS,
        "--scheduler": ("none", "step", "cosine"),
        "--data": choices.IMAGE_DATASETS,
    }
    assert all(f"'{name}'" in said.stderr for name in known[option][:10])
    more = len(known[option]) - 10
    assert (f"({more} more; see --help)" in said.stderr) is (more > 0)
    assert said.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("option", "spelled", "name"),
    [("--optimizer", "AdamW", "adamw"), ("--activation", "LeakyReLU", "leaky-relu"), ("--init", "Xavier", "xavier"),
     ("--loss", "regularised-expectation", "regularized-expectation"), ("--data", "Fashion_MNIST", "fashion-mnist")],
)  # fmt: skip
def test_names_are_understood_however_they_are_spelled(option: str, spelled: str, name: str) -> None:
    context = mlp.main.make_context("mlp", [option, spelled])
    assert context.params[option.removeprefix("--")] == name
