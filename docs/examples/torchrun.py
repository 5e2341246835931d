"""Train on several processes; rank 0 logs the mean over all of them.

torchrun --standalone --nproc-per-node 2 docs/examples/torchrun.py
"""

import torch
import torch.distributed as dist
import torch.distributed.nn  # imported later, as DDP does, it would keep the process group alive after its end
from torch.nn.parallel import DistributedDataParallel

from monitor import Logger


def train() -> None:
    """Train on this process's share of the samples."""
    rank, size = dist.get_rank(), dist.get_world_size()
    torch.manual_seed(0)
    x = torch.rand(200, 4)
    y = x.sum(1, keepdim=True)
    mine = slice(rank, None, size)  # this process's samples
    model = DistributedDataParallel(torch.nn.Linear(4, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    # Every process makes a logger and calls it. Only rank 0 writes.
    with Logger("runs/torchrun", ["tensorboard"], {"lr": 0.1, "processes": size}) as log:
        for step in range(50):
            loss = torch.nn.functional.mse_loss(model(x[mine]), y[mine])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            mean = loss.detach().clone()
            dist.all_reduce(mean)
            log.scalar("train/loss", mean / size, step)


dist.init_process_group("gloo")  # "nccl" on GPUs
train()  # in a function, so that the model, which holds the process group, is gone before the group is destroyed
dist.destroy_process_group()
