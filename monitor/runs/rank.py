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
MACHINE_VARIABLES = ("GROUP_WORLD_SIZE", "SLURM_NNODES")


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


def is_under_torchrun() -> bool:
    """Tell whether torchrun started this process, which restarts it after a failure."""
    return "TORCHELASTIC_RUN_ID" in os.environ


def is_on_several_machines() -> bool:
    """Tell whether the processes of this training are on several machines, under torchrun or Slurm."""
    counts = (os.environ.get(name, "") for name in MACHINE_VARIABLES)
    return any(count.isdecimal() and int(count) > 1 for count in counts)
