"""Ignite's newest release, and `MonitorLogger` with its handlers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch
from ignite.engine import Engine, Events

from monitor import Histogram, Logger, MemorySink, Text
from monitor.integrations.ignite import (
    GradsHistHandler,
    GradsScalarHandler,
    MonitorLogger,
    OptimizerParamsHandler,
    OutputHandler,
    WeightsHistHandler,
    WeightsScalarHandler,
    global_step_from_engine,
)
from tests.support import event_reader, snippets
from tests.support.logged_runs import ending, run_file

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DATA = [1.0, 2.0, 3.0]


class BrokenSink(MemorySink):
    """A sink that takes nothing."""

    def write(self, records: Any) -> None:
        raise RuntimeError("broken")


@pytest.fixture
def memory() -> MemorySink:
    return MemorySink()


@pytest.fixture
def logger(tmp_path: Path, memory: MemorySink) -> Iterator[MonitorLogger]:
    with MonitorLogger(name="run", logdir=tmp_path, sinks=[memory]) as made:
        yield made


@pytest.fixture
def model() -> torch.nn.Sequential:
    """Return a model with gradients, except for the layer that is frozen."""
    model = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Linear(2, 1))
    model[0].weight.requires_grad = False
    model(torch.ones(1, 2)).sum().backward()
    return model


def test_the_snippet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    exec(compile(snippets.section("integrations.md", "Ignite"), "integrations.md", "exec"), {"__name__": "docs"})
    run = tmp_path / "runs" / "regression"
    losses = event_reader.series(run, "train/loss")
    assert [step for step, _ in losses] == list(range(1, 21))
    assert losses[-1][1] < losses[0][1]
    assert [step for step, _ in event_reader.series(run, "val/mse")] == [4, 8, 12, 16, 20]
    assert event_reader.series(run, "lr/group_0")[0][1] == pytest.approx(0.1)
    assert len(event_reader.series(run, "grads_norm/weight")) == 20
    assert run_file(run)["config"] == {"lr": 0.1}
    assert ending(run) == ("finished", None)


def test_outputs_of_every_kind(logger: MonitorLogger, memory: MemorySink) -> None:
    output = {
        "loss": torch.tensor(0.5),
        "parts": [1, torch.tensor(2)],
        "vector": torch.tensor([3.0, 4.0]),
        "nested": {"a": {"b": 5}},
        "note": "text",
        "matrix": torch.ones(2, 2),
        "nothing": None,
    }
    trainer = Engine(lambda engine, batch: output)
    logger.attach_output_handler(
        trainer, Events.ITERATION_COMPLETED, tag="train", output_transform=lambda output: output
    )
    trainer.run(DATA[:1], max_epochs=1)
    assert logger.flush()
    values = {
        "loss": 0.5, "parts/0": 1, "parts/1": 2, "vector/0": 3, "vector/1": 4, "nested/a/b": 5,
    }  # fmt: skip
    assert {tag: memory.series(f"train/{tag}") for tag in values} == {tag: [(1, v)] for tag, v in values.items()}
    assert [(record.tag, record.text) for record in memory.of(Text)] == [("train/note", "text")]
    assert memory.series("train/matrix") == []


def test_metrics_and_attributes_of_the_state(logger: MonitorLogger, memory: MemorySink) -> None:
    trainer = Engine(lambda engine, batch: batch)
    evaluator = Engine(lambda engine, batch: None)

    def measure() -> None:
        evaluator.state.metrics.update(accuracy=0.5, loss=0.25)
        evaluator.state.alpha = 0.125

    evaluator.add_event_handler(Events.EPOCH_COMPLETED, measure)
    trainer.add_event_handler(Events.EPOCH_COMPLETED, lambda: evaluator.run(DATA))
    step = global_step_from_engine(trainer)
    handler = OutputHandler("val", ["accuracy", "missing"], global_step_transform=step, state_attributes=["alpha"])
    logger.attach(evaluator, handler, Events.EPOCH_COMPLETED)
    logger.attach_output_handler(
        evaluator, Events.EPOCH_COMPLETED, tag="all", metric_names="all", global_step_transform=step
    )
    logger.attach_output_handler(trainer, Events.EPOCH_COMPLETED, tag="train", output_transform=lambda output: output)
    trainer.run(DATA, max_epochs=2)
    assert logger.flush()
    assert memory.series("val/accuracy") == memory.series("all/accuracy") == [(1, 0.5), (2, 0.5)]
    assert memory.series("val/alpha") == [(1, 0.125), (2, 0.125)]
    assert memory.series("all/loss") == [(1, 0.25), (2, 0.25)]
    assert memory.series("train/output") == [(1, 3.0), (2, 3.0)]


def test_a_step_that_is_no_int(logger: MonitorLogger) -> None:
    trainer = Engine(lambda engine, batch: batch)
    logger.attach_output_handler(
        trainer,
        Events.ITERATION_COMPLETED,
        tag="train",
        output_transform=lambda output: output,
        global_step_transform=lambda engine, event: "one",
    )
    with pytest.raises(TypeError, match="global_step_transform must return an int, not str"):
        trainer.run(DATA, max_epochs=1)


def test_optimizer_parameters(logger: MonitorLogger, memory: MemorySink, model: torch.nn.Sequential) -> None:
    groups = [{"params": [parameter], "lr": 0.5**number} for number, parameter in enumerate(model.parameters(), 1)]
    optimizer = torch.optim.SGD(groups[:2], momentum=0.75)
    trainer = Engine(lambda engine, batch: batch)
    logger.attach_opt_params_handler(trainer, Events.ITERATION_STARTED, optimizer=optimizer)
    logger.attach(trainer, OptimizerParamsHandler(optimizer, "momentum", tag="generator"), Events.EPOCH_STARTED)
    trainer.run(DATA[:1], max_epochs=1)
    assert logger.flush()
    assert memory.series("lr/group_0") == [(1, 0.5)]
    assert memory.series("lr/group_1") == [(1, 0.25)]
    assert memory.series("generator/momentum/group_1") == [(1, 0.75)]


def test_weights_and_gradients(logger: MonitorLogger, memory: MemorySink, model: torch.nn.Sequential) -> None:
    trainer = Engine(lambda engine, batch: batch)
    for handler in (
        WeightsScalarHandler(model),
        GradsScalarHandler(model, reduction=torch.max, tag="generator"),
        WeightsHistHandler(model, whitelist=["1"]),
        GradsHistHandler(model),
    ):
        logger.attach(trainer, handler, Events.EPOCH_COMPLETED)
    trainer.run(DATA, max_epochs=1)
    assert logger.flush()
    ((step, norm),) = memory.series("weights_norm/0/weight")
    assert step == 1
    assert norm == pytest.approx(float(torch.linalg.norm(next(model.parameters()).detach())))
    assert memory.series("generator/grads_max/1/bias") == [(1, 1.0)]
    assert memory.series("generator/grads_max/0/weight") == []
    assert [record.tag for record in memory.of(Histogram)] == [
        "weights/1/weight", "weights/1/bias", "grads/0/bias", "grads/1/weight", "grads/1/bias",
    ]  # fmt: skip


def test_it_has_the_methods_of_a_logger(logger: MonitorLogger, memory: MemorySink) -> None:
    logger.text("note", "text", 3)
    assert logger.flush()
    assert logger.run.name == "run"
    assert [record.step for record in memory.of(Text)] == [3]
    with pytest.raises(AttributeError):
        logger.imagess  # noqa: B018 - reading it is the test


def test_the_status_of_an_engine_that_raises(tmp_path: Path) -> None:
    def fail(_engine: Engine, _batch: float) -> None:
        raise ValueError("bad batch")

    with pytest.raises(ValueError, match="bad batch"), MonitorLogger(name="with", logdir=tmp_path, sinks=[]):
        Engine(fail).run(DATA)
    logger = MonitorLogger(name="finally", logdir=tmp_path, sinks=[])

    def run_and_close() -> None:
        try:
            Engine(fail).run(DATA)
        finally:
            logger.close()

    with pytest.raises(ValueError, match="bad batch"):
        run_and_close()
    for name in ("with", "finally"):
        assert ending(tmp_path / name) == ("failed", "ValueError: bad batch")


def test_a_logger_of_ones_own_stays_open(tmp_path: Path, memory: MemorySink) -> None:
    with Logger(tmp_path / "mine", [memory]) as log:
        with MonitorLogger(log, config={"lr": 0.5}):
            pass
        MonitorLogger(log).close()
        log.scalar("after", 1.0, 0)
    assert memory.series("after") == [(0, 1.0)]
    assert run_file(tmp_path / "mine")["config"] == {"lr": 0.5}


def test_a_broken_sink_does_not_end_the_training(tmp_path: Path) -> None:
    trainer = Engine(lambda engine, batch: batch)
    with MonitorLogger(name="run", logdir=tmp_path, sinks=[BrokenSink()]) as logger:
        logger.attach_output_handler(trainer, Events.ITERATION_COMPLETED, tag="train", output_transform=float)
        assert trainer.run(DATA, max_epochs=2).iteration == 6
    assert ending(tmp_path / "run")[0] == "finished"
