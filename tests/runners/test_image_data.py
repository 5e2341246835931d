"""The MLP's options, and the other sets of images."""

from __future__ import annotations

import hashlib
import io
import pickle
import re
import tarfile
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result

from monitor import Logger
from monitor.errors import DataError
from monitor.records import ConfusionMatrix
from monitor.sinks.memory import MemorySink
from runners import mlp
from runners.data import images
from runners.launch import options
from runners.training import models
from runners.training.distributed import DistributedContext
from runners.training.evaluation import evaluate
from tests.support import event_reader

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def train(folder: Path, *arguments: object) -> Result:
    words = [*map(str, arguments), "--logdir", str(folder), "--name", "a", "--sink", "tensorboard"]
    return CliRunner().invoke(mlp.main, words)


def idx(folder: Path, kind: str, images: np.ndarray, labels: np.ndarray) -> None:
    """Write files in MNIST's format, unpacked: only packed ones have known sums."""
    raw = folder / kind / "raw"
    raw.mkdir(parents=True, exist_ok=True)
    for part in ("train", "t10k"):
        for name, array in (("images-idx3-ubyte", images), ("labels-idx1-ubyte", labels)):
            head = bytes([0, 0, 8, array.ndim]) + b"".join(size.to_bytes(4, "big") for size in array.shape)
            (raw / f"{part}-{name}").write_bytes(head + array.astype(np.uint8).tobytes())


SAMPLES = np.random.default_rng(0).integers(0, 256, (50, 28, 28))
LABELS = np.arange(50) % 10


@pytest.mark.parametrize(
    ("name", "kind", "first"), [("fashion-mnist", "FashionMNIST", "T-shirt/top"), ("kmnist", "KMNIST", "o")]
)
def test_sets_in_mnists_format(tmp_path: Path, name: str, kind: str, first: str) -> None:
    idx(tmp_path, kind, SAMPLES, LABELS)
    loaded = images.load(name, tmp_path)
    assert (loaded.name, loaded.classes[0], len(loaded.classes)) == (name, first, 10)
    assert loaded.train.images is not None
    assert np.array_equal(loaded.train.images.squeeze(1).numpy(), SAMPLES)
    assert loaded.train.x.mean().item() == pytest.approx(0, abs=1e-4)
    assert loaded.train.x.std().item() == pytest.approx(1, abs=1e-3)
    said = train(tmp_path / "runs", "--data", name, "--data-dir", tmp_path, "--epochs", 1, "--hidden", 8)
    assert said.exit_code == 0, said.output
    assert first in event_reader.text(tmp_path / "runs" / "a", "predictions/labels")[0]


@pytest.mark.parametrize(
    ("images", "labels", "says"),
    [
        (SAMPLES[:, :27], LABELS, "train-images-idx3-ubyte: images of 28×28 are wanted, not 27×28"),
        (SAMPLES, LABELS[:40], "train-labels-idx1-ubyte: 40 labels for 50 images"),
        (SAMPLES, LABELS + 1, "train-labels-idx1-ubyte: labels 0 to 9 are wanted, not 10"),
        (SAMPLES[:0], LABELS[:0], "labels 0 to 9 are wanted"),
    ],
    ids=["size", "count", "label", "empty"],
)
def test_images_that_do_not_fit_are_one_line(tmp_path: Path, images: np.ndarray, labels: np.ndarray, says: str) -> None:
    idx(tmp_path, "KMNIST", images, labels)
    said = train(tmp_path / "runs", "--data", "kmnist", "--data-dir", tmp_path)
    assert said.exit_code == 2
    assert re.fullmatch(r"Error: [^\n]+\n", said.stderr), said.stderr
    assert says in said.stderr
    assert not (tmp_path / "runs").exists()


@pytest.fixture
def cifar(monkeypatch: pytest.MonkeyPatch) -> bytes:
    """Return an archive in CIFAR-10's layout, with few images, whose sums torchvision is told."""
    from torchvision.datasets import CIFAR10

    rng = np.random.default_rng(1)
    files = {"batches.meta": {"label_names": ["plane", "car", *map(str, range(8))]}}
    for name in [*(f"data_batch_{n}" for n in range(1, 6)), "test_batch"]:
        files[name] = {"data": rng.integers(0, 256, (20, 3072), np.uint8), "labels": [n % 10 for n in range(20)]}
    packed, sums = io.BytesIO(), {}
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, content in files.items():
            blob = pickle.dumps(content)
            sums[name] = hashlib.md5(blob).hexdigest()
            entry = tarfile.TarInfo(f"{CIFAR10.base_folder}/{name}")
            entry.size = len(blob)
            archive.addfile(entry, io.BytesIO(blob))
    monkeypatch.setattr(CIFAR10, "tgz_md5", hashlib.md5(packed.getvalue()).hexdigest())
    monkeypatch.setattr(CIFAR10, "train_list", [[name, sums[name]] for name, _ in CIFAR10.train_list])
    monkeypatch.setattr(CIFAR10, "test_list", [[name, sums[name]] for name, _ in CIFAR10.test_list])
    monkeypatch.setattr(CIFAR10, "meta", {**CIFAR10.meta, "md5": sums["batches.meta"]})
    return packed.getvalue()


def test_cifar10_is_downloaded_checked_and_in_colour(
    tmp_path: Path, cifar: bytes, mirror_of: Callable[[Path], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from torchvision.datasets import CIFAR10

    (tmp_path / "web").mkdir()
    (tmp_path / "web" / CIFAR10.filename).write_bytes(cifar)
    monkeypatch.setattr(CIFAR10, "url", mirror_of(tmp_path / "web") + CIFAR10.filename)
    loaded = images.load("cifar10", tmp_path / "data")
    assert loaded.train.images is not None
    assert loaded.train.images.shape == (100, 3, 32, 32)
    assert loaded.train.images.dtype == torch.uint8
    assert loaded.train.x.shape == (100, 3072)
    said = train(tmp_path / "runs", "--data", "cifar10", "--data-dir", tmp_path / "data", "--epochs", 1, "--hidden", 8)
    assert said.exit_code == 0, said.output
    assert " / plane" in event_reader.text(tmp_path / "runs" / "a", "predictions/labels")[0]


def test_cifar10_that_is_damaged_or_not_to_be_had(
    tmp_path: Path, cifar: bytes, mirror_of: Callable[[Path], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from torchvision.datasets import CIFAR10

    (tmp_path / "web").mkdir()
    (tmp_path / "web" / CIFAR10.filename).write_bytes(cifar[:-9])
    monkeypatch.setattr(CIFAR10, "url", mirror_of(tmp_path / "web") + CIFAR10.filename)
    with pytest.raises(DataError, match=r"CIFAR-10 cannot be had .*give --data-dir a folder with cifar-10-python"):
        images.load("cifar10", tmp_path / "new")
    assert not (tmp_path / "new").exists(), "nothing unchecked stays behind"
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / CIFAR10.filename).write_bytes(b"junk")
    said = train(tmp_path / "runs", "--data", "cifar10", "--data-dir", tmp_path / "own")
    assert said.exit_code == 2
    *_, line = said.stderr.splitlines()  # before it, torchvision shows the progress of a new download
    assert re.fullmatch(r"Error: .+CIFAR-10 there is damaged.+", line)


# The MLP's options


@pytest.mark.parametrize("name", options.INITS)
def test_initialisations(name: str) -> None:
    torch.manual_seed(0)
    model = models.MLP(400, [300], 10)
    models.initialize_weights(model, name)
    first = model[0]
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
    assert "no lower val/loss" in event_reader.text(tmp_path / "b" / "a", "early stopping")[0]
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
        evaluate(
            model, digits.test, torch.nn.functional.cross_entropy, log, 5, "test", digits.classes, DistributedContext()
        )
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
        "--init": options.INITS,
        "--loss": options.LOSSES,
        "--activation": options.ACTIVATIONS,
        "--optimizer": options.OPTIMIZERS,
        "--scheduler": ("none", "step", "cosine"),
        "--data": options.IMAGES,
    }
    assert all(f"'{name}'" in said.stderr for name in known[option])
    assert said.stderr.count("\n") == 1
