"""Training on two machines that lose each other: one run, with each point once, and a status that is true."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

from monitor import read
from monitor.testing import wait_until
from tests.support import event_reader

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from tests.nodes.conftest import TorchRun
    from tests.support.nodes import Node

pytestmark = pytest.mark.slow
JobT = TypeVar("JobT")
WIDE = {"TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1"}  # without it, torchrun hangs when a machine joins


def training(folder: Path, data: Path, epochs: int) -> list[str]:
    return [
        "-m", "runners.mlp", "--data", "mnist", "--data-dir", str(data), "--logdir", str(folder / "runs"),
        "--hidden", "16", "--batch-size", "50", "--sink", "tensorboard", "--epochs", str(epochs), "--name", "job",
        "--log-ranks", "--checkpoint-every", "epoch", "--test-every", "500",
    ]  # fmt: skip


def fields_of(folder: Path) -> dict[str, Any]:
    """Return what `run.json` says, nothing while there is none."""
    try:
        return dict(json.loads((folder / "runs" / "job" / "run.json").read_text()))
    except (OSError, ValueError):
        return {}


def step_of(folder: Path) -> int:
    return int((fields_of(folder).get("progress") or {}).get("step") or 0)


def has_checkpoint(folder: Path) -> bool:
    return any((folder / "runs" / "job" / "checkpoints").glob("step-*.pt"))


def begin(starts: Sequence[Callable[[], JobT]], folder: Path) -> list[JobT]:
    """Start a job on each node, and wait for a checkpoint."""
    jobs = [start() for start in starts]
    wait_until(lambda: has_checkpoint(folder), 120, "a checkpoint")
    return jobs


def goes_on_at(folder: Path, node: Node) -> bool:
    """Tell whether a process on this node goes on with the run, and has come further."""
    fields = fields_of(folder)
    return bool(fields.get("resumed")) and fields["host"] == node.name and step_of(folder) > fields["lives"][-1]["step"]


def steps(folder: Path, tag: str) -> list[int]:
    """Return the steps of a curve; our reader and TensorBoard's agree on them."""
    (run,) = read(folder / "runs" / "job")
    ours = run.scalars(tag).steps.tolist()
    assert ours == [step for step, _ in event_reader.series(run.path, tag)], tag
    return [int(step) for step in ours]


def logs(folder: Path) -> str:
    return "\n".join(path.read_text() for path in folder.glob("node-*.log"))


def test_a_cut_that_heals_leaves_no_trace(
    nodes: tuple[Node, Node], torchrun: TorchRun, tmp_path: Path, small_mnist: Path
) -> None:
    command = training(tmp_path, small_mnist, 250)
    jobs = begin([partial(torchrun, node, *command, MONITOR_RANK_TIMEOUT="120") for node in nodes], tmp_path)
    nodes[1].cut()
    seen: list[tuple[str, int]] = []

    def stands_still() -> bool:
        fields = fields_of(tmp_path)
        if fields and fields["heartbeat"] not in [heartbeat for heartbeat, _ in seen]:
            seen.append((fields["heartbeat"], step_of(tmp_path)))
        return len(seen) >= 3 and seen[-1][1] == seen[-2][1] > 0

    wait_until(stands_still, 60, "a heartbeat without a step")
    assert fields_of(tmp_path)["status"] == "running"
    nodes[1].heal()
    assert [job.wait(200) for job in jobs] == [0, 0], logs(tmp_path)
    fields = fields_of(tmp_path)
    assert (fields["status"], fields["processes"], fields.get("lives")) == ("finished", 2, None)
    assert [launcher["machine"].split()[0] for launcher in fields["launchers"]] == ["node-1", "node-2"]
    for tag in ("train/loss", "rank0/train/loss", "rank1/train/loss"):
        assert steps(tmp_path, tag) == list(range(2000)), tag


def test_when_a_machine_dies_the_other_goes_on_in_the_same_run(
    nodes: tuple[Node, Node], torchrun: TorchRun, tmp_path: Path, small_mnist: Path
) -> None:
    """Rank 0 moves to the other machine, whose torchrun knows the run."""
    command = training(tmp_path, small_mnist, 300)
    jobs = begin([partial(torchrun, node, *command, count="1:2") for node in nodes], tmp_path)
    assert fields_of(tmp_path)["host"] == "node-1"
    nodes[0].kill()
    assert jobs[1].wait(200) == 0, logs(tmp_path)
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["job"]
    fields = fields_of(tmp_path)
    assert (fields["status"], fields["host"], fields["processes"]) == ("finished", "node-2", 1)
    assert [life["status"] for life in fields["lives"]] == ["lost"]
    assert "another process of the job does not answer: Timed out" in (tmp_path / "node-2.log").read_text()
    assert steps(tmp_path, "train/loss") == list(range(2400))


def test_without_the_other_machine_the_job_fails_and_says_so(
    nodes: tuple[Node, Node], torchrun: TorchRun, tmp_path: Path, small_mnist: Path
) -> None:
    command = training(tmp_path, small_mnist, 3000)
    for node in nodes:
        torchrun(node, *command, restarts=0)
    wait_until(lambda: has_checkpoint(tmp_path), 120, "a checkpoint")
    nodes[1].kill()
    wait_until(lambda: fields_of(tmp_path).get("status") == "failed", 120, "the end of the run")
    fields = fields_of(tmp_path)
    assert fields["error"].startswith("another process of the job does not answer: Timed out waiting 15000ms")
    found = steps(tmp_path, "train/loss")
    assert found == list(range(len(found)))


def test_a_machine_that_was_frozen_leaves_the_run_to_the_others_and_comes_back(
    nodes: tuple[Node, Node], torchrun: TorchRun, tmp_path: Path, small_mnist: Path
) -> None:
    """The old rank 0 wakes up while another one has the run, and ends; then the job has both machines again."""
    command = training(tmp_path, small_mnist, 100_000)
    for node in nodes:
        torchrun(node, *command, count="1:2", **WIDE)
    wait_until(lambda: has_checkpoint(tmp_path), 120, "a checkpoint")
    nodes[0].freeze()
    wait_until(lambda: goes_on_at(tmp_path, nodes[1]), 120, "the other machine")
    nodes[0].thaw()
    woken = tmp_path / "node-1.log"
    wait_until(lambda: "on node-2 goes on with this run" in woken.read_text(), 120, "the end of the old process")
    wait_until(lambda: goes_on_at(tmp_path, nodes[0]) and fields_of(tmp_path)["processes"] == 2, 120, "both machines")
    for node in nodes:
        node.kill()
    lives = fields_of(tmp_path)["lives"]
    assert {life["status"] for life in lives[1:]} <= {"killed", "failed"}, "one more where a machine was late"
    assert lives[0]["status"] == "lost"
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["job"]
    for tag in ("train/loss", "rank0/train/loss"):
        found = steps(tmp_path, tag)
        assert found == list(range(len(found))), tag
    alone = range(lives[0]["step"], lives[-1]["step"])  # when there was one process
    found = steps(tmp_path, "rank1/train/loss")
    assert found == [step for step in range(found[-1] + 1) if step not in alone]
