"""Samples as tensors in memory: no per-image work is left for the training loop."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Split(NamedTuple):
    """Samples of one part: `x` N×D float, as the model takes them; `y` N int64 classes; `images` N×C×H×W uint8."""

    x: Tensor
    y: Tensor
    images: Tensor | None = None

    def to(self, device: torch.device) -> Split:
        """Put the model's inputs on `device`; the pictures stay where they are."""
        return Split(self.x.to(device), self.y.to(device), self.images)

    def part(self, chosen: Tensor) -> Split:
        """Return the samples at these places."""
        return Split(self.x[chosen], self.y[chosen], None if self.images is None else self.images[chosen])


class Dataset(NamedTuple):
    """A data set, by the name of what it really is."""

    name: str
    train: Split
    test: Split | None
    classes: tuple[str, ...]
    val: Split | None = None

    def held_out(self, device: torch.device) -> dict[str, Split]:
        """Return what is not trained on, by the name of the part."""
        parts = {"val": self.val, "test": self.test}
        return {name: split.to(device) for name, split in parts.items() if split is not None}

    def with_validation(self, fraction: float, seed: int) -> Dataset:
        """Hold a random `fraction` of the training set out, one sample at least, for validation."""
        if not fraction:
            return self
        count = len(self.train.y)
        order = torch.randperm(count, generator=torch.Generator().manual_seed(seed))
        held = min(max(1, round(count * fraction)), count - 1)
        return self._replace(train=self.train.part(order[held:]), val=self.train.part(order[:held]))


def image_dataset(
    name: str, train: tuple[Tensor, Tensor], test: tuple[Tensor, Tensor], classes: tuple[str, ...]
) -> Dataset:
    """Make a data set of N×C×H×W uint8 images and N classes; all are standardized by the training pixels."""
    counts = torch.bincount(train[0].flatten().int(), minlength=256).double()
    levels = torch.arange(256, dtype=torch.float64) / 255
    mean = float((counts * levels).sum() / counts.sum())
    deviation = float((counts * (levels - mean) ** 2).sum() / counts.sum()) ** 0.5 or 1.0
    splits = [
        Split(images.flatten(1).float().div_(255).sub_(mean).div_(deviation), y.long(), images)
        for images, y in (train, test)
    ]
    return Dataset(name, splits[0], splits[1], classes)
