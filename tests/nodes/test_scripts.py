"""An unchanged script on two machines, under torchrun and `monitor run`; and who says where to look."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from monitor import read
from monitor.events.files import event_files
from monitor.testing import wait_until
from tests.support import event_reader

if TYPE_CHECKING:
    from tests.nodes.conftest import TorchRun
    from tests.support.nodes import Node

SCRIPT = """
import sys, time
from datetime import timedelta
import torch, torch.distributed as dist
from torch.utils.tensorboard import SummaryWriter
dist.init_process_group("gloo", timeout=timedelta(seconds=15))
writer = SummaryWriter() if dist.get_rank() == 0 else None
for step in range(int(sys.argv[1])):
    total = torch.tensor(float(step))
    dist.all_reduce(total)
    if writer:
        writer.add_scalar("total", total.item(), step)
    time.sleep(0.01)
if writer:
    writer.close()
dist.destroy_process_group()
"""


@pytest.mark.slow
@pytest.mark.parametrize("dies", [False, True], ids=["to the end", "until a machine dies"])
def test_a_script_on_two_machines_is_one_run(
    nodes: tuple[Node, Node], torchrun: TorchRun, tmp_path: Path, *, dies: bool
) -> None:
    (tmp_path / "train.py").write_text(SCRIPT)
    program, run = str(Path(sys.executable).with_name("monitor")), tmp_path / "runs" / "job"
    command = ["--no-python", program, "run", "--sink", "tensorboard", "--record", "none", "--name", "job"]
    command += ["--logdir", str(tmp_path / "runs"), str(tmp_path / "train.py"), "100000" if dies else "300"]
    jobs = [torchrun(node, *command, restarts=0) for node in nodes]
    if dies:
        wait_until(lambda: event_files(run) and event_reader.series(run, "total"), 120, "some points")
        nodes[1].kill()
        wait_until(lambda: json.loads((run / "run.json").read_text())["status"] != "running", 120, "the end")
    else:
        assert [job.wait(200) for job in jobs] == [0, 0], (tmp_path / "node-1.log").read_text()
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["job"], "rank 1 has no run"
    fields = json.loads((run / "run.json").read_text())
    assert (fields["status"], fields["host"]) == ("failed" if dies else "finished", "node-1")
    assert ("Timed out waiting 15000ms" in fields.get("error", "")) is dies
    (found,) = read(run)
    steps, values, _ = found.scalars("total")
    assert steps.tolist() == list(range(len(steps)))
    assert values.tolist() == [2.0 * step for step in range(len(steps))]
    assert dies or len(steps) == 300
    addresses = [path.read_text() for path in sorted(tmp_path.glob("node-*.log"))]
    assert ["TensorBoard: http://127.0.0.1:" in text for text in addresses] == [True, False]
    assert "(on node-1)" in addresses[0]
