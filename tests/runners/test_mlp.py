"""The runners' parts: data, models, optimizers, the loop."""

from __future__ import annotations

import gzip
import os
import shutil
from typing import TYPE_CHECKING

import pytest
import torch
from click.testing import CliRunner

from monitor import Logger
from monitor.errors import DataError
from monitor.sinks.memory import MemorySink
from runners import mlp
from runners.data import images, sources
from runners.data.dataset import Split
from runners.training import loop, losses, models, names, optimizers
from runners.training.distributed import DistributedContext
from runners.training.evaluation import evaluate, log_metrics
from runners.training.run import TrainingRun
from runners.training.state import TrainConfig

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def test_real_mnist_is_decoded_as_torchvision_decodes_it(mnist: Path, tmp_path: Path) -> None:
    from torchvision.datasets import MNIST

    ours = images.load("mnist", mnist)
    assert ours.test is not None
    root = tmp_path / "theirs"
    shutil.copytree(mnist, root)
    for part, split in ((True, ours.train), (False, ours.test)):
        theirs = MNIST(str(root), train=part, download=True)
        assert split.images is not None
        assert torch.equal(split.images.squeeze(1), theirs.data)
        assert torch.equal(split.y, theirs.targets)
    assert ours.train.x.mean().item() == pytest.approx(0, abs=1e-3)
    assert ours.train.x.std().item() == pytest.approx(1, abs=1e-3)
    assert sorted(path.name for path in mnist.rglob("*ubyte*")) == sorted(name for name, _ in MNIST.resources), (
        "nothing is unpacked beside the user's files"
    )


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


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda raw: (raw / "t10k-labels-idx1-ubyte.gz").write_bytes(b"junk"), "t10k-labels-idx1-ubyte.gz: damaged"),
        (lambda raw: cut(raw / "train-images-idx3-ubyte.gz"), "train-images-idx3-ubyte.gz: damaged"),
        (lambda raw: unpacked(raw / "train-labels-idx1-ubyte.gz", b"\0\0\x08\x01\0\0"), "header does not fit"),
        (lambda raw: unpacked(raw / "train-labels-idx1-ubyte.gz", b""), "header does not fit"),
    ],
)
def test_damaged_files_are_named(mnist: Path, tmp_path: Path, damage: Callable[[Path], None], says: str) -> None:
    shutil.copytree(mnist, tmp_path / "data")
    damage(tmp_path / "data" / "MNIST" / "raw")
    for name in ("mnist", "auto"):
        with pytest.raises(DataError, match=says):
            images.load(name, tmp_path / "data")
    result = CliRunner().invoke(
        mlp.main, ["--data-dir", str(tmp_path / "data"), "--logdir", str(tmp_path / "runs"), "--epochs", "1"]
    )
    assert result.exit_code == 2
    assert says in result.stderr
    assert result.stderr.count("\n") == 1
    assert not (tmp_path / "runs").exists()


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:1000])


def unpacked(path: Path, content: bytes) -> None:
    path.with_suffix("").write_bytes(content)
    path.unlink()


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads every directory")
def test_a_directory_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir(mode=0)
    with pytest.raises(DataError, match="cannot be read"):
        images.load("mnist", tmp_path / "data")


def test_a_data_dir_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    for name in ("mnist", "auto"):
        with pytest.raises(DataError, match=r"--data-dir .*: is not a directory"):
            images.load(name, tmp_path / "data")


def test_mnist_comes_from_a_mirror_checked(mnist: Path, tmp_path: Path, mirror_of: Callable[[Path], str]) -> None:
    url = mirror_of(mnist / "MNIST" / "raw")
    loaded = images.load("mnist", tmp_path / "new", url.rstrip("/"))
    assert len(loaded.train.y) == 60_000
    again = images.load("mnist", tmp_path / "new")  # from the directory now
    assert again.test is not None
    assert loaded.test is not None
    assert torch.equal(again.test.x, loaded.test.x)


def test_a_mirror_with_damaged_files_is_refused(
    mnist: Path,
    tmp_path: Path,
    mirror_of: Callable[[Path], str],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    bad = tmp_path / "bad"
    shutil.copytree(mnist / "MNIST" / "raw", bad)
    (bad / "train-labels-idx1-ubyte.gz").write_bytes(gzip.compress(b"no labels"))
    url = mirror_of(bad)
    unreachable = sources.IDX_SOURCES["mnist"]._replace(mirrors=(mirror_of(tmp_path / "nothing"),))
    monkeypatch.setitem(sources.IDX_SOURCES, "mnist", unreachable)
    with pytest.raises(DataError, match=r"MNIST is not available .*give --data-dir"):
        images.load("mnist", tmp_path / "new", url)
    assert not list((tmp_path / "new").rglob("train-labels*")), "nothing unchecked stays behind"
    fallen_back = images.load("auto", tmp_path / "new", url)
    assert fallen_back.name == "digits"
    assert "training on scikit-learn's handwritten digits instead" in caplog.text


def test_digits_are_scaled_and_split() -> None:
    digits = images.digits()
    assert digits.name == "digits"
    assert digits.train.images is not None
    assert digits.test is not None
    assert digits.train.images.shape[1:] == (1, 28, 28)
    assert len(digits.train.y) + len(digits.test.y) == 1797
    assert digits.train.x.shape[1] == 784
    assert digits.train.images.dtype == torch.uint8
    assert digits.train.images.max() == 255


def test_names_on_the_command_line_are_those_of_the_parts() -> None:
    assert tuple(models.ACTIVATIONS) == names.ACTIVATIONS
    assert tuple(models.INITS) == names.INITS
    assert tuple(losses.LOSSES) == names.LOSSES
    assert set(optimizers.OPTIMIZERS) == set(names.OPTIMIZERS)


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
    assert {name for name, cls in known.items() if trains_dense_layers(cls)} == set(names.OPTIMIZERS)


@pytest.mark.parametrize("optimizer", names.OPTIMIZERS)
def test_every_optimizer_lowers_the_loss(tmp_path: Path, optimizer: str) -> None:
    lr = {"sgd": 0.1, "asgd": 0.1, "adadelta": 1.0}.get(optimizer, 0.01)
    losses = fit(tmp_path, optimizer, "relu", lr)
    assert losses[-1] < 0.9 * losses[0]


@pytest.mark.parametrize("activation", names.ACTIVATIONS)
def test_every_activation_trains(tmp_path: Path, activation: str) -> None:
    losses = fit(tmp_path, "adam", activation, 0.01)
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
