"""A run that is killed, at whatever moment, goes on from its checkpoint as if nothing had happened."""

from __future__ import annotations

import json
import random
import shutil
import signal
import time
from typing import TYPE_CHECKING, Any

import pytest
import torch

from monitor import Logger, Run
from monitor.errors import DataError
from monitor.runs.listing import load
from monitor.runs.resume import mark_lost_runs, reopen
from monitor.testing import wait_until
from runners.training.checkpointing import checkpoints
from tests.support import event_reader

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.fault_records import RecordFault
    from tests.support.processes import Process, Start
    from tests.support.servers import VisdomServer
from tests.support.resuming import resume, settings, train


def logged(run: Path) -> dict[str, Any]:
    """Return all that TensorBoard knows of a run, but for times and speeds."""
    found = event_reader.read(run)
    tags = found.Tags()
    everything: dict[str, Any] = {
        tag: [(e.step, e.value) for e in found.Scalars(tag)] for tag in tags["scalars"] if "per_second" not in tag
    }
    everything |= {tag: [(e.step, e.encoded_image_string) for e in found.Images(tag)] for tag in tags["images"]}
    everything |= {tag: [(e.step, e.histogram_value) for e in found.Histograms(tag)] for tag in tags["histograms"]}
    return everything | {tag: event_reader.text(run, tag) for tag in ("config",)}


def weights(run: Path) -> tuple[str, dict[str, torch.Tensor]]:
    name, state = checkpoints.load(run)
    return name.rpartition("-")[0], state["model"]


@pytest.mark.slow
@pytest.mark.parametrize("times", [3, 10])
def test_killed_at_random_moments(
    tmp_path: Path,
    small_mnist: Path,
    start: Start,
    visdom_server: VisdomServer,
    record_fault: RecordFault,
    times: int,
) -> None:
    def train_mlp(*arguments: object) -> Process:
        return start("-m", "runners.mlp", *map(str, arguments))

    def finish(process: Process) -> None:
        _, err = process.communicate(timeout=200)
        assert process.returncode == 0, err

    every = ["--epochs", "120", "--test-every", "200", "--checkpoint-every", "50", "--sink", visdom_server.spec()]
    finish(train_mlp(*settings(tmp_path, small_mnist), "--name", "whole", *every))
    run, kept = tmp_path / "cut", tmp_path / "cut" / "checkpoints"
    chance = random.Random(20)
    process = train_mlp(*settings(tmp_path, small_mnist), "--name", "cut", *every)
    kills = 0
    while kills < times:
        before = set(checkpoints.list_checkpoints(kept))
        wait_until(lambda before=before: set(checkpoints.list_checkpoints(kept)) - before, 60, "a checkpoint")  # type: ignore[misc]
        time.sleep(chance.uniform(0, 0.15))
        process.kill()
        assert process.wait(60) == -signal.SIGKILL, "it should have been killed before it was through"
        kills += 1
        assert load(run).status == "lost"
        process = train_mlp("--resume", "cut", "--trust-options", "--logdir", tmp_path)
    finish(process)
    assert load(run).status == "finished"
    assert [life["status"] for life in json.loads((run / "run.json").read_text())["lives"]] == ["lost"] * times
    assert sorted(path.parent.name for path in tmp_path.glob("*/run.json")) == ["cut", "whole"]
    whole, cut = logged(tmp_path / "whole"), logged(run)
    assert set(whole) == set(cut)
    for tag in whole:
        assert cut[tag] == whole[tag], tag
    steps = [step for step, _ in cut["train/loss"]]
    assert steps == list(range(2400))
    record_fault("SIGKILL, then resumed", logged=2400, found=len(steps), times=kills)
    assert cut["test/accuracy/best"] == whole["test/accuracy/best"]
    (name, ours), (other, theirs) = weights(run), weights(tmp_path / "whole")
    assert name == other == "step-000000002400"
    assert all(torch.equal(ours[key], theirs[key]) for key in theirs)
    for title, name in (("loss", "train"), ("loss", "test"), ("accuracy", "test")):
        shown, expected = (dict(visdom_server.trace(env, title, name)) for env in ("cut", "whole"))
        assert list(shown) == sorted(shown)
        both = set(shown) & set(expected)  # which of a long curve's points are kept depends on how it came
        assert len(both) > (100 if name == "train" else 11)
        assert [shown[step] for step in both] == pytest.approx([expected[step] for step in both])
    assert sorted(path.name for path in kept.iterdir()) == [path.name for path in checkpoints.list_checkpoints(kept)]
    metrics = load(run).metrics
    assert metrics["test/loss"]["best"] == pytest.approx(load(tmp_path / "whole").metrics["test/loss"]["best"])


def test_an_interrupted_run_goes_on_and_hparams_has_one_end(tmp_path: Path, small_mnist: Path) -> None:
    done = train(tmp_path, small_mnist, "--epochs", 4, "--name", "whole", "--checkpoint-every", "epoch")
    assert done.exit_code == 0, done.output
    shutil.copytree(tmp_path / "whole", tmp_path / "cut")
    newest = checkpoints.list_checkpoints(tmp_path / "cut" / "checkpoints")[-1]
    newest.unlink()  # as if it had been interrupted in its last epoch
    again = resume(tmp_path, "cut")
    assert again.exit_code == 0, again.output
    assert f"Resumed: {tmp_path / 'cut'}" in again.output
    assert logged(tmp_path / "cut") == logged(tmp_path / "whole")
    ends = sum(file.read_bytes().count(b"_hparams_/session_end_info") for file in (tmp_path / "cut").glob("*tfevents*"))
    assert ends == 1
    (name, ours), (other, theirs) = weights(tmp_path / "cut"), weights(tmp_path / "whole")
    assert name == other
    assert all(torch.equal(ours[key], theirs[key]) for key in theirs)


def test_a_loop_of_ones_own_goes_on(tmp_path: Path) -> None:
    with Logger(tmp_path / "a", ["tensorboard"], {"lr": 0.1}) as log:
        for step in range(30):
            log.scalar("a", float(step), step)
            if step == 19:
                assert log.checkpoint("mine", 20)
    with Logger(reopen(tmp_path / "a", "mine", 20), ["tensorboard"]) as log:
        for step in range(20, 25):
            log.scalar("a", -1.0, step)
    assert event_reader.series(tmp_path / "a", "a") == [(n, n) for n in range(20)] + [(n, -1.0) for n in range(20, 25)]
    with pytest.raises(DataError, match="do not contain the checkpoint 'yours'"):
        reopen(tmp_path / "a", "yours", 20)
    with Logger(tmp_path / "b", ["memory"]) as log:
        assert not log.checkpoint("mine", 0)  # nothing keeps it


LOST = """
import os, sys
from monitor import Logger
log = Logger(sys.argv[1], ["tensorboard"], {"lr": 1})
log.scalar("a", 1.0, 0)
log.flush()
os._exit(1)
"""


def test_a_lost_run_is_no_longer_running_in_hparams(tmp_path: Path, start: Start) -> None:
    start("-c", LOST, str(tmp_path / "a")).wait(60)
    with Logger(Run(tmp_path / "b", {"lr": 2}), ["tensorboard"]) as log:
        mark_lost_runs(tmp_path)
        assert load(log.run.path).status == "running"
    assert load(tmp_path / "a").status == "lost"
    assert json.loads((tmp_path / "a" / "run.json").read_text())["status"] == "lost"
    files = list((tmp_path / "a").glob("*tfevents*"))
    assert len(files) == 2
    mark_lost_runs(tmp_path)  # once is enough
    assert list((tmp_path / "a").glob("*tfevents*")) == files
