"""The rank of this process among the processes of one training, under any launcher."""

from __future__ import annotations

import os
import sys

# The variables for rank and world size of torchrun, Open MPI, MPICH, and Slurm.
RANK_VARIABLES = (
    ("RANK", "WORLD_SIZE"),
    ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"),
    ("PMI_RANK", "PMI_SIZE"),
    ("SLURM_PROCID", "SLURM_NTASKS"),
)


def process_rank() -> int:
    """Return the rank of this process; 0 if it is the only one. Does not import torch."""
    distributed = sys.modules.get("torch.distributed")
    is_initialized = getattr(distributed, "is_initialized", None)  # missing while another thread is importing torch
    if is_initialized is not None and distributed.is_available() and is_initialized():  # type: ignore[union-attr]
        return int(distributed.get_rank())  # type: ignore[union-attr]
    for rank_variable, size_variable in RANK_VARIABLES:
        rank, world_size = os.environ.get(rank_variable, ""), os.environ.get(size_variable, "")
        if rank.isdecimal() and world_size.isdecimal() and int(world_size) > 1:
            return int(rank)
    return 0
