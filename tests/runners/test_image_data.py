"""The other sets of images: in MNIST's format, and CIFAR-10."""

from __future__ import annotations

import hashlib
import io
import pickle
import re
import tarfile
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result

from monitor.errors import DataError
from runners import mlp
from runners.data import images, sources
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
        (SAMPLES[:, :27], LABELS, "train-images-idx3-ubyte: images of 28×28 are expected, not 27×28"),
        (SAMPLES, LABELS[:40], "train-labels-idx1-ubyte: 40 labels for 50 images"),
        (SAMPLES, LABELS + 1, "train-labels-idx1-ubyte: labels 0 to 9 are expected, not 10"),
        (SAMPLES[:0], LABELS[:0], "labels 0 to 9 are expected"),
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
    """Return an archive in CIFAR-10's layout, with few images, and expect its checksums."""
    rng = np.random.default_rng(1)
    files: dict[str, dict[str, object]] = {"batches.meta": {"label_names": ["plane", "car", *map(str, range(8))]}}
    for name in [*(f"data_batch_{n}" for n in range(1, 6)), "test_batch"]:
        files[name] = {"data": rng.integers(0, 256, (20, 3072), np.uint8), "labels": [n % 10 for n in range(20)]}
    packed, sums = io.BytesIO(), {}
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, content in files.items():
            blob = pickle.dumps(content)
            sums[name] = hashlib.md5(blob).hexdigest()
            entry = tarfile.TarInfo(f"{sources.CIFAR10.folder}/{name}")
            entry.size = len(blob)
            archive.addfile(entry, io.BytesIO(blob))
    small = sources.CIFAR10._replace(
        archive_checksum=hashlib.md5(packed.getvalue()).hexdigest(),
        train_checksums={name: sums[name] for name in sources.CIFAR10.train_checksums},
        test_checksums={name: sums[name] for name in sources.CIFAR10.test_checksums},
        labels_checksums={name: sums[name] for name in sources.CIFAR10.labels_checksums},
    )
    monkeypatch.setattr(sources, "CIFAR10", small)
    return packed.getvalue()


def test_cifar10_is_downloaded_checked_and_in_color(
    tmp_path: Path, cifar: bytes, mirror_of: Callable[[Path], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "web").mkdir()
    (tmp_path / "web" / sources.CIFAR10.archive).write_bytes(cifar)
    url = mirror_of(tmp_path / "web") + sources.CIFAR10.archive
    monkeypatch.setattr(sources, "CIFAR10", sources.CIFAR10._replace(url=url))
    loaded = images.load("cifar10", tmp_path / "data")
    assert loaded.train.images is not None
    assert loaded.train.images.shape == (100, 3, 32, 32)
    assert loaded.train.images.dtype == torch.uint8
    assert loaded.train.x.shape == (100, 3072)
    said = train(tmp_path / "runs", "--data", "cifar10", "--data-dir", tmp_path / "data", "--epochs", 1, "--hidden", 8)
    assert said.exit_code == 0, said.output
    assert " / plane" in event_reader.text(tmp_path / "runs" / "a", "predictions/labels")[0]


def test_cifar10_that_is_damaged_or_not_available(
    tmp_path: Path, cifar: bytes, mirror_of: Callable[[Path], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "web").mkdir()
    (tmp_path / "web" / sources.CIFAR10.archive).write_bytes(cifar[:-9])
    url = mirror_of(tmp_path / "web") + sources.CIFAR10.archive
    monkeypatch.setattr(sources, "CIFAR10", sources.CIFAR10._replace(url=url))
    with pytest.raises(DataError, match=r"CIFAR-10 is not available .*give --data-dir a folder with cifar-10-python"):
        images.load("cifar10", tmp_path / "new")
    assert not (tmp_path / "new").exists(), "nothing unchecked stays behind"
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / sources.CIFAR10.archive).write_bytes(b"junk")
    said = train(tmp_path / "runs", "--data", "cifar10", "--data-dir", tmp_path / "own")
    assert said.exit_code == 2
    *_, line = said.stderr.splitlines()  # before it, torchvision shows the progress of a new download
    assert re.fullmatch(r"Error: .+CIFAR-10 there is damaged.+", line)


def test_cifar10_is_unpacked_again_where_a_file_is_damaged(
    tmp_path: Path, cifar: bytes, mirror_of: Callable[[Path], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / sources.CIFAR10.archive).write_bytes(cifar)
    monkeypatch.setattr(sources, "CIFAR10", sources.CIFAR10._replace(url=mirror_of(tmp_path / "nothing")))
    loaded = images.load("cifar10", tmp_path)
    batch = tmp_path / sources.CIFAR10.folder / "data_batch_3"
    intact = batch.read_bytes()
    assert loaded.train.images is not None
    assert np.array_equal(loaded.train.images[40:60].flatten(1).numpy(), pickle.loads(intact)["data"])
    batch.write_bytes(intact[:-5])
    assert images.load("cifar10", tmp_path).train.x.equal(loaded.train.x)
    assert batch.read_bytes() == intact
