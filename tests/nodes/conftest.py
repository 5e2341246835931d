"""Two machines at one network with one shared disk, and torchrun on them."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from tests.support.nodes import Node, Nodes, needs_nodes

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator
    from pathlib import Path

TorchRun = Callable[..., "subprocess.Popen[str]"]
# A node that is gone is noticed within seconds rather than minutes.
RENDEZVOUS = "join_timeout=120,last_call_timeout=2,keep_alive_interval=1,keep_alive_max_attempt=3"
RANK_TIMEOUT_S = "15"


@pytest.fixture
def nodes(tmp_path: Path) -> Iterator[tuple[Node, Node]]:
    """Return two nodes, all of whose processes are killed at the end."""
    needs_nodes()
    made = Nodes(2, tmp_path)
    yield tuple(made)
    made.close()


@pytest.fixture
def torchrun(nodes: tuple[Node, Node], tmp_path: Path) -> TorchRun:
    """Start one process of a job on a node; the job's store is on the second node, and its output in `node-N.log`."""

    def start(
        node: Node, *command: str, count: str = "2", restarts: int = 2, **environment: str
    ) -> subprocess.Popen[str]:
        how = [
            "--nnodes", count, "--nproc-per-node", "1", "--max-restarts", str(restarts), "--rdzv-backend", "c10d",
            "--rdzv-endpoint", f"{nodes[1].name}:29500", "--rdzv-conf", RENDEZVOUS,
        ]  # fmt: skip
        with (tmp_path / f"{node.name}.log").open("w") as log:
            return node.start(
                "-m",
                "torch.distributed.run",
                *how,
                *command,
                stdout=log,
                stderr=log,
                env={**os.environ, "MONITOR_RANK_TIMEOUT": RANK_TIMEOUT_S, **environment},
            )

    return start
