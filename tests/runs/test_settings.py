"""Configurations of any kind become settings by their full names, which lists, filters, and comparisons use."""

from __future__ import annotations

import argparse
import collections
import dataclasses
import enum
import json
import types
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from monitor import Logger, Run, reopen
from monitor.cli import main
from monitor.comparison.compare import differing_settings, load_run
from monitor.events.reading.reader import read_history
from monitor.records import Config
from monitor.runs.listing import load
from monitor.runs.run_file import read_run_file
from monitor.runs.settings.convert import to_settings


class Act(enum.Enum):
    RELU = "relu"


@dataclasses.dataclass
class Model:
    layers: tuple[int, ...] = (4, 2)
    act: Act = Act.RELU
    norm: type = torch.nn.LayerNorm
    late: int = dataclasses.field(init=False)


@dataclasses.dataclass(frozen=True, slots=True)
class Training:
    lr: float = 0.1
    model: Model = dataclasses.field(default_factory=Model)
    folder: Path = Path("data/mnist")


class Split(NamedTuple):
    train: float
    val: float


class ConfigDict:
    """A mapping in all but name, as some libraries have them."""

    def __init__(self, **values: Any) -> None:
        self._values = values

    def keys(self) -> Any:
        return self._values.keys()

    def __getitem__(self, name: str) -> Any:
        return self._values[name]


MODEL = {"model.layers": [4, 2], "model.act": "RELU", "model.norm": "torch.nn.modules.normalization.LayerNorm"}
CONFIGS: dict[str, tuple[Any, dict[str, Any]]] = {
    "nothing": (None, {}),
    "argparse": (
        argparse.Namespace(lr=0.1, sub=argparse.Namespace(depth=2), hub_token="t"),
        {"lr": 0.1, "sub.depth": 2, "hub_token": "***"},
    ),
    "dataclass": (Training(), {"lr": 0.1, **MODEL, "folder": "data/mnist"}),
    "namespace": (types.SimpleNamespace(a=1, b={"c": 2}), {"a": 1, "b.c": 2}),
    "named tuple": (Split(0.9, 0.1), {"train": 0.9, "val": 0.1}),
    "like a mapping": (ConfigDict(a=1), {"a": 1}),
    "read-only": (types.MappingProxyType({"a": {"b": 1}}), {"a.b": 1}),
    "chain": (collections.ChainMap({"a": 1}, {"b": 2}), {"a": 1, "b": 2}),
    "nested": (
        {"model": {"layers": [1, {"width": 2}], "empty": {}, "none": None}, "split": Split(1, 0), 3: {"x": 1}},
        {
            "model.layers": [1, {"width": 2}], "model.empty": {}, "model.none": None, "split.train": 1, "split.val": 0,
            "3.x": 1,
        },
    ),
    "known names": ({"model.lr": 0.1, "model": {"layers": 2}}, {"model.lr": 0.1, "model.layers": 2}),
    "numbers and torch": (
        {"lr": np.float32(0.5), "n": np.int64(3), "dtype": torch.bfloat16, "device": torch.device("cuda", 0)},
        {"lr": 0.5, "n": 3, "dtype": "torch.bfloat16", "device": "cuda:0"},
    ),
    "a secret in a part": ({"hub": {"token": "t", "name": "n"}}, {"hub.token": "***", "hub.name": "n"}),
}  # fmt: skip


@pytest.mark.parametrize("name", CONFIGS)
def test_what_is_recorded(tmp_path: Path, name: str) -> None:
    config, wanted = CONFIGS[name]
    with Logger(tmp_path / "run", ["tensorboard"], config) as log:
        assert log.run.config == wanted
        log.scalar("loss", 0.5, 0)
    assert read_run_file(tmp_path / "run")["config"] == wanted
    assert to_settings(wanted) == wanted
    (shown,) = [r for records in read_history(log.run.path) for r in records if isinstance(r, Config)]
    assert set(shown.values) == {name for name, value in wanted.items() if value is not None}


@dataclasses.dataclass
class Ring:
    next: Any = None


def ring() -> Ring:
    first = Ring()
    first.next = Ring(first)
    return first


class NoItems:
    def keys(self) -> Any:
        raise OSError("they are\nelsewhere")


REFUSED: dict[str, tuple[Any, type[Exception], str]] = {
    "clash": (
        {"a": {"b": 1}, "a.b": 2}, ValueError,
        "config has two settings that are 'a.b': config['a']['b'] and config['a.b']",
    ),
    "clash of dots": (
        {"a.b": {"c": 1}, "a": {"b.c": 2}}, ValueError,
        "config has two settings that are 'a.b.c': config['a.b']['c'] and",
    ),
    "class": (Training, TypeError, "config is a mapping of names to values, a namespace, or an object of a dataclass"),
    "text": ("lr=1", TypeError, "config is a mapping"),
    "list": ([("lr", 1)], TypeError, "config is a mapping"),
    "number": (3, TypeError, "config is a mapping"),
    "no settings": (object(), TypeError, "config is a mapping"),
    "tensor": (torch.zeros(2), TypeError, "config is a mapping"),
    "no items": (NoItems(), TypeError, "config cannot be read: NoItems raises OSError: they are elsewhere"),
    "ring": (ring(), ValueError, "config['next']['next']['next'] contains itself"),
    "long names": (
        {"k" * 10**6: dict.fromkeys(range(100_000))}, ValueError, "config is too large: more than 8 MiB",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused(tmp_path: Path, name: str) -> None:
    config, kind, says = REFUSED[name]
    with pytest.raises(kind) as error:
        Logger(tmp_path / "runs" / "a", ["tensorboard"], config)
    assert str(error.value).startswith(says)
    assert "\n" not in str(error.value)
    assert list(tmp_path.iterdir()) == []


def listed(logdir: Path, expression: str) -> list[str]:
    found = CliRunner().invoke(main, ["runs", str(logdir), "--filter", expression, "--json"])
    assert found.exit_code == 0, found.output
    return [run["name"] for run in json.loads(found.stdout)]


def test_filters_and_comparisons_know_nested_settings(tmp_path: Path) -> None:
    for name, lr in (("a", 0.01), ("b", 0.5)):
        Run(tmp_path / name, {"model": {"lr": lr, "width": 3}}).finish("finished")
    older = Run(tmp_path / "older")  # as earlier versions wrote it
    older.update(config={"model": {"lr": 0.02, "width": 3, "x.y": 1, "x": {"y": 2}}, "hub": {"token": "abc"}})
    older.finish("finished")
    assert listed(tmp_path, "model.lr < 0.1") == ["a", "older"]
    assert listed(tmp_path, "model.lr < 0.1 and config:model.lr != 0.02") == ["a"]
    runs = [load_run(name, tmp_path / name) for name in ("a", "b")]
    assert differing_settings(runs) == ["model.lr"]
    wanted = {"model.lr": 0.02, "model.width": 3, "model.x.y": 1, "hub.token": "***"}
    assert load(older.path).config == load_run("older", older.path).config == wanted
    resumed = reopen(older.path, "", 0)
    assert resumed.config == wanted
    resumed.finish("finished")
    assert read_run_file(older.path)["config"] == wanted


def test_settings_of_a_file_with_large_names_stay_nested(tmp_path: Path) -> None:
    run = Run(tmp_path / "run")
    run.update(config={"k" * 10**6: {**{str(number): number for number in range(100)}, "token": "abc"}})
    assert load(run.path).config["k" * 10**6] == {**{str(number): number for number in range(100)}, "token": "***"}


def test_the_reason_of_a_failure_has_no_password(tmp_path: Path) -> None:
    Run(tmp_path / "run").finish("failed", "HTTPError: 403 for https://ann:hunter2@host/x")
    assert read_run_file(tmp_path / "run")["error"] == "HTTPError: 403 for https://ann:***@host/x"
