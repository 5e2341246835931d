"""The rank of this process among the processes of one training, under any launcher.

A launcher such as `torchrun` or `mpiexec` starts the processes of one training, so its numbers are ranks. Slurm's
`srun` numbers whatever it starts, also trials that have nothing to do with each other, and their child processes
inherit the numbers. They are ranks where something says that the processes belong together: the address at which they
meet, `MASTER_ADDR`, or `torch.distributed` itself. Otherwise each process logs a run of its own, because seven silent
trials of eight are lost, and seven runs too many are not.
"""

from __future__ import annotations

import logging
import os
import sys
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

log = logging.getLogger("monitor")

# The variables for rank and world size of torchrun, Open MPI, MPICH, and Slurm.
RANK_VARIABLES = (
    ("RANK", "WORLD_SIZE"),
    ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"),
    ("PMI_RANK", "PMI_SIZE"),
    ("SLURM_PROCID", "SLURM_NTASKS"),
)
SLURM_RANK, SLURM_SIZE = "SLURM_PROCID", "SLURM_NTASKS"
NUMBERED_BY_SLURM = (SLURM_RANK, "PMI_RANK")  # with its plugin pmi2, also for tasks that do not use MPI
MEETING_POINT = "MASTER_ADDR"
# More variables by which a framework takes its process for one of several.
OTHER_VARIABLES = (
    "LOCAL_RANK", "LOCAL_WORLD_SIZE", "GROUP_RANK", "GROUP_WORLD_SIZE", "NODE_RANK", "MASTER_ADDR", "MASTER_PORT",
    "OMPI_COMM_WORLD_LOCAL_RANK", "OMPI_COMM_WORLD_LOCAL_SIZE", "PMIX_RANK", "SLURM_LOCALID", "SLURM_NPROCS",
    "SLURM_STEP_NUM_TASKS", "SLURM_TASKS_PER_NODE", "SLURM_STEP_TASKS_PER_NODE", "SLURM_NTASKS_PER_NODE",
)  # fmt: skip
MACHINE_VARIABLES = ("GROUP_WORLD_SIZE", "SLURM_NNODES")


def process_rank() -> int:
    """Return the rank of this process; 0 if it is the only one. Does not import torch."""
    distributed = sys.modules.get("torch.distributed")
    is_initialized = getattr(distributed, "is_initialized", None)  # missing while another thread is importing torch
    if is_initialized is not None and distributed.is_available() and is_initialized():  # type: ignore[union-attr]
        return int(distributed.get_rank())  # type: ignore[union-attr]
    is_slurm = SLURM_RANK in os.environ
    for rank_variable, size_variable in RANK_VARIABLES:
        rank, world_size = os.environ.get(rank_variable, ""), os.environ.get(size_variable, "")
        if rank.isdecimal() and world_size.isdecimal() and int(world_size) > 1:
            if is_slurm and rank_variable in NUMBERED_BY_SLURM and not os.environ.get(MEETING_POINT):
                _tell_of_task(int(rank), int(world_size))
                return 0
            return int(rank)
    return 0


def without_ranks(environment: Mapping[str, str]) -> dict[str, str]:
    """Return an environment without what says that a process is one of several, for one that is a training of its own.

    What a launcher says that is started with it counts, such as `srun` or `torchrun` within a trial of a sweep.
    """
    ranks = {name for pair in RANK_VARIABLES for name in pair} | set(OTHER_VARIABLES)
    return {name: value for name, value in environment.items() if name not in ranks}


@lru_cache(1)
def _tell_of_task(rank: int, size: int) -> None:
    """Say once why a task of Slurm logs, which in one training of several processes would be one run too many."""
    if rank:
        log.info("Slurm's task %d of %d logs a run of its own: without MASTER_ADDR, it is none of several", rank, size)


def is_under_torchrun() -> bool:
    """Tell whether torchrun started this process, which restarts it after a failure."""
    return "TORCHELASTIC_RUN_ID" in os.environ


def is_on_several_machines() -> bool:
    """Tell whether the processes of this training are on several machines, under torchrun or Slurm."""
    counts = (os.environ.get(name, "") for name in MACHINE_VARIABLES)
    return any(count.isdecimal() and int(count) > 1 for count in counts)
