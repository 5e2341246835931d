"""Keras' newest release on torch, and `MonitorCallback`."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

os.environ["KERAS_BACKEND"] = "torch"

import keras
import numpy as np
import pytest

from monitor import Logger, MemorySink, Progress, Scalar
from monitor.integrations.keras import MonitorCallback
from tests.support import event_reader, snippets
from tests.support.logged_runs import ending, run_file

if TYPE_CHECKING:
    from tests.support.processes import Start

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras' own

X = np.random.default_rng(0).normal(size=(64, 4)).astype("float32")
Y = X.sum(axis=1, keepdims=True)


class Failing(keras.callbacks.Callback):  # type: ignore[misc]
    """Raise in the second batch."""

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        if batch == 1:
            raise ValueError("bad batch")


class BrokenSink(MemorySink):
    """A sink that takes nothing."""

    def write(self, records: Any) -> None:
        raise RuntimeError("broken")


def compiled(rate: Any = 0.125, **options: Any) -> Any:
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)], name="linear")
    model.compile(optimizer=keras.optimizers.SGD(rate), loss="mse", metrics=["mae"], **options)
    return model


def fit(model: Any, callback: MonitorCallback, **options: Any) -> Any:
    return model.fit(X, Y, batch_size=16, callbacks=[callback], **{"epochs": 2, "verbose": 0} | options)


@pytest.fixture
def memory() -> MemorySink:
    return MemorySink()


@pytest.fixture
def callback(tmp_path: Path, memory: MemorySink) -> MonitorCallback:
    return MonitorCallback(name="run", logdir=tmp_path, sinks=[memory])


def test_the_snippet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    exec(compile(snippets.section("integrations.md", "Keras"), "integrations.md", "exec"), {"__name__": "docs"})
    run = tmp_path / "runs" / "regression"
    losses = event_reader.series(run, "train/loss")
    assert [step for step, _ in losses] == list(range(1, 16))
    assert losses[-1][1] < losses[0][1]
    assert [step for step, _ in event_reader.series(run, "val/mae")] == [3, 6, 9, 12, 15]
    assert [step for step, _ in event_reader.series(run, "test/loss")] == [15]
    assert event_reader.series(run, "train/learning_rate")[0][1] == pytest.approx(0.1)
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["regression"]
    assert ending(run) == ("finished", None)
    assert "tensorflow" not in sys.modules


def test_what_is_logged(callback: MonitorCallback, memory: MemorySink, tmp_path: Path) -> None:
    history = fit(compiled(), callback, validation_data=(X, Y)).history
    assert {record.tag for record in memory.of(Scalar)} == {
        "train/loss", "train/mae", "train/learning_rate", "val/loss", "val/mae",
    }  # fmt: skip
    losses = dict(memory.series("train/loss"))
    assert sorted(losses) == list(range(1, 9))
    assert [losses[4], losses[8]] == pytest.approx(history["loss"])
    assert memory.series("val/loss") == [(4, history["val_loss"][0]), (8, history["val_loss"][1])]
    assert memory.series("train/learning_rate")[0] == (1, 0.125)
    assert [record[:4] for record in memory.of(Progress)] == [(1, 2, 4, 8), (2, 2, 8, 8)]
    config = run_file(tmp_path / "run")["config"]
    assert (config["model"], config["loss"], config["epochs"], config["steps"]) == ("linear", "mse", 2, 4)
    assert config["parameters"] == 5
    assert config["optimizer.learning_rate"] == 0.125


def test_every_third_batch(tmp_path: Path, memory: MemorySink) -> None:
    history = fit(compiled(), MonitorCallback(name="run", logdir=tmp_path, sinks=[memory], every=3)).history
    losses = dict(memory.series("train/loss"))
    assert sorted(losses) == [3, 4, 6, 8]  # and the end of each epoch
    assert losses[8] == pytest.approx(history["loss"][1])


def test_the_training_does_not_wait_for_values(tmp_path: Path, memory: MemorySink) -> None:
    """Keras reads the metrics of each batch on its own threads, and calls the callback there."""
    threads = []

    class Recording(MonitorCallback):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            threads.append(threading.current_thread())
            super().on_train_batch_end(batch, logs)

    fit(compiled(), Recording(name="run", logdir=tmp_path, sinks=[memory]))
    assert len(threads) == 8
    assert threading.main_thread() not in threads


def test_batches_whose_values_come_out_of_order(callback: MonitorCallback, memory: MemorySink) -> None:
    callback.set_model(compiled())
    callback.set_params({"epochs": 1, "steps": 3})
    callback.on_train_begin()
    callback.on_epoch_begin(0)
    for batch in range(3):
        callback.on_train_batch_begin(batch)
    for batch in (1, 2, 0):
        callback.on_train_batch_end(batch, {"loss": float(batch)})
    callback.on_epoch_end(0, {"loss": 2.0})
    callback.on_train_end()
    assert memory.series("train/loss") == [(1, 0.0), (2, 1.0), (3, 2.0)]


def test_several_batches_at_once(callback: MonitorCallback, memory: MemorySink) -> None:
    """As in Keras' other backends; the last one counts batches that there are not."""
    model = compiled()
    model.steps_per_execution = 2
    callback.set_model(model)
    callback.set_params({"epochs": 1, "steps": 3})
    callback.on_train_begin()
    callback.on_epoch_begin(0)
    for batch in (0, 2):
        callback.on_train_batch_begin(batch)
        callback.on_train_batch_end(batch + 1, {"loss": 0.5})
    callback.on_train_end()
    assert memory.series("train/loss") == [(2, 0.5), (3, 0.5)]


def test_a_learning_rate_that_changes(callback: MonitorCallback, memory: MemorySink) -> None:
    fit(compiled(keras.optimizers.schedules.ExponentialDecay(0.5, 4, 0.5, staircase=True)), callback)
    rates = dict(memory.series("train/learning_rate"))
    assert (rates[1], rates[8]) == (0.5, 0.25)


def test_a_training_that_starts_later(callback: MonitorCallback, memory: MemorySink) -> None:
    fit(compiled(), callback, initial_epoch=1)
    assert [step for step, _ in memory.series("train/loss")] == [5, 6, 7, 8]


def test_a_second_fit_continues_the_curves(callback: MonitorCallback, memory: MemorySink, tmp_path: Path) -> None:
    model = compiled()
    for _ in range(2):
        fit(model, callback, epochs=1)
    assert [step for step, _ in memory.series("train/loss")] == list(range(1, 9))
    model.evaluate(X, Y, batch_size=9, callbacks=[callback], verbose=0)
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
    config = run_file(tmp_path / "run")["config"]
    assert (config["epochs"], config["steps"]) == (1, 4), "those of the training"


def test_evaluate_alone(callback: MonitorCallback, memory: MemorySink, tmp_path: Path) -> None:
    compiled().evaluate(X, Y, callbacks=[callback], verbose=0)
    assert [step for step, _ in memory.series("test/loss")] == [0]
    assert ending(tmp_path / "run") == ("finished", None)


def test_a_fit_that_raised_is_known_at_the_next(callback: MonitorCallback, tmp_path: Path) -> None:
    model = compiled()
    with pytest.raises(ValueError, match="bad batch"):
        model.fit(X, Y, batch_size=16, callbacks=[callback, Failing()], verbose=0)
    fit(model, callback)
    fields = run_file(tmp_path / "run")
    assert fields["status"] == "finished"
    lives = [(life["status"], life["error"]) for life in fields["lives"]]
    assert lives == [("failed", "the training did not reach its end")]


@pytest.mark.parametrize(
    ("is_caught", "error"), [(False, "ValueError: bad batch"), (True, "the training did not reach its end")]
)
def test_a_fit_that_raised_is_known_at_the_end(tmp_path: Path, start: Start, is_caught: bool, error: str) -> None:
    code = f"""
import contextlib, sys
sys.path.insert(0, {str(Path(__file__).parents[2])!r})
from tests.frameworks.test_keras import *
callback = MonitorCallback(name="run", logdir={str(tmp_path)!r})
with contextlib.suppress(ValueError) if {is_caught} else contextlib.nullcontext():
    compiled().fit(X, Y, batch_size=16, callbacks=[callback, Failing()], verbose=0)
"""
    process = start("-c", code, fresh=True)
    process.communicate(timeout=90)
    assert process.returncode == (0 if is_caught else 1)
    assert ending(tmp_path / "run") == ("failed", error)


def test_an_alert_ends_the_training(tmp_path: Path) -> None:
    with Logger(tmp_path / "run", [], alerts=["train/loss > 0"], stop_on_alert=True) as log:
        model = compiled()
        fit(model, MonitorCallback(log), epochs=10_000)
    assert model.stop_training
    assert ending(tmp_path / "run")[0] == "stopped"


def test_a_logger_of_ones_own_stays_open(tmp_path: Path, memory: MemorySink) -> None:
    with Logger(tmp_path / "mine", [memory], {"seed": 1}) as log:
        fit(compiled(), MonitorCallback(log))
        log.scalar("after", 1.0, 0)
    assert len(memory.series("train/loss")) == 8
    assert {"seed", "epochs"} <= set(log.run.config)


def test_a_broken_sink_does_not_end_the_training(tmp_path: Path) -> None:
    history = fit(compiled(), MonitorCallback(name="run", logdir=tmp_path, sinks=[BrokenSink()])).history
    assert len(history["loss"]) == 2
    assert ending(tmp_path / "run")[0] == "finished"


def test_every_must_be_positive() -> None:
    with pytest.raises(ValueError, match="every must be an int of at least 1, not 0"):
        MonitorCallback(every=0)
