"""`--resume RUN --epochs N` trains longer, and what depends on the length follows it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
import torch
from click.testing import CliRunner

from monitor.cli import main
from runners.training.checkpointing import checkpoints
from runners.training.optimizers import SCHEDULERS, fit_scheduler
from tests.support import event_reader
from tests.support.resuming import resume, train

if TYPE_CHECKING:
    from pathlib import Path


def test_more_epochs_than_before(tmp_path: Path, small_mnist: Path) -> None:
    done = train(tmp_path, small_mnist, "--epochs", 2, "--name", "a", "--checkpoint-every", "epoch")
    assert done.exit_code == 0, done.output
    longer = resume(tmp_path, "a", "--epochs", 4)
    assert longer.exit_code == 0, longer.output
    assert "Length: 4 epochs instead of 2; the cosine schedule spans them, so the rate is 0.005, not 0" in longer.output
    fields = json.loads((tmp_path / "a" / "run.json").read_text())
    assert fields["config"]["epochs"] == 4
    assert fields["progress"] == {"epoch": 4, "epochs": 4, "step": 80, "steps": 80}
    rates = [value for _, value in event_reader.series(tmp_path / "a", "lr")]
    expected = [0.01 * (1 + torch.cos(torch.tensor(torch.pi * epoch / 4)).item()) / 2 for epoch in (2, 3)]
    assert rates[-2:] == pytest.approx(expected)

    again = resume(tmp_path, "a")  # without --epochs, it is as long as it was last
    assert again.exit_code == 0
    assert "Length" not in again.output
    refused = resume(tmp_path, "a", "--epochs", 3)
    assert refused.exit_code == 2
    assert refused.stderr.count("\n") == 1
    assert "'--epochs': the run" in refused.stderr
    assert "is in epoch 4 already; give more to train longer" in refused.stderr
    assert checkpoints.load(tmp_path / "a")[1]["options"]["epochs"] == 4


def test_a_run_elsewhere_is_looked_at_there(tmp_path: Path, small_mnist: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is served and named at the end is the folder that the run is in, not `runs`."""
    monkeypatch.chdir(tmp_path)
    done = train(tmp_path / "lin", small_mnist, "--epochs", 1, "--name", "a", "--checkpoint-every", "epoch")
    assert done.exit_code == 0, done.output
    command = ["train", "mlp", "--resume", "lin/a", "--epochs", "2", "--sink", "tensorboard", "--trust-options"]
    longer = CliRunner().invoke(main, command)
    assert longer.exit_code == 0, longer.output
    assert "monitor serve tensorboard --logdir lin\n" in longer.output
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("name", SCHEDULERS)
def test_a_schedule_of_another_length_is_as_if_it_had_had_it_from_the_start(name: str) -> None:
    def after(epochs: int, steps: int, refit: int | None = None) -> list[float]:
        optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
        scheduler = SCHEDULERS[name](optimizer, epochs)
        rates = []
        for step in range(steps):
            if step == 5 and refit:
                fit_scheduler(name, optimizer, scheduler, refit)
            rates.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            scheduler.step()
        return rates

    assert after(6, 12, refit=12)[5:] == pytest.approx(after(12, 12)[5:])
