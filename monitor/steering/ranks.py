"""The processes of one training: what rank 0 is asked for reaches all of them at the same step."""

from __future__ import annotations

import sys
from typing import Any, TypeVar

T = TypeVar("T")


class Ranks:
    """The processes as `torch.distributed` knows them; one process where it is not in use.

    Making it on several processes is a collective call, and so is `share`: all of them do it at the same step.
    """

    def __init__(self) -> None:
        distributed: Any = sys.modules.get("torch.distributed")
        is_used = distributed is not None and distributed.is_available() and distributed.is_initialized()
        self.rank = int(distributed.get_rank()) if is_used else 0
        self.size = int(distributed.get_world_size()) if is_used else 1
        self._distributed, self._group = distributed, None
        if self.size > 1 and distributed.get_backend() != "gloo":
            self._group = distributed.new_group(backend="gloo")  # so that nothing waits for a GPU

    def share(self, items: list[T]) -> list[T]:
        """Return rank 0's list in every process; usually it is empty, and one number is sent."""
        if self.size == 1:
            return items
        import torch

        count = torch.tensor(len(items))
        self._distributed.broadcast(count, src=0, group=self._group)
        if not int(count):
            return []
        boxed = [items]
        self._distributed.broadcast_object_list(boxed, src=0, group=self._group, device=torch.device("cpu"))
        return boxed[0]
