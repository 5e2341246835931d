"""Training on several processes or machines, under `torchrun`; alone, all of this does nothing.

Each process takes its share of every batch, DistributedDataParallel averages the gradients, and what is measured is
summed over all before rank 0 logs it. Shares are weighted by their size, so an uneven one changes nothing.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

import click
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.distributed_c10d import PrefixStore
from torch.distributed.rendezvous import rendezvous
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DistributedSampler

if TYPE_CHECKING:
    from collections.abc import Iterator

TIMEOUT = timedelta(minutes=5)  # for the slowest process


class DistributedContext(NamedTuple):
    """The processes of one training: how many, and which of them this is."""

    rank: int = 0
    world_size: int = 1
    device: torch.device | None = None

    def local_batch_size(self, batch_size: int) -> int:
        """Return how many samples of a batch are this process's."""
        if batch_size % self.world_size:
            raise click.BadParameter(
                f"{batch_size} samples cannot be shared by {self.world_size} processes; "
                f"give a multiple of {self.world_size}.",
                param_hint="'--batch-size'",
            )
        return batch_size // self.world_size

    def parallel(self, model: nn.Module) -> nn.Module:
        """Return the model with gradients that are averaged over all processes."""
        return DistributedDataParallel(model) if self.world_size > 1 else model

    def epoch_indices(self, count: int, seed: int, epoch: int) -> Tensor:
        """Return the places of this process's samples of an epoch, shuffled as for one process, without any twice."""
        places: Any = range(count)  # its length is all that the sampler asks for
        sampler: Any = DistributedSampler(places, self.world_size, self.rank, shuffle=True, seed=seed)
        sampler.set_epoch(epoch)
        mine = torch.tensor(list(sampler))
        return mine[
            : (count - self.rank + self.world_size - 1) // self.world_size
        ]  # the sampler repeats some, to be even

    def sum(self, values: Tensor) -> Tensor:
        """Return the sum over all processes, in each of them; waits for all."""
        if self.world_size > 1:
            dist.all_reduce(values)
        return values

    def mean(self, loss: Tensor, flag: bool | None) -> tuple[Tensor, bool]:
        """Return the mean of all processes' losses, and whether any raised the flag; None asks for none.

        Waits for all; on a GPU only where there is a flag to read.
        """
        if self.world_size == 1:
            return loss, bool(flag)
        both = self.sum(torch.stack([loss.detach(), torch.full_like(loss.detach(), float(bool(flag)))]))
        return both[0] / self.world_size, flag is not None and bool(both[1] > 0)

    def broadcast(self, value: Any) -> Any:
        """Return rank 0's value in all processes; waits for all."""
        if self.world_size == 1:
            return value
        box = [value]
        dist.broadcast_object_list(box, src=0)
        return box[0]

    def gather(self, value: Any) -> list[Any]:
        """Return all processes' values, by rank; waits for all."""
        if self.world_size == 1:
            return [value]
        found: list[Any] = [None] * self.world_size
        dist.all_gather_object(found, value)
        return found

    @contextmanager
    def rank_0_first(self) -> Iterator[None]:
        """Let rank 0 do something, such as a download, before the others do it."""
        if self.world_size > 1 and self.rank > 0:
            dist.barrier()
        yield
        if self.world_size > 1 and self.rank == 0:
            dist.barrier()


@contextmanager
def init_distributed(device: str) -> Iterator[DistributedContext]:
    """Join the other processes that torchrun started, with nccl on GPUs and gloo elsewhere."""
    size = int(os.environ.get("WORLD_SIZE", "1")) if "RANK" in os.environ else 1
    if size == 1:
        yield DistributedContext()
        return
    local = int(os.environ.get("LOCAL_RANK", "0"))
    on_gpu = device.startswith("cuda") or (device == "auto" and torch.cuda.device_count() > local)
    if on_gpu:
        torch.cuda.set_device(local)
    # torchrun's store outlives a restart, and with it the addresses of processes that are gone.
    store, rank, size = next(rendezvous("env://", timeout=TIMEOUT))
    store = PrefixStore(f"restart {restart_count()}", store)
    dist.init_process_group("nccl" if on_gpu else "gloo", store=store, rank=rank, world_size=size, timeout=TIMEOUT)
    try:
        yield DistributedContext(dist.get_rank(), size, torch.device("cuda", local) if on_gpu else torch.device("cpu"))
    finally:
        dist.destroy_process_group()


def restart_count() -> int:
    """Return how often torchrun has started these processes anew, after one of them failed."""
    return int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0"))
