"""What the adapters share: a logger with the default sinks, tags, numbers, and settings that can be stored."""

from __future__ import annotations

import argparse
import logging
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from monitor import Config, Logger, MemorySink, SpecError
from monitor.integrations import common
from monitor.integrations.session import Session
from tests.support.logged_runs import run_file

if TYPE_CHECKING:
    from pathlib import Path


class Odd:
    def __str__(self) -> str:
        raise RuntimeError("no text")


def test_sinks_of_a_logger_that_nobody_passed_sinks_to(monkeypatch: pytest.MonkeyPatch) -> None:
    assert common.default_sinks() == ["tensorboard"]
    monkeypatch.setenv("MONITOR_SINKS", "visdom://127.0.0.1:1, tensorboard,console")
    assert common.default_sinks() == ["tensorboard", "visdom://127.0.0.1:1", "console"]


def test_a_new_logger_has_the_default_sinks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MONITOR_SINKS", "memory")
    with common.open_logger(None, name="run", logdir=tmp_path, config={"lr": 0.1}) as log:
        assert list(log.stats().sinks) == ["tensorboard", "memory"]
        assert log.run.path == tmp_path / "run"
    assert run_file(tmp_path / "run")["config"] == {"lr": 0.1}


def test_a_logger_of_ones_own_gets_the_settings(tmp_path: Path) -> None:
    memory = MemorySink()
    with Logger(tmp_path / "run", [memory], {"lr": 0.1, "seed": 1}) as log:
        assert common.open_logger(log, name="other", config={"lr": 0.2, "layers": [1, 2]}) is log
        common.add_config(log, {"lr": 0.2})  # known: nothing is logged
    config = {"lr": 0.2, "seed": 1, "layers": [1, 2]}
    assert run_file(tmp_path / "run")["config"] == config
    assert [record.values for record in memory.of(Config)] == [{"lr": 0.1, "seed": 1}, config]


def test_a_logger_of_ones_own_has_its_own_sinks(tmp_path: Path) -> None:
    with Logger(tmp_path / "run", []) as log:
        for extra in ({"sinks": ["console"]}, {"alerts": ["loss > 1"]}):
            with pytest.raises(TypeError, match="the one that was passed has its own"):
                common.open_logger(log, name="run", **extra)  # type: ignore[arg-type]


def test_a_wrong_sink_is_told(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="unknown sink 'tensorbord'"):
        common.open_logger(None, name="run", logdir=tmp_path, sinks=["tensorbord"])
    assert list(tmp_path.iterdir()) == []


def test_settings_that_cannot_be_stored_are_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    settings: dict[Any, Any] = {"lr": np.float32(0.5), "odd": Odd(), 3: "three"}
    with (
        caplog.at_level(logging.WARNING),
        common.open_logger(None, name="run", logdir=tmp_path, sinks=[], config=settings),
    ):
        pass
    assert run_file(tmp_path / "run")["config"] == {"lr": 0.5, "3": "three"}
    assert "a setting is not recorded: config['odd'] cannot be stored: Odd raises RuntimeError: no text" in caplog.text


def test_what_is_a_number() -> None:
    numbers = [1, 2.5, True, np.float16(1), np.array([[3]]), torch.tensor(4), torch.tensor([5.0], dtype=torch.bfloat16)]
    others = [
        "1",
        None,
        1j,
        np.array([1, 2]),
        np.array(["1"]),
        np.complex64(1),
        torch.zeros(0),
        torch.ones(2),
        [1],
        Odd(),
    ]
    assert all(common.is_number(value) for value in numbers)
    assert not any(common.is_number(value) for value in others)


def test_numbers_of_nested_metrics() -> None:
    metrics: dict[Any, Any] = {
        "loss": 1,
        "by class": {"cat": {"f1": 0.5}, "dog": None},
        "note": "text",
        7: 8.0,
        "": 1,
        "many": [1, 2],
    }
    assert common.scalars(metrics) == {"loss": 1, "by class/cat/f1": 0.5, "7": 8.0}
    assert common.scalars({"loss": 1}, "val") == {"val/loss": 1}


@pytest.mark.parametrize(
    ("name", "tag"),
    [
        ("train_loss", "train/loss"),
        ("val_f1_macro", "val/f1_macro"),
        ("eval_loss", "eval/loss"),
        ("val_loss/dataloader_idx_1", "val/loss/dataloader_idx_1"),
        ("val/loss", "val/loss"),
        ("loss", "loss"),
        ("test_", "test_"),
        ("testing_loss", "testing_loss"),
    ],
)
def test_the_split_comes_first(name: str, tag: str) -> None:
    assert common.split_tag(name) == tag


def test_no_value_takes_the_tag_of_another() -> None:
    assert common.split_tags({"val_loss": 1, "val/loss": 2, "acc": 3}) == {"val_loss": 1, "val/loss": 2, "acc": 3}


def test_settings_of_any_kind() -> None:
    assert common.storable(argparse.Namespace(lr=0.1)) == {"lr": 0.1}
    assert common.storable({"lr": 0.1, "model": {"layers": [1]}}) == {"lr": 0.1, "model.layers": [1]}
    assert common.storable(None) == {}


def test_the_outcome_is_that_of_the_exception() -> None:
    assert common.current_outcome() == ("finished", None)
    try:
        raise ValueError("bad\nloss")
    except ValueError:
        assert common.current_outcome() == ("failed", "ValueError: bad loss")
    try:
        raise KeyboardInterrupt
    except KeyboardInterrupt:
        assert common.current_outcome() == ("interrupted", "KeyboardInterrupt")


def test_a_graph_that_cannot_be_traced_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with Logger(tmp_path / "run", ["tensorboard"]) as log:
        common.log_graph(log, torch.nn.Linear(2, 1), torch.zeros(1, 3))
        assert "the graph of the model is not logged" in caplog.text


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sinks": 5}, "sinks is a list of sinks, such as ['tensorboard'], not 5"),
        ({"sinks": "tensorboard"}, "sinks is a list of sinks, such as ['tensorboard'], not the text 'tensorboard'"),
        ({"alerts": 5}, "alerts is a list of rules, such as ['train/loss is nan'], not 5"),
        ({"alerts": "a > 1"}, "alerts is a list of rules, such as ['a > 1'], not the text 'a > 1'"),
        ({"name": 5}, "name is a text, such as 'mlp', not 5"),
        ({"logdir": 5}, "logdir is a folder, such as 'runs', not 5"),
        ({"logger": "x"}, "logger is a monitor.Logger, not 'x'"),
    ],
)
def test_arguments_of_a_wrong_type_are_named(options: dict[str, Any], message: str, tmp_path: Path) -> None:
    def open_one(**given: Any) -> Any:
        return common.open_logger(given.pop("logger", None), **{"name": "run", **given})

    for adapter in (Session, open_one):
        with pytest.raises(TypeError) as caught:
            adapter(**{"logdir": tmp_path, **options})
        assert str(caught.value) == message
    assert not list(tmp_path.iterdir())
