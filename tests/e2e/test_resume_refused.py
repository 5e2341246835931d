"""What cannot be resumed is refused in one line, and a refusal changes nothing."""

from __future__ import annotations

import json
import pickle
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
from click.testing import CliRunner

from monitor import Logger
from monitor.cli import main
from runners.training.checkpointing import checkpoints
from tests.support import event_reader

if TYPE_CHECKING:
    from tests.support.processes import Start

from tests.support.resuming import resume, train


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory, small_mnist: Path) -> Path:
    folder = tmp_path_factory.mktemp("saved")
    done = train(folder, small_mnist, "--epochs", 2, "--name", "a", "--checkpoint-every", "epoch")
    assert done.exit_code == 0, done.output
    return folder / "a"


@pytest.fixture
def run(saved: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(saved, tmp_path / "a"))


def newest(run: Path) -> Path:
    return checkpoints.list_checkpoints(run / "checkpoints")[-1]


def refused(run: Path, *arguments: object) -> str:
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    result = resume(run.parent, run.name, *arguments)
    assert result.exit_code == 2, result.output
    assert result.stderr.count("\n") == 1
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before, "a refusal changes nothing"
    return result.stderr


@pytest.mark.parametrize("damage", ["flipped", "cut", "empty", "other"])
def test_a_damaged_checkpoint_is_refused(run: Path, damage: str) -> None:
    file = newest(run)
    data = bytearray(file.read_bytes())
    if damage == "flipped":
        data[len(data) // 2] ^= 1
    damaged: dict[str, bytes] = {"cut": bytes(data[:-100]), "empty": b"", "other": b"hello"}
    file.write_bytes(damaged.get(damage, bytes(data)))
    said = refused(run)
    assert f"{file}' is damaged: its checksum is not the one in its name; remove it to resume from step-" in said
    file.unlink()
    assert resume(run.parent, "a").exit_code == 0  # from the one before


class Evil:
    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.target,)


def test_a_checkpoint_cannot_run_code(run: Path, tmp_path: Path) -> None:
    import hashlib
    import io

    held = io.BytesIO()
    torch.save({"format": Evil(tmp_path / "pwned")}, held, pickle_module=pickle)
    digest = hashlib.sha256(held.getvalue()).hexdigest()[:16]
    (run / "checkpoints" / f"step-000000009999-{digest}.pt").write_bytes(held.getvalue())
    assert "is damaged: Weights only load failed" in refused(run)
    assert not (tmp_path / "pwned").exists()


def test_another_config_is_refused(run: Path, small_mnist: Path, tmp_path: Path) -> None:
    assert "'--lr': 0.5 is not what the run" in refused(run, "--lr", 0.5).replace("Invalid value for ", "")
    assert "'--epochs'" in refused(run, "--epochs", 1)
    assert resume(run.parent, "a", "--lr", 0.01).exit_code == 0  # as it was
    other = Path(shutil.copytree(small_mnist, tmp_path / "other"))
    images = other / "MNIST" / "raw" / "train-images-idx3-ubyte"
    images.write_bytes(images.read_bytes()[:-1] + b"\x07")
    assert "is from another config: the data were" in refused(run, "--data-dir", other)
    name, state = checkpoints.load(run)
    said = CliRunner().invoke(main, ["train", "logistic", "--resume", str(run)]).stderr
    assert f"{str(run)!r} is a run of mlp, not of logistic" in said
    assert (name, state["config"]["epochs"]) == (newest(run).name, 2)


def test_what_cannot_be_resumed_is_refused(run: Path, tmp_path: Path) -> None:
    assert "there is no run 'none'" in resume(tmp_path, "none").stderr
    with Logger(tmp_path / "bare", []):
        pass
    assert "has no checkpoint; runs save them with --checkpoint-every" in resume(tmp_path, "bare").stderr
    for file in run.glob("*tfevents*"):
        file.unlink()
    assert "do not contain the checkpoint" in resume(tmp_path, "a").stderr


def test_a_run_that_goes_on_is_not_resumed(run: Path, start: Start) -> None:
    sleeper = start("-c", "import sys; print(1, flush=True); sys.stdin.read(); import time; time.sleep(60)")
    from monitor.runs.processes import process

    fields = json.loads((run / "run.json").read_text())
    fields |= {"status": "running", "pid": sleeper.pid, "process": process.identity(sleeper.pid)}
    (run / "run.json").write_text(json.dumps(fields))
    assert f"is still running, in process {sleeper.pid}" in refused(run)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--checkpoint-every", "never"], "is neither 'epoch' nor a number of steps"),
        (["--checkpoint-every", "epoch", "--sink", "console"], "needs --sink tensorboard"),
    ],
)
def test_bad_options_are_one_line(tmp_path: Path, arguments: list[str], says: str) -> None:
    result = CliRunner().invoke(main, ["train", "mlp", "--data", "digits", "--logdir", str(tmp_path), *arguments])
    assert result.exit_code == 2
    assert says in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_costs_a_checkpoint_and_nothing_else(
    tmp_path: Path, small_mnist: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "checkpoints").write_text("no folder can be here")
    done = train(tmp_path, small_mnist, "--epochs", 2, "--name", "a", "--checkpoint-every", "epoch")
    assert done.exit_code == 0, done.output
    assert sum("is not saved" in record.getMessage() for record in caplog.records) == 2
    assert len(event_reader.series(tmp_path / "a", "train/loss")) == 40
