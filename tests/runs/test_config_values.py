"""Settings of any type are stored as JSON holds them, or refused in one line that names the setting."""

from __future__ import annotations

import collections
import decimal
import enum
import fractions
import functools
import json
import math
import pathlib
import subprocess
import sys
import traceback
import types
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from monitor import Logger, Run, reopen
from monitor.events.reading.reader import read_history
from monitor.records import Config, Scalar
from monitor.runs.jsonable import to_jsonable
from monitor.runs.run_file import read_run_file
from monitor.runs.run_schema import MAX_FILE_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class Shade(enum.Enum):
    DARK = 1


class Speed(str, enum.Enum):
    FAST = "fast"


class Bits(enum.Flag):
    A = 1
    B = 2


class Level(enum.IntEnum):
    HIGH = 3


class Text(str):
    def encode(self, *_: object) -> bytes:
        raise AssertionError("a subclass must not decide what is stored")


class Silent:
    def __str__(self) -> str:
        raise RuntimeError("no\nwords")


class SilentError(Exception):
    def __str__(self) -> str:
        raise RuntimeError


class WorseThanSilent:
    def __str__(self) -> str:
        raise SilentError


class NoItems(collections.UserDict[str, Any]):
    def __iter__(self) -> Any:
        raise OSError("the values are elsewhere")


class EndlessItem:
    size = 1

    def item(self) -> EndlessItem:
        return EndlessItem()

    def __str__(self) -> str:
        return "endless"


STORED = {
    "surrogate text": ("a\ud800b", "a\\ud800b"),
    "surrogate in a subclass": (Text("\udfff"), "\\udfff"),
    "surrogate key": ([{"\ud800": 1}], [{"\\ud800": 1}]),
    "keys of other types": (
        [{1: "a", None: "b", (2, 3): "c", 0.5: "d"}], [{"1": "a", "None": "b", "(2, 3)": "c", "0.5": "d"}],
    ),
    "400 digits": (10**400, "1" + "0" * 400),
    "nan": (float("nan"), "nan"),
    "infinity": (float("-inf"), "-inf"),
    "set": ({"c", "a", "b"}, ["a", "b", "c"]),
    "frozenset": (frozenset({2, 1}), [1, 2]),
    "bytes": (b"\xff\x00", "b'\\xff\\x00'"),
    "path": (pathlib.PurePosixPath("a/b"), "a/b"),
    "path that is not UTF-8": (pathlib.PurePosixPath("a\udcff"), "a\\udcff"),
    "enum": (Shade.DARK, "DARK"),
    "text enum": (Speed.FAST, "fast"),
    "int enum": (Level.HIGH, 3),
    "numpy float": (np.float32(0.5), 0.5),
    "numpy float64": (np.float64(0.1), 0.1),
    "numpy int": (np.int64(7), 7),
    "numpy bool": (np.bool_(True), True),
    "numpy nan": (np.float16("nan"), "nan"),
    "numpy text": (np.str_("x"), "x"),
    "long double": (np.longdouble(0.5), "0.5"),
    "numpy date": (np.datetime64("2026-01-02"), "2026-01-02"),
    "array of one": (np.array([[3]]), 3),
    "torch scalar": (torch.tensor(0.25), 0.25),
    "torch int": (torch.tensor([4]), 4),
    "torch parameter": (torch.nn.Parameter(torch.tensor(2.0)), 2.0),
    "tensor without data": (torch.empty((), device="meta"), "tensor(..., device='meta', size=())"),
    "torch dtype": (torch.float32, "torch.float32"),
    "decimal": (decimal.Decimal("1.50"), "1.50"),
    "class": (Silent, "tests.runs.test_config_values.Silent"),
    "class of Python": (dict, "dict"),
    "function": (json.dumps, "json.dumps"),
    "function of C": (math.sqrt, "math.sqrt"),
    "function of torch": (torch.nn.functional.relu, "torch.nn.functional.relu"),
    "partial": (functools.partial(torch.nn.LeakyReLU, 0.1, inplace=True),
                "partial(torch.nn.modules.activation.LeakyReLU, 0.1, inplace=True)"),
    "flags": (Bits.A | Bits.B, "A|B"),
    "torch device": (torch.device("cuda:1"), "cuda:1"),
    "object without settings": (fractions.Fraction(1, 3), "1/3"),
    "namespace in a list": ([types.SimpleNamespace(a=1)], [{"a": 1}]),
    "read-only mapping": ([types.MappingProxyType({"a": (1, [2])})], [{"a": [1, [2]]}]),
    "endless item": (EndlessItem(), "endless"),
    "shared, but no cycle": ([shared := [1], shared], [[1], [1]]),
}  # fmt: skip


@pytest.mark.parametrize("name", STORED)
def test_what_is_stored(tmp_path: Path, name: str) -> None:
    value, wanted = STORED[name]
    with Logger(tmp_path / "run", ["tensorboard"], {"setting": value, "other": 1}) as log:
        log.scalar("loss", 0.5, 0)
    fields = read_run_file(tmp_path / "run")
    assert fields["config"] == {"setting": wanted, "other": 1}
    assert fields["status"] == "finished"
    assert log.stats().sinks["tensorboard"].failed == 0
    records = [record for records in read_history(tmp_path / "run") for record in records]
    assert any(isinstance(record, Scalar) for record in records)
    (config,) = (record for record in records if isinstance(record, Config))
    as_text = {str(wanted), repr(wanted), wanted if isinstance(wanted, str | int | float) else None}
    assert config.values["setting"] in as_text


def cycle(kind: str) -> Any:
    inner: Any = {} if kind == "dict" else []
    holder = {"layers": inner}
    if kind == "dict":
        inner["back"] = holder
    else:
        inner.append(holder)
    return {"model": holder}


def nested(levels: int, kind: str) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value] if kind == "list" else {"a": value}
    return value


REFUSED: dict[str, tuple[Callable[[], Any], type[Exception], str]] = {
    "dict in itself": (lambda: cycle("dict"), ValueError, "config['model']['layers']['back'] contains itself"),
    "list in itself": (lambda: cycle("list"), ValueError, "config['model']['layers'][0] contains itself"),
    "no text": (
        lambda: {"a": [1, Silent()]}, TypeError,
        "config['a'][1] cannot be stored: Silent raises RuntimeError: no words",
    ),
    "no text for the error either": (
        lambda: {"a": WorseThanSilent()}, TypeError,
        "config['a'] cannot be stored: WorseThanSilent raises SilentError",
    ),
    "no text as a key": (
        lambda: {"a": {Silent(): 1}}, TypeError,
        "config['a'] has a key that cannot be stored: Silent raises RuntimeError: no words",
    ),
    "no items": (
        lambda: {"a": NoItems(b=1)}, TypeError,
        "config['a'] cannot be stored: NoItems raises OSError: the values are elsewhere",
    ),
    "same keys": (
        lambda: {"a": {1: "x", "1": "y"}}, ValueError, "config['a'] has two keys that are the same as text: 1 and '1'",
    ),
    "10,000 lists": (
        lambda: {"a": nested(10_000, "list")}, ValueError,
        "config['a'][0][0]…[0][0][0] is nested more than 30 levels deep",
    ),
    "10,000 dicts": (
        lambda: nested(10_000, "dict"), ValueError,
        "config['a']['a']['a']…['a']['a']['a'] is nested more than 30 levels deep",
    ),
    "6,000 digits": (lambda: {"a": 10**6000}, TypeError, "config['a'] cannot be stored: int raises ValueError"),
    "large text": (lambda: {"b": 1, "a": "x" * 9_000_000}, ValueError, "config['a'] is too large: more than 8 MiB"),
    "many values": (lambda: {"a": [[i] for i in range(400_000)]}, ValueError, "config['a'] is too large"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused(tmp_path: Path, name: str) -> None:
    make, kind, says = REFUSED[name]
    for start in (
        lambda: Logger(tmp_path / "runs" / "a", ["tensorboard"], make()),
        lambda: Run(tmp_path / "runs" / "a", make()),
    ):
        with pytest.raises(kind) as error:
            start()
        assert str(error.value).startswith(says)
        assert "\n" not in str(error.value)
        assert len(str(error.value)) < 300
        assert list(tmp_path.iterdir()) == []


def test_the_largest_config_is_read_back(tmp_path: Path) -> None:
    values = ["\x00" * 1_300_000, [0.1234567890123456789] * 10, "é" * 100]
    run = Run(tmp_path / "run", {"a": values, "deep": nested(29, "dict")})
    run.finish("finished")
    assert (run.path / "run.json").stat().st_size < MAX_FILE_BYTES
    assert read_run_file(run.path)["config"]["a"] == values
    assert reopen(run.path, "", 0).config["a"] == values


def test_the_config_of_the_caller_is_not_changed() -> None:
    inner = {1: [np.float64(1)]}
    config = {"a": inner}
    assert to_jsonable(config) == {"a": {"1": [1.0]}}
    assert config["a"] is inner
    assert list(inner) == [1]


def test_what_is_no_mapping(tmp_path: Path) -> None:
    config: Any = [("a", 1)]
    with pytest.raises(TypeError, match=r"config is a mapping of names to values, a namespace, or .* not list"):
        Run(tmp_path / "run", config)
    assert list(tmp_path.iterdir()) == []


def test_fields_that_are_added_later(tmp_path: Path) -> None:
    run = Run(tmp_path / "run", seed=np.int64(3))
    run.update(note=Shade.DARK, rate=float("nan"))
    with pytest.raises(TypeError, match=r"^model cannot be stored: Silent raises"):
        run.update(model=Silent())
    run.finish("failed", "a\ud800")
    fields = read_run_file(run.path)
    assert (fields["seed"], fields["note"], fields["rate"], fields["error"]) == (3, "DARK", "nan", "a\\ud800")


def test_arguments_that_are_not_utf_8(tmp_path: Path) -> None:
    script = "import sys; from monitor import Run; Run(sys.argv[1]).finish('finished')"
    command: list[str | bytes] = [sys.executable, "-c", script, str(tmp_path / "run"), b"\xff"]
    done = subprocess.run(command, capture_output=True, timeout=200)
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "run" / "run.json").read_text())["command"][-1] == "\\udcff"


@pytest.mark.parametrize("value", [{"a": {1: 2, "1": 3}}, {"a": Silent()}])
def test_errors_are_of_plain_types(value: Any) -> None:
    with pytest.raises((TypeError, ValueError)) as caught:
        to_jsonable(value, "config")
    assert caught.type in (TypeError, ValueError)
    assert "_Refused" not in "".join(traceback.format_exception(caught.value))
