"""The format of checkpoints on disk, and resuming runs that an earlier version wrote."""

from __future__ import annotations

import hashlib
import io
import math
from typing import TYPE_CHECKING, Any

import pytest
import torch
from click.testing import CliRunner, Result

from monitor import Logger, Run
from runners import logistic, mlp
from runners.data import images, tables
from runners.training.checkpointing import checkpoints
from runners.training.checkpointing.random_state import random_state
from tests.support import event_reader

if TYPE_CHECKING:
    from pathlib import Path

    import click

UPDATES_BEFORE = 3

# Written out, not made by the program: this is what a file of version 0.1.0 holds.
CONFIG_0_1_0 = {
    "runner": "logistic", "data": "lecture-lab", "device": "cpu", "epochs": 6, "batch_size": 6, "lr": 1.0,
    "optimizer": "sgd", "momentum": 0.0, "weight_decay": 0.0, "scheduler": "none", "reduction": "mean",
    "standardize": False, "one_vs_rest": False, "initial_weight": 0.0, "initial_bias": 0.0, "seed": 0,
}  # fmt: skip
OPTIONS_0_1_0 = {
    "data": "lecture-lab", "epochs": 6, "checkpoint_every": 1, "all_dashboards": False, "sinks": ["tensorboard"],
    "csv": None, "batch_size": None, "lr": 1.0, "optimizer": "sgd", "momentum": 0.0, "weight_decay": 0.0,
    "scheduler": "none", "reduction": "mean", "standardize": False, "initial_weight": 0.0, "initial_bias": 0.0,
    "one_vs_rest": False, "data_dir": None, "mnist_mirror": None, "seed": 0, "log_every": 1, "log_ranks": False,
    "alerts": [], "stop_on_alert": False,
}  # fmt: skip
DATA_0_1_0 = ["lecture-lab", 2, [6, 2, 804444323], None, None]
STATE_0_1_0 = {
    "epoch": 4, "first": 3, "step": 3, "tested": 3, "best": math.inf, "waited": 0, "newest": {},
}  # fmt: skip


def invoke(command: click.Command, folder: Path, *arguments: object) -> Result:
    return CliRunner().invoke(command, [*map(str, arguments), "--logdir", str(folder)])


def losses(run: Path) -> list[tuple[int, float]]:
    return event_reader.series(run, "train/loss")


def save_as(run: Path, step: int, contents: dict[str, Any]) -> str:
    """Save a checkpoint under the name that its checksum gives it; return the name."""
    buffer = io.BytesIO()
    torch.save(contents, buffer)
    name = f"step-{step:012d}-{hashlib.sha256(buffer.getvalue()).hexdigest()[:16]}.pt"
    (run / "checkpoints").mkdir(exist_ok=True)
    (run / "checkpoints" / name).write_bytes(buffer.getvalue())
    return name


def newest(run: Path) -> dict[str, Any]:
    """Return the contents of a run's newest checkpoint as they are in the file."""
    contents: dict[str, Any] = torch.load(checkpoints.list_checkpoints(run / "checkpoints")[-1], weights_only=True)
    return contents


def test_a_checkpoint_of_version_0_1_0_resumes(tmp_path: Path) -> None:
    done = invoke(logistic.main, tmp_path, "--data", "lecture-lab", "--epochs", 6, "--name", "whole", "--sink",
                  "tensorboard")  # fmt: skip
    assert done.exit_code == 0, done.output
    table = tables.lecture_lab()
    model = torch.nn.Linear(2, 1)
    torch.nn.init.zeros_(model.weight)
    torch.nn.init.zeros_(model.bias)
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    with Logger(Run(tmp_path / "old", CONFIG_0_1_0), ["tensorboard"]) as log:
        for step in range(UPDATES_BEFORE):
            optimizer.zero_grad()
            loss = torch.nn.functional.binary_cross_entropy_with_logits(model(table.x).squeeze(1), table.y.float())
            torch.autograd.backward(loss)
            optimizer.step()
            log.scalar("train/loss", loss, step)
        contents = {
            "config": CONFIG_0_1_0, "options": OPTIONS_0_1_0, "data": DATA_0_1_0, "format": 1, "at": STATE_0_1_0,
            "model": model.state_dict(), "optimizer": optimizer.state_dict(), "scheduler": None,
            "random": [random_state()],
        }  # fmt: skip
        assert log.checkpoint(save_as(tmp_path / "old", UPDATES_BEFORE, contents), UPDATES_BEFORE)
    done = invoke(logistic.main, tmp_path, "--resume", "old")
    assert done.exit_code == 0, done.output
    assert losses(tmp_path / "old") == losses(tmp_path / "whole")
    assert len(losses(tmp_path / "old")) == 7


OPTIONS_SINCE: dict[str, Any] = {
    "activation": None, "charts": [], "loss": None, "prune": None, "threshold_inclusive": None,
}  # fmt: skip


def test_the_format_is_that_of_version_0_1_0(tmp_path: Path) -> None:
    done = invoke(logistic.main, tmp_path, "--data", "lecture-lab", "--epochs", 6, "--checkpoint-every", 1, "--name",
                  "a", "--sink", "tensorboard")  # fmt: skip
    assert done.exit_code == 0, done.output
    contents = newest(tmp_path / "a")
    assert contents["config"] == CONFIG_0_1_0
    assert contents["options"] == OPTIONS_0_1_0 | OPTIONS_SINCE
    assert contents["data"] == DATA_0_1_0
    assert contents["at"].keys() == STATE_0_1_0.keys() | {"best_test", "best_step"}
    assert contents.keys() == {
        "config", "options", "data", "format", "at", "model", "optimizer", "scheduler", "random",
    }  # fmt: skip
    assert (contents["format"], contents["at"]["step"], contents["scheduler"]) == (1, 6, None)


@pytest.mark.parametrize("repeated", [[], ["--loss", "regularised-expectation"], ["--loss", "regularized-expectation"]])
@pytest.mark.parametrize("spelling", ["regularised-expectation", "regularized-expectation"])
def test_the_regularized_expectation_in_either_spelling(tmp_path: Path, spelling: str, repeated: list[str]) -> None:
    settings = [
        "--data",
        "digits",
        "--hidden",
        8,
        "--epochs",
        2,
        "--sink",
        "tensorboard",
        "--checkpoint-every",
        "epoch",
    ]
    done = invoke(mlp.main, tmp_path, *settings, "--loss", spelling, "--name", "a")
    assert done.exit_code == 0, done.output
    whole = losses(tmp_path / "a")
    checkpoints.list_checkpoints(tmp_path / "a" / "checkpoints")[-1].unlink()
    contents = newest(tmp_path / "a")
    assert contents["config"]["loss"] == contents["options"]["loss"] == "regularized-expectation"
    contents["config"]["loss"] = contents["options"]["loss"] = spelling  # the first is that of version 0.1.0
    step = contents["at"]["step"]
    with Logger(Run(tmp_path / "b", contents["config"]), ["tensorboard"]) as log:
        for number, loss in whole[:step]:
            log.scalar("train/loss", loss, number)
        assert log.checkpoint(save_as(tmp_path / "b", step, contents), step)
    done = invoke(mlp.main, tmp_path, "--resume", "b", *repeated)
    assert done.exit_code == 0, done.output
    assert losses(tmp_path / "b") == whole
    assert len(whole) == 2 * step


@pytest.mark.parametrize("data", ["breast-cancer", "digits"])
def test_a_resumed_logistic_run_has_its_own_data(tmp_path: Path, data: str) -> None:
    settings = ["--data", data, "--epochs", 2, "--sink", "tensorboard", "--checkpoint-every", "epoch", "--name", "a"]
    done = invoke(logistic.main, tmp_path, *settings)
    assert done.exit_code == 0, done.output
    whole = losses(tmp_path / "a")
    checkpoints.list_checkpoints(tmp_path / "a" / "checkpoints")[-1].unlink()
    done = invoke(logistic.main, tmp_path, "--resume", "a")
    assert done.exit_code == 0, done.output
    assert losses(tmp_path / "a") == whole


def test_a_resumed_run_can_read_its_table_from_elsewhere(tmp_path: Path) -> None:
    rows = "".join(f"{n},{n % 3},{n % 2}\n" for n in range(20))
    (tmp_path / "t.csv").write_text(rows)
    settings = ["--data", "csv", "--epochs", 2, "--sink", "tensorboard", "--checkpoint-every", "epoch", "--name", "a"]
    done = invoke(logistic.main, tmp_path, *settings, "--csv", tmp_path / "t.csv")
    assert done.exit_code == 0, done.output
    checkpoints.list_checkpoints(tmp_path / "a" / "checkpoints")[-1].unlink()
    (tmp_path / "moved").mkdir()
    (tmp_path / "t.csv").rename(tmp_path / "moved" / "t.csv")
    assert "t.csv: cannot be read" in invoke(logistic.main, tmp_path, "--resume", "a", "--trust-options").stderr
    done = invoke(logistic.main, tmp_path, "--resume", "a", "--csv", tmp_path / "moved" / "t.csv")
    assert done.exit_code == 0, done.output


def test_a_table_is_no_option_of_a_resumed_run_without_one(tmp_path: Path) -> None:
    settings = ["--epochs", 2, "--sink", "tensorboard", "--checkpoint-every", "epoch", "--name", "a"]
    assert invoke(logistic.main, tmp_path, *settings).exit_code == 0
    done = invoke(logistic.main, tmp_path, "--resume", "a", "--csv", "t.csv")
    assert done.exit_code == 2
    assert "'--csv': does not go with --data hours" in done.stderr


def test_a_fingerprint_tells_data_sets_apart() -> None:
    digits = images.digits()
    changed = digits.train.x.clone()
    changed[0, 0] += 1
    other = digits._replace(train=digits.train._replace(x=changed))
    assert checkpoints.fingerprint(digits) == checkpoints.fingerprint(images.digits())
    assert checkpoints.fingerprint(other) != checkpoints.fingerprint(digits)
