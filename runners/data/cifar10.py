"""CIFAR-10."""

from __future__ import annotations

import logging
import warnings
from contextlib import suppress
from typing import TYPE_CHECKING

import torch

from monitor.errors import DataError
from runners.data.dataset import Dataset, image_dataset
from runners.data.download import DatasetUnavailable, socket_timeout

if TYPE_CHECKING:
    from pathlib import Path

log = logging.getLogger("monitor")


def load(directory: Path) -> Dataset:
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
