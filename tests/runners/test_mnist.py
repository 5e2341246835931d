"""MNIST from disk or a mirror, what is wrong with it, and the digits that stand in for it."""

from __future__ import annotations

import gzip
import os
import shutil
from typing import TYPE_CHECKING

import pytest
import torch
from click.testing import CliRunner

from monitor.errors import DataError
from runners import mlp
from runners.data import images, sources

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
