"""Data sets as tensors in memory, ready for the model: the training loop does no work per image."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Split(NamedTuple):
    """Samples: `x` N×D float, the model's input; `y` N int64 classes; `images` N×C×H×W uint8, to look at."""

    x: Tensor
    y: Tensor
    images: Tensor | None = None

    def to(self, device: torch.device) -> Split:
        """Move `x` and `y` to `device`; the images stay where they are."""
        return Split(self.x.to(device), self.y.to(device), self.images)

    def select(self, indices: Tensor) -> Split:
        """Return the samples at `indices`, in that order; also takes a boolean mask."""
        return Split(self.x[indices], self.y[indices], None if self.images is None else self.images[indices])


class Dataset(NamedTuple):
    """A data set in splits; `name` is that of the data really loaded, never `auto`."""

    name: str
    train: Split
    test: Split | None
    classes: tuple[str, ...]
    val: Split | None = None

    def held_out(self, device: torch.device) -> dict[str, Split]:
        """Return the splits to evaluate on, `val` and `test`, as far as there are any, on `device`."""
        splits = {"val": self.val, "test": self.test}
        return {name: split.to(device) for name, split in splits.items() if split is not None}

    def with_validation(self, fraction: float, seed: int) -> Dataset:
        """Move a random `fraction` of the training set, at least one sample, to a validation set; 0 moves none."""
        if not fraction:
            return self
        count = len(self.train.y)
        permutation = torch.randperm(count, generator=torch.Generator().manual_seed(seed))
        val_count = min(max(1, round(count * fraction)), count - 1)
        val, train = permutation[:val_count], permutation[val_count:]
        return self._replace(train=self.train.select(train), val=self.train.select(val))


def image_dataset(
    name: str, train: tuple[Tensor, Tensor], test: tuple[Tensor, Tensor], classes: tuple[str, ...]
) -> Dataset:
    """Make a data set of N×C×H×W uint8 images and N classes, standardized by all training pixels."""
    counts = torch.bincount(train[0].flatten().int(), minlength=256).double()
    levels = torch.arange(256, dtype=torch.float64) / 255
    mean = float((counts * levels).sum() / counts.sum())
    deviation = float((counts * (levels - mean) ** 2).sum() / counts.sum()) ** 0.5 or 1.0
    splits = [
        Split(images.flatten(1).float().div_(255).sub_(mean).div_(deviation), y.long(), images)
        for images, y in (train, test)
    ]
    return Dataset(name, splits[0], splits[1], classes)
