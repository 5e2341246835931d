"""A page on the machine of rank 0 steers processes on two machines."""

from __future__ import annotations

import json
import math
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from monitor.testing import wait_until
from tests.support import event_reader
from tests.support.resuming import settings, train

if TYPE_CHECKING:
    from tests.nodes.conftest import TorchRun
    from tests.support.nodes import Node

PLAIN = ["--optimizer", "sgd", "--dropout", "0", "--scheduler", "none"]  # one process and two have the same curve
STEPS_PER_EPOCH = 20
PAGE = """
import sys
from tests.support.steering import SteeringPage
with SteeringPage(sys.argv[1], "job") as page:
    page.change_pause_test_and_stop("0.1")
"""


@pytest.mark.slow
def test_processes_on_two_machines_make_a_change_at_the_same_step(
    nodes: tuple[Node, Node], torchrun: TorchRun, tmp_path: Path, small_mnist: Path, assets: Path
) -> None:
    how = {"MONITOR_RANK_TIMEOUT": "120", "MONITOR_ASSETS_DIR": str(assets), "XDG_STATE_HOME": str(tmp_path / "state")}
    command = [
        *settings(tmp_path, small_mnist),
        *PLAIN,
        "--epochs",
        "100000",
        "--name",
        "job",
        "--steer",
        "--sink",
        "visdom",
    ]
    jobs = [torchrun(node, "-m", "runners.mlp", *command, **how) for node in nodes]
    log = tmp_path / "node-1.log"
    wait_until(lambda: "Visdom: " in log.read_text(), 120, "the address of the page")
    page = re.search(r"Visdom: (http://127\.0\.0\.1:\d+)/env/job \(on node-1\)\n", log.read_text())
    assert page, "the machine is named"
    assert "Visdom: " not in (tmp_path / "node-2.log").read_text()
    root = Path(__file__).parents[2]
    client = nodes[0].start("-c", PAGE, page[1], env={**os.environ, "PYTHONPATH": str(root)})
    _, err = client.communicate(timeout=200)
    assert client.returncode == 0, err
    assert [job.wait(200) for job in jobs] == [0, 0], "a stop is no failure, after which torchrun starts again"
    fields = json.loads((tmp_path / "job" / "run.json").read_text())
    assert (fields["status"], fields["processes"]) == ("stopped", 2)
    assert [change["control"] for change in fields["controls"]] == ["lr", "pause", "test", "resume", "stop"]
    together = event_reader.series(tmp_path / "job", "train/loss")
    epochs = math.ceil(len(together) / STEPS_PER_EPOCH)
    repeated = ["--epochs", epochs, "--name", "alone", "--steer-from", tmp_path / "job"]
    alone = train(tmp_path, small_mnist, *PLAIN, *repeated)
    assert alone.exit_code == 0, alone.output
    one = event_reader.series(tmp_path / "alone", "train/loss")[: len(together)]
    assert [step for step, _ in one] == [step for step, _ in together]
    assert max(abs(a - b) for (_, a), (_, b) in zip(one, together)) < 1e-3, "one process with the same changes"
