"""Data sets of images, by name.

They come from the data directory if they are there, else by torchvision's own checked downloads into it. Where MNIST
cannot be had, `auto` trains on scikit-learn's bundled digits instead, and says so; neither is ever passed off as the
other.
"""

from __future__ import annotations

import logging
import warnings
from contextlib import suppress
from typing import TYPE_CHECKING

import torch

from monitor.errors import DataError
from runners.data import mnist
from runners.data.dataset import Dataset, Split, image_dataset
from runners.data.download import DatasetUnavailable, socket_timeout

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Dataset", "Split", "cifar10", "digits", "load"]

log = logging.getLogger("monitor")


def load(name: str, directory: Path, mirror: str | None = None) -> Dataset:
    """Load `mnist`, `fashion-mnist`, `kmnist`, `cifar10` or `digits`; for `auto`, MNIST or else the digits.

    Raises `DataError`, in one line, for data that is missing, unreadable or damaged. Downloads block; each waits at
    most 15 s for an answer.
    """
    if name == "digits":
        return digits()
    if directory.exists() and not directory.is_dir():
        raise DataError(f"--data-dir {directory}: is no directory")
    try:
        return (
            cifar10(directory)
            if name == "cifar10"
            else mnist.load("mnist" if name == "auto" else name, directory, mirror)
        )
    except DatasetUnavailable as error:
        if name != "auto":
            raise DataError(f"{_title(name)} cannot be had ({error}); {_ways_out(name)}") from error
        log.warning(
            "MNIST cannot be had (%s); training on scikit-learn's handwritten digits instead (1,797 of them)", error
        )
        return digits()


def _title(name: str) -> str:
    return "CIFAR-10" if name == "cifar10" else mnist.TORCHVISION_NAMES[name]


def _ways_out(name: str) -> str:
    ways = {
        "mnist": "the four MNIST files, --mnist-mirror a URL that has them,",
        "cifar10": "cifar-10-python.tar.gz,",
    }
    files = ways.get(name, f"{mnist.TORCHVISION_NAMES.get(name)}/raw and the four files in it,")
    return f"give --data-dir a folder with {files} or --data digits for the small set that needs no download"


def digits() -> Dataset:
    """Return scikit-learn's 1,797 handwritten digits, 8×8 scaled to 28×28; every fifth is for testing."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    small = torch.from_numpy(bunch.images).float().unsqueeze(1) / 16
    scaled = torch.nn.functional.interpolate(small, size=(28, 28), mode="bilinear", align_corners=False)
    images = scaled.mul(255).round().byte()
    y = torch.from_numpy(bunch.target).long()
    test = torch.arange(len(y)) % 5 == 0
    return image_dataset("digits", (images[~test], y[~test]), (images[test], y[test]), tuple("0123456789"))


def cifar10(directory: Path) -> Dataset:
    """Return CIFAR-10, 50,000 + 10,000 colour images of 32×32. Raises `DataError`, or `Unavailable`."""
    from torchvision.datasets import CIFAR10

    archive = directory / CIFAR10.filename
    given = archive.exists() or (directory / CIFAR10.base_folder).exists()
    made = [path for path in (directory, *directory.parents) if not path.exists()]
    if not given:
        log.info("downloading %s", CIFAR10.url)
    try:
        with socket_timeout(), warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of torchvision's way to unpack
            parts = [CIFAR10(str(directory), train=train, download=True) for train in (True, False)]
    except (OSError, RuntimeError, ValueError, EOFError) as error:
        why = " ".join(str(error).split())
        if given and isinstance(error, PermissionError):
            raise DataError(
                f"{directory}: CIFAR-10 cannot be unpacked there ({why}); copy it to another folder"
            ) from error
        if given:
            raise DataError(f"{directory}: CIFAR-10 there is damaged ({why}); remove it, or get it anew") from error
        with suppress(OSError):
            archive.unlink()  # nothing unchecked stays behind
        for path in made:
            with suppress(OSError):
                path.rmdir()  # only if nothing is in it
        raise DatasetUnavailable(f"no download: {CIFAR10.url}: {why}") from error
    train, test = (
        (torch.from_numpy(part.data).permute(0, 3, 1, 2).contiguous(), torch.tensor(part.targets)) for part in parts
    )
    return image_dataset("cifar10", train, test, tuple(parts[0].classes))
