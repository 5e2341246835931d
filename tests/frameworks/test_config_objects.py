"""Settings in objects of pydantic, attrs, and OmegaConf."""

from __future__ import annotations

import dataclasses
import enum
import logging
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from monitor import Logger, Run
from monitor.runs.run_file import read_run_file
from monitor.runs.settings.convert import to_settings

attrs = pytest.importorskip("attrs")
omegaconf = pytest.importorskip("omegaconf")
pydantic = pytest.importorskip("pydantic")

OmegaConf = omegaconf.OmegaConf


class Act(enum.Enum):
    RELU = 1


class Layer(pydantic.BaseModel):  # type: ignore[misc, name-defined]
    width: int
    act: Act = Act.RELU


class Experiment(pydantic.BaseModel):  # type: ignore[misc, name-defined]
    model_config = pydantic.ConfigDict(extra="allow", protected_namespaces=())
    lr: float
    layers: list[Layer]
    head: Layer
    folder: Path = Path("data/mnist")
    hf_token: pydantic.SecretStr = pydantic.SecretStr("")  # type: ignore[name-defined]
    api_key: str | None = None
    cache: dict[str, int] = pydantic.Field(default_factory=dict, exclude=True)
    _private: int = 3

    @pydantic.field_validator("lr")  # type: ignore[untyped-decorator]
    @classmethod
    def positive(cls, lr: float) -> float:
        return abs(lr)


class Widths(pydantic.RootModel[list[int]]):  # type: ignore[misc, name-defined]
    pass


@attrs.define
class Optimizer:
    lr: float = 0.1
    _decay: float = 0.5
    betas: tuple[float, float] = (0.9, 0.999)


@attrs.frozen(slots=False)
class Training:
    optimizer: Optimizer = attrs.field(factory=Optimizer)
    password: str = "hunter2"


@dataclasses.dataclass
class Structured:
    lr: float = 0.1
    act: Act = Act.RELU
    folder: Path = Path("a")
    steps: int = omegaconf.MISSING


@pydantic.dataclasses.dataclass
class Checked:
    lr: float = 0.1
    head: Layer = dataclasses.field(default_factory=lambda: Layer(width=2))


CASES: dict[str, tuple[Any, dict[str, Any]]] = {
    "pydantic": (
        Experiment(lr=-0.1, layers=[Layer(width=3)], head=Layer(width=1), hf_token=pydantic.SecretStr("t"), api_key="k",
                   batch=16, cache={"a": 1}),
        {
            "lr": 0.1, "layers": [{"width": 3, "act": "RELU"}], "head.width": 1, "head.act": "RELU",
            "folder": "data/mnist", "hf_token": "***", "api_key": "***", "batch": 16,
        },
    ),
    "pydantic, nothing secret": (
        Experiment(lr=1, layers=[], head=Layer(width=1)),
        {
            "lr": 1.0, "layers": [], "head.width": 1, "head.act": "RELU", "folder": "data/mnist", "hf_token": "",
            "api_key": None,
        },
    ),
    "pydantic's dataclass": (Checked(), {"lr": 0.1, "head.width": 2, "head.act": "RELU"}),
    "a model of one value": ({"widths": Widths([1, 2])}, {"widths": [1, 2]}),
    "attrs": (
        Training(),
        {"optimizer.lr": 0.1, "optimizer._decay": 0.5, "optimizer.betas": [0.9, 0.999], "password": "***"},
    ),
    "OmegaConf": (
        OmegaConf.create({"model": {"layers": [4, "${width}"], "none": None}, "width": 2, "auth": {"hf_token": "abc"}}),
        {"model.layers": [4, 2], "model.none": None, "width": 2, "auth.hf_token": "***"},
    ),
    "structured": (
        OmegaConf.structured(Structured(steps=5)), {"lr": 0.1, "act": "RELU", "folder": "a", "steps": 5},
    ),
    "all in one": (
        {"a": Layer(width=1), "b": Optimizer(), "c": OmegaConf.create({"d": 1})},
        {
            "a.width": 1, "a.act": "RELU", "b.lr": 0.1, "b._decay": 0.5, "b.betas": [0.9, 0.999], "c.d": 1,
        },
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_what_is_recorded(tmp_path: Path, name: str) -> None:
    config, wanted = CASES[name]
    with Logger(tmp_path / "run", [], config) as log:
        assert log.config == log.run.config == wanted
    assert read_run_file(tmp_path / "run")["config"] == wanted


def test_an_object_during_the_run(tmp_path: Path) -> None:
    with Logger(tmp_path / "run", []) as log:
        log.config["head"] = Layer(width=1)
        log.config.update(OmegaConf.create({"lr": 0.5}))
    assert read_run_file(tmp_path / "run")["config"] == {"head.width": 1, "head.act": "RELU", "lr": 0.5}


def test_missing_values_are_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    config = OmegaConf.create({"model": {"lr": "???", "twice": "${model.lr}"}, "widths": [1, "???"], "seed": 1})
    with caplog.at_level(logging.WARNING), Logger(tmp_path / "run", [], config):
        pass
    wanted = {"model.lr": "???", "model.twice": "???", "widths": [1, "???"], "seed": 1}
    assert read_run_file(tmp_path / "run")["config"] == wanted
    assert "settings without a value (???) are recorded as such: model.lr, model.twice, widths" in caplog.text
    assert to_settings(OmegaConf.structured(Structured))["steps"] == "???"


def test_what_cannot_be_resolved_is_named(tmp_path: Path) -> None:
    with pytest.raises(
        TypeError, match=r"^config\['model'\] cannot be stored: DictConfig raises Interpolation.*nope"
    ) as e:
        Run(tmp_path / "run", OmegaConf.create({"model": {"lr": "${nope}"}}))
    assert "\n" not in str(e.value)
    with pytest.raises(TypeError, match=r"^config cannot be read: DictConfig raises Interpolation.*nope"):
        Run(tmp_path / "run", OmegaConf.create({"lr": "${nope}"}))
    assert list(tmp_path.iterdir()) == []


def test_a_class_is_no_object(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match=r"not the class Layer$"):
        Run(tmp_path / "run", Layer)


def test_nothing_of_it_is_imported(tmp_path: Path) -> None:
    script = (
        "import sys\nfrom monitor import Run\nRun(sys.argv[1], {'a': 1, 'b': object()}).finish('finished')\n"
        "print([name for name in ('attr', 'attrs', 'omegaconf', 'pydantic') if name in sys.modules])"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "run")]
    assert subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout == "[]\n"
