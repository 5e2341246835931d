"""Image data sets, by name.

They are read from the data directory, or downloaded into it and checked. Where MNIST is not available, `auto` trains on
scikit-learn's bundled digits instead, and says so; the run's config names the data that it really used.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import torch

from monitor.errors import DataError
from runners.data import cifar10, mnist
from runners.data.dataset import Dataset, image_dataset
from runners.data.download import DatasetUnavailable
from runners.data.sources import IDX_SOURCES

if TYPE_CHECKING:
    from pathlib import Path

log = logging.getLogger("monitor")


def load(name: str, directory: Path, mirror: str | None = None) -> Dataset:
    """Load `mnist`, `fashion-mnist`, `kmnist`, `cifar10` or `digits`; for `auto`, MNIST or else the digits.

    Raises `DataError`, in one line, for data that is missing, unreadable or damaged. Downloads block; each waits at
    most 15 s for an answer.
    """
    if name == "digits":
        return digits()
    if directory.exists() and not directory.is_dir():
        raise DataError(f"--data-dir {directory}: is not a directory")
    try:
        if name == "cifar10":
            return cifar10.load(directory)
        return mnist.load("mnist" if name == "auto" else name, directory, mirror)
    except DatasetUnavailable as error:
        if name != "auto":
            raise DataError(f"{_title(name)} is not available ({error}); {_remedy(name)}") from error
        log.warning(
            "MNIST is not available (%s); training on scikit-learn's handwritten digits instead (1,797 of them)", error
        )
        return digits()


def _title(name: str) -> str:
    return "CIFAR-10" if name == "cifar10" else IDX_SOURCES[name].title


def _remedy(name: str) -> str:
    if name == "mnist":
        files = "the four MNIST files, --mnist-mirror a URL that has them,"
    elif name == "cifar10":
        files = "cifar-10-python.tar.gz,"
    else:
        files = f"{IDX_SOURCES[name].title}/raw and the four files in it,"
    return f"give --data-dir a folder with {files} or --data digits for the small set that needs no download"


def digits() -> Dataset:
    """Return scikit-learn's 1,797 handwritten digits, 8×8 pixels scaled to 28×28; every fifth is a test image."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    small = torch.from_numpy(bunch.images).float().unsqueeze(1) / 16
    scaled = torch.nn.functional.interpolate(small, size=(28, 28), mode="bilinear", align_corners=False)
    images = scaled.mul(255).round().byte()
    y = torch.from_numpy(bunch.target).long()
    test = torch.arange(len(y)) % 5 == 0
    return image_dataset("digits", (images[~test], y[~test]), (images[test], y[test]), tuple("0123456789"))
