"""Spaces on the command line and in TOML files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from monitor.errors import SpaceError
from monitor.sweeps.description import read_description
from monitor.sweeps.setup import make_sweep
from monitor.sweeps.space import Dimension, from_value, parse, size, unique
from monitor.sweeps.target import Target

if TYPE_CHECKING:
    from pathlib import Path

UNSET: dict[str, Any] = dict.fromkeys(("metric", "goal", "value", "sampler", "seed", "trials", "retries", "name"))


@pytest.mark.parametrize(
    ("text", "dimension"),
    [
        ("lr=log:1e-4..1e-1", Dimension("lr", low=1e-4, high=0.1, log=True)),
        ("momentum=0..0.9", Dimension("momentum", low=0.0, high=0.9)),
        ("shift=-1.5..-.5", Dimension("shift", low=-1.5, high=-0.5)),
        ("epochs=5..10", Dimension("epochs", low=5, high=10)),
        ("hidden=50..400:50", Dimension("hidden", low=50, high=400, step=50)),
        ("batch-size=log:16..1024", Dimension("batch-size", low=16, high=1024, log=True)),
        ("optimizer=sgd,adam", Dimension("optimizer", choices=("sgd", "adam"))),
        ("hidden=200,200|500", Dimension("hidden", choices=("200,200", "500"))),
        ("data-dir=../a,../b", Dimension("data-dir", choices=("../a", "../b"))),
        ("amp=flag", Dimension("amp", choices=(True, False))),
        ("-o=1", Dimension("-o", choices=("1",))),
    ],
)
def test_a_space_is_read_and_kept_in_a_file(text: str, dimension: Dimension) -> None:
    assert parse(text) == dimension
    assert from_value(dimension.option, dimension.as_json()) == dimension
    assert parse(text).is_integer == (isinstance(dimension.low, int) and not dimension.choices)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("lr", "'lr' does not say which option has which values"),
        ("=1,2", "does not say"),
        ("lr=", "does not say"),
        ("lr=log:1e-4", "'log:1e-4' is no range"),
        ("lr=1..", "'1..' is no range"),
        ("lr=1..x", "'1..x' is no range"),
        ("lr=1..2..3", "is no range"),
        ("lr=2..1", "2 is not below 1"),
        ("lr=log:0..1", "a logarithmic range begins above 0, not at 0"),
        ("lr=log:1..8:2", "a logarithmic range has no step"),
        ("lr=1..8:9", "the step 9 does not fit"),
        ("lr=0..1e999", "its ends must be finite"),
        ("n=0..99999999999999999", "ints are at most"),
        ("o=a,,b", "one of the values is empty"),
        ("o=a,a", "a value is there twice"),
    ],
)
def test_a_bad_space_is_one_clear_line(text: str, problem: str) -> None:
    with pytest.raises(SpaceError) as raised:
        parse(text)
    message = str(raised.value)
    assert problem in message
    assert "LOW..HIGH" in message
    assert "\n" not in message


def test_values_become_arguments_and_numbers() -> None:
    amp, lr, widths = parse("amp=flag"), parse("lr=-1.0..1.0"), parse("widths=1,2.5,1e-3,07x")
    assert (amp.arguments(True), amp.arguments(False)) == (["--amp"], [])
    assert (lr.arguments(0.25), lr.arguments(-0.25)) == (["--lr", "0.25"], ["--lr=-0.25"])
    assert parse("-o=a").arguments("a") == ["-o", "a"]
    assert [widths.value(choice) for choice in widths.choices] == [1, 2.5, 0.001, "07x"]
    assert parse("n=1..10:4").grid() == [1, 5, 9]
    assert parse("p=0.0..0.3:0.1").grid() == pytest.approx([0.0, 0.1, 0.2, 0.3])
    assert size([parse("n=1..3"), parse("o=a,b"), amp]) == 12
    assert size([parse("n=1..3"), lr]) is None


def test_a_runner_says_which_options_and_values_it_does_not_take() -> None:
    runner = Target.find("mlp", ["--epochs", "1"])

    def checked(*texts: str) -> list[Dimension]:
        return runner.checked(unique([parse(text) for text in texts]))

    assert checked("batch_size=16..64", "log_gradients=true,false", "dropout=0..0.5") == [
        Dimension("batch-size", low=16, high=64),
        Dimension("log-gradients", choices=(True, False)),
        Dimension("dropout", low=0.0, high=0.5),
    ]
    assert checked("lr=1..2")[0].low == 1.0
    assert not checked("lr=1..2")[0].is_integer
    for text, problem in {
        "learning=0.1": "mlp has no option '--learning'",
        "optmizer=sgd": "did you mean 'optimizer'?",
        "optimizer=sgd,adamm": "mlp does not take optimizer=adamm: .*did you mean 'adam'",
        "dropout=0.0..1.0": "mlp does not take dropout=1.0: .*range",
        "name=a,b": "--name is no option to sweep over",
    }.items():
        with pytest.raises(SpaceError, match=problem):
            checked(text)
    with pytest.raises(SpaceError, match="twice"):
        checked("batch_size=1,2", "batch-size=3")
    with pytest.raises(SpaceError, match="no script 'mpl'; did you mean 'mlp'"):
        Target.find("mpl", [])
    with pytest.raises(SpaceError, match="no space"):
        unique([])


def test_a_file_describes_a_sweep_and_the_command_line_changes_it(tmp_path: Path) -> None:
    file = tmp_path / "sweep.toml"
    file.write_text("""
runner = "mlp"
arguments = ["--epochs", "3"]
metric = "test/accuracy"
trials = 40
[set]
lr = "log:1e-4..1e-1"
optimizer = ["sgd", "adam"]
hidden = ["200,200", "500"]
batch_size = {min = 16, max = 256, log = true}
log_gradients = [true, false]
""")
    sweep = make_sweep(str(file), ["--seed", "1"], is_module=False, **UNSET, space=["optimizer=sgd"])
    assert sweep.target == Target("runner", "mlp", ("--epochs", "3", "--seed", "1"))
    assert {d.option: d.choices for d in sweep.space if d.choices} == {
        "hidden": ("200,200", "500"),
        "log-gradients": (True, False),
        "optimizer": ("sgd",),
    }
    assert (sweep.metric, sweep.goal, sweep.trials, sweep.sampler) == ("test/accuracy", "max", 40, "tpe")
    for text, problem in {
        'runner = "mlp"\nlr = 1': "'lr', which is no setting",
        'runner = "mlp"\ntrials = "4"': "trials = '4'; it is an int",
        'runner = "mlp"\n[set]\nlr = {min = 1}': "accepted in a table: min and max",
        'runner = "mlp"\n[set]\nlr = []': "accepted: text, a list of values, or a table",
        "trials = 1": "names 0 programs",
        "lr = ": "cannot be read",
    }.items():
        file.write_text(text)
        with pytest.raises(SpaceError, match=problem):
            read_description(file)


def test_what_a_sweep_lacks_is_named() -> None:
    def make(*space: str, **given: Any) -> Any:
        return make_sweep("mlp", [], is_module=False, **{**UNSET, "metric": "loss", **given}, space=list(space))

    for given, problem in (
        ({"metric": None}, "--metric is missing"),
        ({"metric": "agreement"}, "add --goal min, or max"),
        ({}, "--trials is missing"),
        ({"sampler": "grid"}, "--sampler grid needs values that can be counted, and 'lr' has no end of them"),
    ):
        with pytest.raises(SpaceError, match=problem):
            make("lr=0.1..0.2", **given)
    assert make("lr=0.1,0.2", "epochs=1..3", sampler="grid").trials == 6
