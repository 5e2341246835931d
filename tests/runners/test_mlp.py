"""The parts of a training: models, optimizers, the loop."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from click.testing import CliRunner

from monitor import Logger
from monitor.sinks.memory import MemorySink
from runners import choices, mlp
from runners.data import images
from runners.data.dataset import Split
from runners.training import loop, losses, models, optimizers
from runners.training.checkpointing.state import TrainConfig
from runners.training.distributed import DistributedContext
from runners.training.evaluation import evaluate, log_metrics
from runners.training.run import TrainingRun

if TYPE_CHECKING:
    from pathlib import Path


def test_the_mlp_learns_real_mnist(mnist: Path, tmp_path: Path) -> None:
    """One epoch with Adam; the full ten, and SGD, are in the release notes: they take a minute."""
    arguments = [
        "--data", "mnist", "--data-dir", str(mnist), "--epochs", "1", "--optimizer", "adam", "--lr", "0.001",
        "--logdir", str(tmp_path), "--name", "a", "--sink", "tensorboard",
    ]  # fmt: skip
    result = CliRunner().invoke(mlp.main, arguments)
    assert result.exit_code == 0, result.output
    from tests.support import event_reader

    assert [step for step, _ in event_reader.series(tmp_path / "a", "train/loss")] == list(range(300))
    assert event_reader.series(tmp_path / "a", "test/accuracy")[0][1] > 0.93


def test_names_on_the_command_line_are_those_of_the_parts() -> None:
    assert tuple(models.ACTIVATIONS) == choices.ACTIVATIONS
    assert tuple(models.INITS) == choices.INITS
    assert tuple(losses.LOSSES) == choices.LOSSES
    assert set(optimizers.OPTIMIZERS) == set(choices.OPTIMIZERS)


def test_every_optimizer_of_torch_that_can_is_offered() -> None:
    def trains_dense_layers(cls: type[torch.optim.Optimizer]) -> bool:
        layer = torch.nn.Linear(2, 2)

        def closure() -> torch.Tensor:
            layer.zero_grad()
            loss: torch.Tensor = layer(torch.ones(1, 2)).sum()
            torch.autograd.backward(loss)
            return loss

        try:
            cls(layer.parameters(), lr=0.01).step(closure)  # type: ignore[arg-type, call-arg]
        except (RuntimeError, TypeError, ValueError):
            return False
        return True

    known = {
        name.lower(): cls
        for name, cls in vars(torch.optim).items()
        if isinstance(cls, type) and issubclass(cls, torch.optim.Optimizer) and cls is not torch.optim.Optimizer
    }
    assert {name for name, cls in known.items() if trains_dense_layers(cls)} == set(choices.OPTIMIZERS)


@pytest.mark.parametrize("optimizer", choices.OPTIMIZERS)
def test_every_optimizer_lowers_the_loss(tmp_path: Path, optimizer: str) -> None:
    lr = {"sgd": 0.1, "asgd": 0.1, "adadelta": 1.0}.get(optimizer, 0.01)
    losses = fit(tmp_path, optimizer, "relu", lr)
    assert losses[-1] < 0.9 * losses[0]


@pytest.mark.parametrize("activation", choices.ACTIVATIONS)
def test_every_activation_trains(tmp_path: Path, activation: str) -> None:
    lr = 0.03 if activation in ("softmax", "softmin", "softmax2d") else 0.01  # they divide 1 among 32 features
    losses = fit(tmp_path, "adam", activation, lr)
    assert losses[-1] < 0.9 * losses[0]


def fit(folder: Path, optimizer: str, activation: str, lr: float) -> list[float]:
    torch.manual_seed(0)
    digits = images.digits()
    model = models.MLP(784, [32], 10, activation)
    sink = MemorySink()
    with Logger(folder / "run", [sink]) as log:
        loop.train(
            model,
            digits,
            torch.nn.functional.cross_entropy,
            optimizers.make_optimizer(optimizer, model.parameters(), lr),
            None,
            TrainConfig(epochs=2, batch_size=100, device=torch.device("cpu")),
            TrainingRun(log),
        )
    return [value for _, value in sink.series("train/loss")]


def test_the_tests_loss_is_the_mean_over_all_samples(tmp_path: Path) -> None:
    digits = images.digits()
    assert digits.train.images is not None
    part = Split(*(torch.cat([field] * 4)[:1234] for field in digits.train if field is not None))
    model = models.MLP(784, [8], 10)
    sink = MemorySink()
    with Logger(tmp_path / "run", [sink]) as log:
        evaluation = evaluate(model, part, torch.nn.functional.cross_entropy, DistributedContext())
        metrics = log_metrics(log, "test", evaluation, 5)
    with torch.no_grad():
        logits = model(part.x)
    wanted = torch.nn.functional.cross_entropy(logits.double(), part.y).item()
    assert metrics["test/loss"] == pytest.approx(wanted, rel=1e-5)
    (loss,), (accuracy,) = sink.series("test/loss"), sink.series("test/accuracy")
    assert loss == pytest.approx((5, wanted), rel=1e-5)
    assert accuracy == pytest.approx((5, (logits.argmax(1) == part.y).double().mean().item()))


def test_the_mlp_has_the_layers_it_is_asked_for() -> None:
    assert [tuple(p.shape) for p in models.MLP(784, [200, 200], 10).parameters()] == [
        (200, 784), (200,), (200, 200), (200,), (10, 200), (10,)
    ]  # fmt: skip
    assert [name for name, _ in models.MLP(4, [3], 2, "leaky-relu").named_children()] == ["fc1", "leaky_relu1", "fc2"]
    assert [tuple(p.shape) for p in models.MLP(4, [], 2).parameters()] == [(2, 4), (2,)]


def test_the_parameter_count() -> None:
    assert models.parameter_count(models.MLP(3, [4], 2)) == 26
    assert models.parameter_count(models.MLP(784, [200, 200], 10)) == 199_210


def test_softmax2d_of_features_is_their_softmax() -> None:
    features = torch.randn(5, 7)
    assert torch.allclose(models.ACTIVATIONS["softmax2d"]()(features), features.softmax(1))
