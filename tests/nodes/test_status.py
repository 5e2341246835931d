"""What one machine says about the runs of another one on the same disk: by signs of life, not by process numbers."""

from __future__ import annotations

import json
import os
import time
from typing import TYPE_CHECKING, Any

import pytest

from monitor.runs.run_file import timestamp
from monitor.testing import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.nodes import Node

TRAIN = """
import sys, time
now, off = time.time, float(sys.argv[2])
time.time = lambda: now() + off  # the clock of the machine
from monitor import Logger
with Logger(sys.argv[1], ["tensorboard"]) as log:
    log.scalar("loss", 1.0, 0)
    print("there", flush=True)
    time.sleep(600)
"""


def listed(node: Node, logdir: Path) -> dict[str, str]:
    """Return the status of each run, as `monitor runs` says it on a node."""
    found = json.loads(node.run("-m", "monitor", "runs", str(logdir), "--json"))
    return {run["name"]: run["status"] for run in found}


def beats(logdir: Path) -> list[int]:
    """Return when each run was last heard of."""
    return [file.stat().st_mtime_ns for file in sorted(logdir.glob("*/run.json"))]


def age(run: Path) -> None:
    """Let more than half a minute have passed since the last sign of life of a run."""
    file = run / "run.json"
    fields: dict[str, Any] = json.loads(file.read_text())
    before = time.time() - 31
    file.write_text(json.dumps({**fields, "heartbeat": timestamp(before)}))
    os.utime(file, (before, before))


@pytest.mark.slow
def test_a_run_on_another_machine_is_lost_when_its_machine_is(nodes: tuple[Node, Node], tmp_path: Path) -> None:
    logdir, clocks = tmp_path / "runs", {"right": 0, "behind": -3600, "ahead": 3600}
    here, there = nodes
    for name, off in clocks.items():
        process = there.start("-c", TRAIN, str(logdir / name), str(off))
        assert process.stdout is not None
        assert process.stdout.readline() == "there\n"
    for node in nodes:
        assert listed(node, logdir) == dict.fromkeys(clocks, "running"), node.name
    there.cut()  # the shared disk is there all the same
    before = beats(logdir)
    wait_until(lambda: all(now > then for now, then in zip(beats(logdir), before)), 60, "heartbeats")
    assert listed(here, logdir) == dict.fromkeys(clocks, "running")
    there.kill()
    assert listed(here, logdir) == dict.fromkeys(clocks, "running"), "nobody can know yet"
    for name in clocks:
        age(logdir / name)
    assert listed(here, logdir) == dict.fromkeys(clocks, "lost")
    for edit in (["tag", "right", "short"], ["note", "behind", "no power"], ["mv", "ahead", "early"]):
        here.run("-m", "monitor", *edit, "--logdir", str(logdir))
    assert listed(here, logdir) == {"right": "lost", "behind": "lost", "early": "lost"}, "an edit is no sign of life"


@pytest.mark.slow
def test_every_rank_on_a_machine_of_its_own(nodes: tuple[Node, Node], tmp_path: Path) -> None:
    logdir = tmp_path / "runs"
    jobs = [node.start("-c", EVERY_RANK, str(logdir), env={**os.environ, "WORLD_SIZE": "2", "RANK": str(rank)})
            for rank, node in enumerate(nodes)]  # fmt: skip
    for job in jobs:
        _, err = job.communicate(timeout=200)
        assert job.returncode == 0, err
    assert listed(nodes[0], logdir) == {"job": "finished", "job/rank0": "finished", "job/rank1": "finished"}
    for rank, node in enumerate(nodes):
        fields = json.loads((logdir / "job" / f"rank{rank}" / "run.json").read_text())
        assert (fields["host"], fields["metrics"]["loss"]["last"]) == (node.name, float(rank))


EVERY_RANK = """
import os, sys
from monitor import Logger
rank = int(os.environ["RANK"])
with Logger(f"{sys.argv[1]}/job", ["tensorboard"]) as log, \\
        Logger(f"{sys.argv[1]}/job/rank{rank}", ["tensorboard"], every_rank=True) as own:
    for step in range(100):
        log.scalar("loss", 5.0, step)
        own.scalar("loss", float(rank), step)
"""
