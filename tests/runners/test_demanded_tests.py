"""A test that a dashboard asks for changes nothing that early stopping counts or reports."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import torch

from runners.training import loop
from runners.training.checkpointing.state import TrainConfig, TrainState

if TYPE_CHECKING:
    import pytest


def test_a_better_result_on_demand_is_not_the_best_of_early_stopping(monkeypatch: pytest.MonkeyPatch) -> None:
    state = TrainState(
        step=20, best_val_loss=0.5, best_step=10, best_test={"test/loss": 0.6}, tests_without_improvement=2
    )
    tested: list[int] = []

    def improve(*_arguments: Any) -> None:
        tested.append(state.step)
        state.metrics["test/loss"] = 0.1
        state.update_best(0.05)

    monkeypatch.setattr(loop, "test_model", improve)
    run: Any = SimpleNamespace(state=state)
    config = TrainConfig(epochs=1, batch_size=1, device=torch.device("cpu"))
    loop.look(torch.nn.Linear(1, 1), {}, (), torch.nn.functional.cross_entropy, config, run, 0)
    assert tested == [20]
    best = state.best_val_loss, state.best_step, state.best_test, state.tests_without_improvement
    assert best == (0.5, 10, {"test/loss": 0.6}, 2)
