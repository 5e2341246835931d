"""Give each start of the processes of a training a name of its own, so that no process meets those of an earlier start.

torchrun's store outlives a restart, and still has the addresses of processes that have ended. Its count of restarts
does not help: each machine counts the failures it has seen itself, and a machine that joins or leaves counts nowhere.
"""

from __future__ import annotations

import time
import uuid
from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch.distributed.distributed_c10d import Store

POLL_INTERVAL_S = 0.02


def name_of_start(store: Store, rank: int, size: int, timeout: timedelta) -> str:
    """Return a name that all processes that start now get from rank 0, and no earlier or later ones.

    Blocks until all are there. Each other process asks under a key that it alone knows; what earlier ones asked may be
    answered too, but they are gone. Raises `torch.distributed.DistStoreError` after `timeout`.
    """
    if rank > 0:
        question = uuid.uuid4().hex
        store.set(f"start of {rank}", question)
        store.wait([f"name for {question}"], timeout)
        name = store.get(f"name for {question}").decode()
        store.set(f"{rank} is in {name}", "")
        return name
    name = uuid.uuid4().hex
    answered: dict[int, bytes] = {}
    waited_for = set(range(1, size))
    deadline = time.monotonic() + timeout.total_seconds()
    while waited_for:
        for other in sorted(waited_for):
            if store.check([f"{other} is in {name}"]):
                waited_for.discard(other)
            elif store.check([f"start of {other}"]) and (key := store.get(f"start of {other}")) != answered.get(other):
                store.set(f"name for {key.decode()}", name)
                answered[other] = key
        if waited_for and time.monotonic() > deadline:
            store.wait([f"{min(waited_for)} is in {name}"], timedelta(milliseconds=1))  # raises, as for the others
        if waited_for:
            time.sleep(POLL_INTERVAL_S)
    return name
