"""Training on several processes or machines, under `torchrun`; with one process, all of this does nothing.

Each process takes its share of every batch, DistributedDataParallel averages the gradients, and metrics are summed over
all processes before rank 0 logs them. Shares are weighted by their size, so uneven shares give the same result.
"""

from __future__ import annotations

import importlib
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

from monitor.errors import JobError
from runners.training.rendezvous import name_of_start

if TYPE_CHECKING:
    from collections.abc import Iterator

TIMEOUT_VARIABLE = "MONITOR_RANK_TIMEOUT"


class DistributedContext(NamedTuple):
    """The processes of one training: how many, which of them this is, and its device if there are several."""

    rank: int = 0
    world_size: int = 1
    device: torch.device | None = None

    def local_batch_size(self, batch_size: int) -> int:
        """Return how many samples of a batch are this process's; raise `click.BadParameter` unless all get as many."""
        if batch_size % self.world_size:
            raise click.BadParameter(
                f"{batch_size} samples cannot be shared by {self.world_size} processes; "
                f"give a multiple of {self.world_size}.",
                param_hint="'--batch-size'",
            )
        return batch_size // self.world_size

    def parallel(self, model: nn.Module) -> nn.Module:
        """Wrap a model so that its gradients are averaged over all processes."""
        return DistributedDataParallel(model) if self.world_size > 1 else model

    def epoch_indices(self, count: int, seed: int, epoch: int) -> Tensor:
        """Return the indices of this process's samples of an epoch, each once, shuffled as for one process."""
        dataset: Any = range(count)  # the sampler only asks for its length
        sampler: Any = DistributedSampler(dataset, self.world_size, self.rank, shuffle=True, seed=seed)
        sampler.set_epoch(epoch)
        indices = torch.tensor(list(sampler))
        share = (count - self.rank + self.world_size - 1) // self.world_size
        return indices[:share]  # the sampler repeats samples to make all shares equal

    def sum(self, values: Tensor) -> Tensor:
        """Return the sum over all processes, in each of them; waits for all. Overwrites `values`."""
        if self.world_size > 1:
            dist.all_reduce(values)
        return values

    def mean(self, loss: Tensor, flag: bool | None) -> tuple[Tensor, bool]:
        """Return the mean of all processes' losses, and whether any of their flags is set; None stands for no flag.

        Waits for all processes, and for a GPU only if there is a flag.
        """
        if self.world_size == 1:
            return loss, bool(flag)
        sums = self.sum(torch.stack([loss.detach(), torch.full_like(loss.detach(), float(bool(flag)))]))
        return sums[0] / self.world_size, flag is not None and bool(sums[1] > 0)

    def broadcast(self, value: Any) -> Any:
        """Return rank 0's value, in each process; waits for all."""
        if self.world_size == 1:
            return value
        values = [value]
        dist.broadcast_object_list(values, src=0)
        return values[0]

    def gather(self, value: Any) -> list[Any]:
        """Return the values of all processes, by rank; waits for all."""
        if self.world_size == 1:
            return [value]
        values: list[Any] = [None] * self.world_size
        dist.all_gather_object(values, value)
        return values

    @contextmanager
    def rank_0_first(self) -> Iterator[None]:
        """Run the block on rank 0 first, such as a download, then on the other processes."""
        if self.world_size > 1 and self.rank > 0:
            dist.barrier()
        yield
        if self.world_size > 1 and self.rank == 0:
            dist.barrier()


@contextmanager
def init_distributed(device_name: str) -> Iterator[DistributedContext]:
    """Join the other processes that torchrun started, over NCCL on GPUs and Gloo elsewhere."""
    size = int(os.environ.get("WORLD_SIZE", "1")) if "RANK" in os.environ else 1
    if size == 1:
        yield DistributedContext()
        return
    local_rank = int(os.environ.get("LOCAL_RANK", "0"))
    uses_gpu = device_name.startswith("cuda") or (device_name == "auto" and torch.cuda.device_count() > local_rank)
    if uses_gpu:
        torch.cuda.set_device(local_rank)
    timeout = rank_timeout()
    try:
        store, rank, size = next(rendezvous("env://", timeout=timeout))
        store = PrefixStore(name_of_start(store, rank, size, timeout), store)
    except dist.DistStoreError as error:
        raise JobError(
            f"the {size} processes of the job did not all start within {timeout.total_seconds():.0f} s"
        ) from error
    backend = "nccl" if uses_gpu else "gloo"
    # Imported later, as DistributedDataParallel does, it would keep the group: Gloo's threads would outlive the
    # interpreter, and abort the process when they need it.
    importlib.import_module("torch.distributed.nn")
    dist.init_process_group(backend, store=store, rank=rank, world_size=size, timeout=timeout)
    try:
        device = torch.device("cuda", local_rank) if uses_gpu else torch.device("cpu")
        yield DistributedContext(dist.get_rank(), size, device)
    finally:
        dist.destroy_process_group()


def rank_timeout() -> timedelta:
    """Return how long a process waits for the slowest; raise `click.UsageError` if the environment has no such time."""
    given = os.environ.get(TIMEOUT_VARIABLE) or "300"
    if not given.isdecimal() or not 0 < int(given) <= 10**6:
        raise click.UsageError(f"{TIMEOUT_VARIABLE} is {given!r}; give whole seconds, from 1 to 1000000.")
    return timedelta(seconds=int(given))


def restart_count() -> int:
    """Return how often this machine's torchrun has restarted its processes after one of them failed.

    Restarts because another machine failed, joined, or left may not be among them.
    """
    return int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0"))
