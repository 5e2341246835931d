"""Which of several processes of one training this is, under any launcher."""

from __future__ import annotations

import os
import sys

# What torchrun, Open MPI, MPICH and Slurm call a process's number and how many there are.
RANK_VARIABLES = (
    ("RANK", "WORLD_SIZE"),
    ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"),
    ("PMI_RANK", "PMI_SIZE"),
    ("SLURM_PROCID", "SLURM_NTASKS"),
)


def process_rank() -> int:
    """Return this process's number, 0 where it is alone. Does not import torch."""
    distributed = sys.modules.get("torch.distributed")
    if distributed is not None and distributed.is_available() and distributed.is_initialized():
        return int(distributed.get_rank())
    for name, size in RANK_VARIABLES:
        rank, world_size = os.environ.get(name, ""), os.environ.get(size, "")
        if rank.isdecimal() and world_size.isdecimal() and int(world_size) > 1:
            return int(rank)
    return 0
