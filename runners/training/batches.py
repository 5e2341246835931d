"""The batches of an epoch, shared by all processes."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runners.data.dataset import Split
    from runners.training.checkpointing.state import TrainConfig
    from runners.training.distributed import DistributedContext


class Batch(NamedTuple):
    """This process's share of a batch, which may be empty.

    `weight` makes the mean over all processes of their weighted mean losses the mean over all samples.
    """

    x: Tensor
    y: Tensor
    total_size: int  # samples, of all processes
    weight: float


def batches(
    split: Split, config: TrainConfig, distributed: DistributedContext, epoch: int, skip: int = 0
) -> Iterator[Batch]:
    """Yield this process's share of each batch of an epoch, except the first `skip` batches.

    Each sample comes once, in an order that seed and epoch determine; the last batch may be smaller. A batch of all
    samples is not shuffled.
    """
    count, rank, world_size = len(split.y), distributed.rank, distributed.world_size

    def batch(x: Tensor, y: Tensor, total_size: int) -> Batch:
        return Batch(x, y, total_size, len(y) * world_size / total_size if world_size > 1 else 1.0)

    if config.batch_size >= count:
        if not skip:
            yield batch(split.x[rank::world_size], split.y[rank::world_size], count)
        return
    indices = distributed.epoch_indices(count, config.seed, epoch).to(split.y.device)
    shares = list(torch.split(indices, distributed.local_batch_size(config.batch_size)))
    shares += [indices[:0]] * (math.ceil(count / config.batch_size) - len(shares))
    for number, share in enumerate(shares[skip:], start=skip):
        total_size = min(config.batch_size, count - number * config.batch_size)
        yield batch(split.x.index_select(0, share), split.y.index_select(0, share), total_size)
