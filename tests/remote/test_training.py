"""Trainings that log to a store: through `monitor train`, `monitor run`, torchrun, and on another machine."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import fsspec
import pytest

from monitor.remote.urls import spool_path
from monitor.runs.listing import load
from monitor.testing import wait_until
from tests.remote.test_s3 import points, status
from tests.support.servers import free_port
from tests.support.stores import BUCKET

if TYPE_CHECKING:
    from tests.support.processes import Start
    from tests.support.stores import S3Server

LOGDIR = f"s3://{BUCKET}/runs"
ARGUMENTS = ("--data", "digits", "--hidden", "16", "--batch-size", "200", "--sink", "tensorboard", "--seed", "3")
EPOCHS = "80"  # long enough to be killed
SCRIPT = """
from torch.utils.tensorboard import SummaryWriter
print("it prints", flush=True)
with SummaryWriter() as writer:
    for step in range(100):
        writer.add_scalar("x", step, step)
"""


@pytest.mark.slow
def test_a_killed_training_goes_on_on_another_machine_with_the_same_bits(
    s3: S3Server, start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def train(*arguments: str) -> str:
        process = start("-m", "monitor", "train", "mlp", *arguments)
        output, errors = process.communicate(timeout=200)
        assert process.returncode == 0, errors
        return str(output)

    train(*ARGUMENTS, "--epochs", EPOCHS, "--logdir", LOGDIR, "--name", "whole")
    first = start("-m", "monitor", "train", "mlp", *ARGUMENTS, "--epochs", EPOCHS, "--logdir", LOGDIR, "--name", "a",
                  "--checkpoint-every", "epoch")  # fmt: skip
    wait_until(lambda: len(s3.objects("runs/a/checkpoints")) >= 1, 200, "a checkpoint in the store")
    assert first.poll() is None
    first.kill()
    first.communicate(timeout=60)
    local = spool_path(f"{LOGDIR}/a")
    wait_until(lambda: _is_unlocked(local), 100, "the end of the uploader")
    fields = json.loads(s3.read("runs/a/run.json"))
    if fields["status"] == "running":
        fields["heartbeat"] = "2026-01-01T00:00:00+00:00"  # so that nobody waits for half a minute
        fields["process"]["machine"] = "another"
        store = fsspec.filesystem("s3", endpoint_url=s3.url, use_listings_cache=False)
        store.pipe_file(f"{BUCKET}/runs/a/run.json", json.dumps(fields).encode())
    monkeypatch.setenv("MONITOR_SPOOL", str(tmp_path / "another machine"))
    output = train("--resume", f"{LOGDIR}/a", "--epochs", EPOCHS)
    assert f"Run: {LOGDIR}/a\n" in output
    assert status(s3) == "finished"
    for tag in ("train/loss", "test/accuracy"):
        curve = points(s3, tmp_path / "read", tag=tag)
        assert curve == points(s3, tmp_path / "read whole", "runs/whole", tag)
        assert len(curve) >= int(EPOCHS)
    names = {Path(name).name for name in s3.objects("runs/a")}
    assert {"output.log", "run.json"} <= names
    assert sum(name.endswith(".pt") for name in names) == 2


@pytest.mark.slow
def test_a_script_under_monitor_run(s3: S3Server, start: Start, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    process = start("-m", "monitor", "run", "--logdir", LOGDIR, "--name", "a", "--sink", "tensorboard", str(script))
    _, errors = process.communicate(timeout=200)
    assert process.returncode == 0, errors
    assert f"Run: {LOGDIR}/a\n" in errors
    assert points(s3, tmp_path / "read") == [(step, float(step)) for step in range(100)]
    assert s3.read("runs/a/output.log") == b"it prints\n"
    assert status(s3) == "finished"
    script.write_text(SCRIPT.replace("SummaryWriter()", f"SummaryWriter({str(tmp_path / 'own')!r})"))
    process = start("-m", "monitor", "run", "--logdir", LOGDIR, "--name", "b", "--sink", "tensorboard", str(script))
    _, errors = process.communicate(timeout=200)
    assert process.returncode == 0, errors
    assert not s3.objects("runs/b")
    assert not spool_path(f"{LOGDIR}/b").exists()


@pytest.mark.slow
def test_torchrun(s3: S3Server, start: Start, tmp_path: Path) -> None:
    process = start("-m", "torch.distributed.run", "--nproc-per-node", "2", "--standalone", "-m", "runners.mlp",
                    *ARGUMENTS, "--epochs", "2", "--logdir", LOGDIR, "--name", "a", "--log-ranks", fresh=True,
                    env={**os.environ, "OMP_NUM_THREADS": "1"})  # fmt: skip
    output, errors = process.communicate(timeout=200)
    assert process.returncode == 0, errors
    assert f"Run: {LOGDIR}/a\n" in output
    assert sum(name.endswith(".rank1") for name in s3.objects("runs/a")) >= 1
    assert len(points(s3, tmp_path / "read", tag="train/loss")) > 1
    assert {name.split("/")[1] for name in s3.objects("runs")} == {"a"}


@pytest.mark.slow
@pytest.mark.usefixtures("spool")
def test_a_store_that_stays_away_is_an_error_at_the_end(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_port()}")
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    train = ("train", "mlp", *ARGUMENTS, "--epochs", "1")
    for command in (train, ("run", "--sink", "tensorboard")):
        more = () if command is train else (str(script),)
        process = start("-m", "monitor", *command, "--logdir", LOGDIR, "--name", command[0], *more)
        output, errors = process.communicate(timeout=200)
        assert process.returncode == 1, errors
        assert f"Run: {LOGDIR}/{command[0]}\n" in output + errors
        assert f"monitor serve tensorboard --logdir {LOGDIR}\n" in output + errors
        assert f"upload it with: monitor upload {LOGDIR}/{command[0]}\n" in errors
        assert load(spool_path(f"{LOGDIR}/{command[0]}")).status == "finished"


def _is_unlocked(folder: Path) -> bool:
    from monitor.remote.uploader import open_lock, take_lock

    with open_lock(folder) as lock:
        return take_lock(lock)
