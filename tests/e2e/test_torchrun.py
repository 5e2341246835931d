"""Training on two processes, with torchrun on loopback; and a logger's rank under any launcher."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import click
import pytest
import torch
from click.testing import CliRunner

from monitor import Logger
from monitor.cli import main
from monitor.events.files import event_files
from monitor.runs.listing import load, scan
from monitor.runs.processes.rank import without_ranks
from monitor.runs.trials.rungs import Rungs
from monitor.testing import wait_until
from runners.training.checkpointing import checkpoints
from runners.training.distributed import DistributedContext
from tests.support import event_reader
from tests.support.servers import free_port

if TYPE_CHECKING:
    from tests.support.processes import Process, Start


def settings(folder: Path, data: Path, *arguments: object) -> list[str]:
    return [
        "--data", "mnist", "--data-dir", str(data), "--logdir", str(folder), "--hidden", "16", "--batch-size", "50",
        "--sink", "tensorboard", "--val-fraction", "0.1375", *map(str, arguments),
    ]  # fmt: skip


def torchrun(start: Start, *arguments: str, fresh: bool = False) -> Process:
    """Start two processes; the port is one that the first of them finds free."""
    how = ["--standalone", "--nproc-per-node", "2", "--max-restarts", "2"]
    return start("-m", "torch.distributed.run", *how, "-m", "runners.mlp", *arguments, fresh=fresh)


def finish(process: Process, timeout: float = 200) -> tuple[str, str]:
    try:
        return process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        process.terminate()  # torchrun ends its processes with it
        _, err = process.communicate(timeout=200)
        raise AssertionError(f"the job did not end within {timeout} s: {err}") from None


def curves(run: Path) -> dict[str, list[tuple[int, float]]]:
    found = event_reader.read(run)
    return {tag: [(e.step, e.value) for e in found.Scalars(tag)] for tag in found.Tags()["scalars"]}


def apart(ours: list[tuple[int, float]], theirs: list[tuple[int, float]]) -> float:
    assert [step for step, _ in ours] == [step for step, _ in theirs]
    return max(abs(a - b) for (_, a), (_, b) in zip(ours, theirs))


@pytest.mark.slow
def test_two_processes_have_the_curve_of_one(tmp_path: Path, small_mnist: Path, start: Start) -> None:
    # 345 samples in batches of 50: the last has 45, which two processes cannot share evenly.
    alone = CliRunner().invoke(main, ["train", "mlp", *settings(tmp_path, small_mnist, "--epochs", 3, "--name", "one")])
    assert alone.exit_code == 0, alone.output
    job = torchrun(start, *settings(tmp_path, small_mnist, "--epochs", 3, "--name", "two", "--log-ranks"))
    out, err = finish(job)
    assert job.returncode == 0, err
    assert out.count("Run: ") == 1, "only rank 0 speaks"
    assert sorted(run.name for run in scan(tmp_path)) == ["one", "two"]
    one, two = curves(tmp_path / "one"), curves(tmp_path / "two")
    for tag in ("train/loss", "test/loss", "val/loss", "test/accuracy", "val/accuracy", "gradient_norm"):
        assert apart(one[tag], two[tag]) < 1e-5, tag
    assert [len(two[f"rank{rank}/train/loss"]) for rank in (0, 1)] == [21, 21]
    shares = [[25] * 6 + [23 - rank] for rank in (0, 1)]
    for place, (_, whole) in enumerate(two["train/loss"]):
        mine = [two[f"rank{rank}/train/loss"][place][1] * shares[rank][place % 7] for rank in (0, 1)]
        assert sum(mine) / (shares[0][place % 7] + shares[1][place % 7]) == pytest.approx(whole, abs=1e-5)
    assert [path.name.endswith(".rank1") for path in event_files(tmp_path / "two")].count(True) == 1
    first, second = (event_reader.read(tmp_path / name).Images("confusion") for name in ("one", "two"))
    assert [e.encoded_image_string for e in first] == [e.encoded_image_string for e in second], "all samples count once"
    fields = json.loads((tmp_path / "two" / "run.json").read_text())
    assert (fields["status"], fields["processes"]) == ("finished", 2)


TRAIN_AND_LOOK = """
import pathlib, sys
from runners.mlp import main
try:
    main(sys.argv[1:])
except SystemExit as end:
    assert not end.code, end.code
print([path.read_text().strip() for path in pathlib.Path("/proc/self/task").glob("*/comm")])
"""


def test_no_thread_of_the_process_group_outlives_the_training(tmp_path: Path, small_mnist: Path, start: Start) -> None:
    """One that needs the interpreter after its end aborts the process."""
    job = {**os.environ, "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    arguments = settings(tmp_path, small_mnist, "--epochs", 1, "--name", "two")
    processes = [start("-c", TRAIN_AND_LOOK, *arguments, env={**job, "RANK": str(rank)}) for rank in (0, 1)]
    for process in processes:
        out, err = process.communicate(timeout=200)
        assert process.returncode == 0, err
        assert "gloo" not in out.splitlines()[-1]


@pytest.mark.slow
def test_a_rank_that_dies_ends_the_job_and_a_restart_resumes(tmp_path: Path, small_mnist: Path, start: Start) -> None:
    every = ["--epochs", 150, "--checkpoint-every", "epoch", "--test-every", 500]
    job = torchrun(start, *settings(tmp_path, small_mnist, *every, "--name", "cut", "--log-ranks"))
    run = tmp_path / "cut"
    wait_until(lambda: checkpoints.list_checkpoints(run / "checkpoints"), 60, "a checkpoint")
    other = next(pid for pid in ranks(job.pid) if pid != load(run).fields["pid"])
    os.kill(other, signal.SIGKILL)
    out, err = finish(job)
    assert job.returncode == 0, err
    assert f"Resumed: {run}" in out
    assert [found.name for found in scan(tmp_path)] == ["cut"]
    fields = json.loads((run / "run.json").read_text())
    assert fields["status"] == "finished"
    first = fields["lives"][0]
    assert first["status"] in ("failed", "killed"), "the first start said what it ended of"
    assert "another process of the job is gone" in first["error"] or "torchrun sends it" in first["error"]
    whole = CliRunner().invoke(main, ["train", "mlp", *settings(tmp_path, small_mnist, *every, "--name", "whole")])
    assert whole.exit_code == 0, whole.output
    ours, theirs = curves(run), curves(tmp_path / "whole")
    for tag in ("train/loss", "val/loss", "test/loss"):
        assert apart(ours[tag], theirs[tag]) < 1e-3, tag
    assert [step for step, _ in ours["rank1/train/loss"]] == list(range(1050))


@pytest.mark.slow
def test_all_ranks_end_when_the_run_is_pruned(tmp_path: Path, small_mnist: Path, start: Start) -> None:
    Rungs(tmp_path / "p.sweep", "other").add(0, 1.5)
    rule = ["--prune", "test/accuracy peers=p", "--epochs", 10_000]
    job = torchrun(start, *settings(tmp_path, small_mnist, *rule, "--name", "worse"))
    out, err = finish(job)
    assert job.returncode == 0, err
    assert "Pruned: test/accuracy" in out
    assert load(tmp_path / "worse").status == "pruned"


def ranks(launcher: int) -> list[int]:
    return [int(pid) for pid in Path(f"/proc/{launcher}/task/{launcher}/children").read_text().split()]


LAUNCHERS = [
    {"RANK": "1", "WORLD_SIZE": "2"},
    {"OMPI_COMM_WORLD_RANK": "1", "OMPI_COMM_WORLD_SIZE": "2"},
    {"PMI_RANK": "3", "PMI_SIZE": "4"},
    {"SLURM_PROCID": "1", "SLURM_NTASKS": "8", "MASTER_ADDR": "node-1"},
    {"RANK": "1", "WORLD_SIZE": "2", "SLURM_PROCID": "0", "SLURM_NTASKS": "1"},  # torchrun in a task
]


@pytest.mark.parametrize("environment", LAUNCHERS, ids=lambda names: next(iter(names)))
def test_only_rank_0_writes(tmp_path: Path, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with Logger(tmp_path / "a", ["tensorboard", "console"], {"lr": 1}, alerts=["a is nan"]) as log:
        for step in range(1000):
            log.scalar("a", float("nan"), step)
        with pytest.raises(TypeError, match="step must be an int"):
            log.scalar("a", 1.0, "x")  # type: ignore[arg-type]
        assert log.flush()
        assert log.stats().sinks == {}
        assert not log.should_stop
        assert not log.checkpoint("c", 3)
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setenv(next(iter(environment)), "0")
    with Logger(tmp_path / "a", ["tensorboard"]) as log:
        log.scalar("a", 1.0, 0)
    assert event_reader.series(tmp_path / "a", "a") == [(0, 1.0)]


TASKS: list[dict[str, str]] = [
    {"SLURM_PROCID": "1", "SLURM_NTASKS": "8"},
    {"SLURM_PROCID": "3", "SLURM_NTASKS": "8", "PMI_RANK": "3", "PMI_SIZE": "8"},  # the plugin pmi2 numbers any task
]


@pytest.mark.parametrize("environment", TASKS, ids=lambda names: next(reversed(names)))
def test_tasks_that_nothing_connects_are_runs_of_their_own(
    tmp_path: Path, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Eight trials under `srun` are eight runs."""
    for number in range(2):
        for name, value in environment.items():
            monkeypatch.setenv(name, str(number) if value == environment["SLURM_PROCID"] else value)
        with Logger(tmp_path / "a", ["tensorboard"], {"trial": number}) as log:
            log.scalar("a", 1.0, number)
    assert {info.name: info.config["trial"] for info in scan(tmp_path)} == {"a": 0, "a-2": 1}


def test_a_trial_inherits_no_rank(start: Start) -> None:
    """What a sweep starts is a process of its own, until a launcher of the trial's own numbers it."""
    outer = {name: value for names in [*LAUNCHERS, *TASKS] for name, value in names.items()}
    clean = without_ranks({**outer, "LOCAL_RANK": "1", "PATH": "/bin"})
    assert clean == {"PATH": "/bin"}
    code = "from monitor.runs.processes.rank import process_rank; print(process_rank())"
    own = start("-c", code, env=without_ranks({**os.environ, **outer}), fresh=True)
    assert own.communicate(timeout=60)[0] == "0\n"
    inner = {**without_ranks({**os.environ, **outer}), "RANK": "2", "WORLD_SIZE": "4"}
    assert start("-c", code, env=inner, fresh=True).communicate(timeout=60)[0] == "2\n"


@pytest.mark.parametrize("count", [1, 2, 3, 7, 50, 345])
@pytest.mark.parametrize("size", [1, 2, 3])
def test_shares_are_the_whole_once(count: int, size: int) -> None:
    orders = [DistributedContext(rank, size).epoch_indices(count, 5, 2) for rank in range(size)]
    assert sorted(torch.cat(orders).tolist()) == list(range(count))
    alone = DistributedContext().epoch_indices(count, 5, 2)
    assert all(torch.equal(alone[rank::size], order) for rank, order in enumerate(orders))


def test_a_batch_that_cannot_be_shared_is_refused() -> None:
    assert DistributedContext(0, 2).local_batch_size(50) == 25
    with pytest.raises(click.BadParameter, match="201 samples cannot be shared by 2 processes; give a multiple of 2"):
        DistributedContext(0, 2).local_batch_size(201)
