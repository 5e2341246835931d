"""`monitor train logistic`: the material's figures, and tables that are not what they should be."""

from __future__ import annotations

import json
import math
import re
from typing import TYPE_CHECKING

import pytest
import torch
from click.testing import CliRunner, Result

from monitor import Logger
from monitor.errors import DataError
from monitor.records import Curve
from monitor.sinks.memory import MemorySink
from runners import choices, linear, logistic, logistic_report
from runners.data import tables
from tests.support import event_reader

if TYPE_CHECKING:
    from pathlib import Path


def train(folder: Path, *arguments: object) -> Result:
    words = [*map(str, arguments), "--logdir", str(folder), "--name", "a", "--sink", "tensorboard"]
    return CliRunner().invoke(logistic.main, words)


def test_hours(tmp_path: Path) -> None:
    said = train(tmp_path)
    assert said.exit_code == 0, said.output
    rows = [line.split() for line in said.output.splitlines()]
    verdicts = {row[0]: row[-1] for row in rows if len(row) == 5 and row[0] in ("1", "7")}
    assert verdicts == {"1": "fail", "7": "pass"}
    run = tmp_path / "a"
    loss = event_reader.series(run, "train/loss")
    assert [step for step, _ in loss] == list(range(1001))
    assert loss[-1][1] < loss[0][1]
    assert len(event_reader.series(run, "train/accuracy")) == 1001
    skipped = json.loads((run / "run.json").read_text())["logged"]["tensorboard"]["superseded"]
    assert len(event_reader.read(run).Images("probability")) + skipped >= 10
    assert re.search(r"^ +7 .* 0\.9\d+ +pass$", event_reader.text(run, "predictions")[0], re.M)
    w, b = (event_reader.series(run, f"parameters/{name}") for name in "wb")
    assert [step for step, _ in w] == [0, *range(50, 1001, 50)]
    boundary = event_reader.series(run, "boundary")[-1][1]
    assert boundary == pytest.approx(-b[-1][1] / w[-1][1], rel=1e-5)
    assert f"boundary −b/w: the probability is 0.5 at {boundary:.2f} hours" in said.output
    assert "3 of 4 rows are classified correctly; wrong: 2 hours (fail called pass)" in said.output
    assert f"one more hour multiplies the odds of pass by {math.exp(w[-1][1]):.4g}" in said.output
    odds = {row[0]: (float(row[2]), float(row[3])) for row in rows if len(row) == 6 and row[0] in "1234"}
    for hours, (log_odds, ratio) in odds.items():
        assert log_odds == pytest.approx(w[-1][1] * int(hours) + b[-1][1], abs=1e-4)
        assert ratio == pytest.approx(math.exp(log_odds), rel=1e-3)
    assert "−0.5 + 0.4 x, is below 0 before 1.25 hours and above 1 after 3.75" in said.output.replace("-0.5", "−0.5")
    assert event_reader.read(run).Images("straight line")
    config = json.loads((run / "run.json").read_text())["config"]
    assert (config["epochs"], config["lr"], config["optimizer"], config["batch_size"]) == (1000, 0.01, "sgd", 4)


def test_the_start_and_the_sum(tmp_path: Path) -> None:
    start = ["--initial-weight", 0.5, "--initial-bias", -1, "--epochs", 1]
    sigmoid = [1 / (1 + math.exp(-(0.5 * hours - 1))) for hours in (1, 2, 3)]
    total = -math.log(1 - sigmoid[0]) - math.log(1 - sigmoid[1]) - math.log(sigmoid[2])
    for name, extra, wanted in (("sum", [], total), ("mean", ["--reduction", "mean"], total / 3)):
        said = train(tmp_path / name, "--data", "hours3", *start, *extra)
        assert said.exit_code == 0, said.output
        assert event_reader.series(tmp_path / name / "a", "train/loss")[0] == pytest.approx((0, wanted), rel=1e-6)


def test_on_which_side_one_half_is(tmp_path: Path) -> None:
    """Zero weights give every row a probability of exactly 0.5: class 0 by `>`, class 1 by `>=`."""
    zero = ["--initial-weight", 0, "--initial-bias", 0, "--epochs", 1, "--data", "hours3"]
    for name, extra, accuracy in (("above", [], 2 / 3), ("inclusive", ["--threshold-inclusive"], 1 / 3)):
        assert train(tmp_path / name, *zero, *extra).exit_code == 0
        assert event_reader.series(tmp_path / name / "a", "train/accuracy")[0][1] == pytest.approx(accuracy)
    (tmp_path / "flat.csv").write_text("0,0\n0,1\n")
    flat = ["--csv", tmp_path / "flat.csv", "--initial-weight", 0, "--initial-bias", 0, "--epochs", 1]
    assert "a probability of exactly 0.5 is called 0 (>)" in train(tmp_path / "c", *flat).output
    assert (
        "a probability of exactly 0.5 is called 1 (>=)" in train(tmp_path / "d", *flat, "--threshold-inclusive").output
    )


def test_wrong_rows_have_their_units_and_a_boundary_of_zero_no_sign(tmp_path: Path) -> None:
    said = train(tmp_path, "--initial-weight", 1, "--initial-bias", 0.001, "--epochs", 1, "--lr", 1e-30)
    assert "2 of 4 rows are classified correctly; wrong: 1 hour (fail called pass), 2 hours (fail" in said.output
    assert "the probability is 0.5 at 0.00 hours" in said.output


@pytest.mark.parametrize(
    "activation",
    [
        name if name in ("sigmoid", "relu", "prelu", "softmax2d") else pytest.param(name, marks=pytest.mark.slow)
        for name in choices.ACTIVATIONS
    ],
)
def test_another_activation_in_place_of_the_sigmoid(tmp_path: Path, activation: str) -> None:
    said = train(tmp_path, "--activation", activation, "--epochs", 3)
    assert said.exit_code == 0, said.output
    losses = event_reader.series(tmp_path / "a", "train/loss")
    assert all(math.isfinite(loss) for _, loss in losses)
    assert ("the activation is not the sigmoid" in said.output) is (activation != "sigmoid")
    if activation == "sigmoid":
        assert train(tmp_path / "logits", "--epochs", 3).exit_code == 0
        assert dict(losses) == pytest.approx(
            dict(event_reader.series(tmp_path / "logits" / "a", "train/loss")), rel=1e-5
        )


def test_the_squared_error_of_the_probability(tmp_path: Path) -> None:
    start = ["--initial-weight", 0.5, "--initial-bias", -1, "--epochs", 1, "--loss", "mse"]
    assert train(tmp_path, *start).exit_code == 0
    sigmoid = [1 / (1 + math.exp(-(0.5 * hours - 1))) for hours in (1, 2, 3, 4)]
    wanted = sum((p - y) ** 2 for p, y in zip(sigmoid, (0, 0, 1, 1))) / 4
    assert event_reader.series(tmp_path / "a", "train/loss")[0] == pytest.approx((0, wanted), rel=1e-6)


@pytest.mark.slow
def test_linear_regression(tmp_path: Path) -> None:
    words = ["--logdir", str(tmp_path), "--name", "a", "--sink", "tensorboard", "--epochs", "5000"]
    said = CliRunner().invoke(linear.main, words)
    assert said.exit_code == 0, said.output
    (w, b, points) = map(
        float, re.findall(r"points = ([\d.]+) × hours \+ (-?[\d.]+); 4 hours: ([\d.]+) points", said.output)[0]
    )
    assert (w, b, points) == pytest.approx((2, 0, 8), abs=0.01)
    assert event_reader.series(tmp_path / "a", "parameters/w")[-1][1] == pytest.approx(w, abs=1e-4)
    assert event_reader.series(tmp_path / "a", "train/loss")[-1] == pytest.approx((5000, 0), abs=1e-3)
    assert not event_reader.series(tmp_path / "a", "train/accuracy")
    assert event_reader.read(tmp_path / "a").Images("line")


def test_lecture_and_lab_to_the_last_digit(tmp_path: Path) -> None:
    assert train(tmp_path, "--data", "lecture-lab").exit_code == 0
    cost = dict(event_reader.series(tmp_path / "a", "train/loss"))
    assert [f"{cost[epoch]:.6f}" for epoch in (0, 100, 1000)] == ["0.693147", "0.134722", "0.019852"]


def test_an_epochs_line_has_the_values_of_its_step(tmp_path: Path) -> None:
    words = [
        "--data",
        "lecture-lab",
        "--logdir",
        str(tmp_path),
        "--name",
        "a",
        "--sink",
        "console",
        "--sink",
        "tensorboard",
    ]
    said = CliRunner().invoke(logistic.main, words)
    assert said.exit_code == 0, said.output
    lines = re.findall(r"^epoch (\d+)/1000  step \1/1000  (.+)$", said.output, re.M)
    assert [int(epoch) for epoch, _ in lines] == list(range(50, 1001, 50))
    cost = dict(event_reader.series(tmp_path / "a", "train/loss"))
    for epoch, values in lines:
        assert f"train/loss {cost[int(epoch)]:.4g}" in re.split("  ", values)
    assert "train/loss 0.1347" in dict(lines)["100"]


def test_the_curve_over_the_hours(tmp_path: Path) -> None:
    table, sink = tables.hours(), MemorySink()
    model = torch.nn.Linear(1, 1)
    with Logger(tmp_path / "run", [sink]) as log:
        logistic_report.LogisticReport(table, tables.Standardization.identity(1), model, log).log_test(3)
    (curve,) = sink.of(Curve)
    assert (len(curve.x), curve.x[0], curve.x[-1], curve.level) == (200, 0, 10, 0.5)
    assert (curve.x_title, curve.y_title) == ("Hours", "Probability of pass")
    assert curve.points is not None
    assert curve.points[1].tolist() == [0, 0, 1, 1]
    wanted = torch.sigmoid(model(torch.linspace(0, 10, 200).unsqueeze(1))).squeeze(1)
    assert curve.y.tolist() == pytest.approx(wanted.tolist(), rel=1e-6)


@pytest.mark.slow
def test_heart_agrees_with_scikit_learn(tmp_path: Path) -> None:
    from sklearn.linear_model import LogisticRegression

    said = train(tmp_path, "--data", "heart")
    assert said.exit_code == 0, said.output
    ages = [[age] for age, _ in tables.HEART_ROWS]
    fitted = LogisticRegression(C=1e9, max_iter=1000).fit(ages, [ill for _, ill in tables.HEART_ROWS])
    assert f"odds ratio per ten years: {math.exp(10 * fitted.coef_[0, 0]):.2f}" in said.output
    for row in (
        r"20-29 +5 +0 +0\.00 +0\.00 +-inf",
        r"40-49 +7 +2 +0\.29 +0\.40 +-0\.92",
        r"60-69 +5 +4 +0\.80 +4\.00 +1\.39",
        r"80-89 +1 +1 +1\.00 +inf +inf",
    ):
        assert re.search(row, said.output), row
    w, b = (event_reader.series(tmp_path / "a", f"parameters/{name}")[-1][1] for name in "wb")
    assert (w, b) == pytest.approx((fitted.coef_[0, 0], fitted.intercept_[0]), rel=1e-2), "in years"
    for curve in ("probability", "prevalence"):
        assert event_reader.read(tmp_path / "a").Images(curve)


def test_breast_cancer_has_a_test_set(tmp_path: Path) -> None:
    said = train(tmp_path, "--data", "breast-cancer", "--epochs", 100)
    assert said.exit_code == 0, said.output
    assert event_reader.series(tmp_path / "a", "test/accuracy")[-1][1] > 0.95
    assert event_reader.series(tmp_path / "a", "test/loss")[-1][0] == 100
    assert event_reader.read(tmp_path / "a").Images("confusion")


@pytest.mark.parametrize("way", [[], ["--one-vs-rest"]])
def test_softmax_regression(tmp_path: Path, way: list[str]) -> None:
    said = train(tmp_path, "--data", "digits", *way)
    assert said.exit_code == 0, said.output
    assert event_reader.series(tmp_path / "a", "test/accuracy")[-1][1] > 0.9


def test_softmax_regression_on_mnist(mnist: Path, tmp_path: Path) -> None:
    """It is at 92 % after two epochs; ten are in the docs."""
    assert train(tmp_path, "--data", "mnist", "--data-dir", mnist, "--epochs", 2).exit_code == 0
    assert event_reader.series(tmp_path / "a", "test/accuracy")[-1][1] > 0.915


@pytest.mark.parametrize("head", ["", "height,weight,ill\n", "\ufeffheight, weight , ill\r\n"])
def test_a_csv_with_or_without_a_header(tmp_path: Path, head: str) -> None:
    rows = "".join(f"{n},{-n / 2},{int(n > 10)}\n" for n in range(20))
    (tmp_path / "t.csv").write_text(head + rows + "\n\n", newline="")
    table = tables.read_csv(tmp_path / "t.csv")
    assert table.features == (("height", "weight") if head else ("x1", "x2"))
    assert table.x[3].tolist() == [3, -1.5]
    assert table.y.tolist() == [0] * 11 + [1] * 9
    said = train(tmp_path, "--data", "csv", "--csv", tmp_path / "t.csv", "--standardize")
    assert said.exit_code == 0, said.output
    assert [step for step, _ in event_reader.series(tmp_path / "a", "train/loss")] == list(range(0, 101, 10))
    assert event_reader.series(tmp_path / "a", "train/accuracy")[-1][1] > 0.9
    assert "… and 8 more rows" not in said.output  # 20 rows of two columns fit


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("1,2,0\n3,,1\n", "line 2, column 2: a value is missing"),
        ("a,b,y\n1,2,0\n3,4,\n", "line 3, column 3 (y): a value is missing"),
        ("1,2,0\n3,4,2\n", "line 2, column 3: the label '2' is neither 0 nor 1"),
        ("a,b,y\n1,2,yes\n", "line 2, column 3 (y): 'yes' is not a finite number"),
        ("1,nan,0\n", "line 1, column 2: 'nan' is not a finite number"),
        ("1,2,0\n1e999,2,0\n", "line 2, column 1: '1e999' is not a finite number"),
        ("1,2,0\n1e39,2,0\n", "line 2, column 1: '1e39' is not a finite number"),
        ("1,2,0\n,,\n", "line 2, column 1: a value is missing"),
        ("1,2,0\n1_0,2,0\n", "line 2, column 1: '1_0' is not a finite number"),
        ("1,2,0\n3,1\n", "line 2: 2 columns, where the first line has 3"),
        ("1,x,0\n", "line 1, column 2: 'x' is not a finite number"),
        ("", "has no rows"),
        ("a,b,y\n", "has no rows"),
        ("0\n1\n", "has one column"),
        ('1,"2,0\n', "cannot be read"),
        (b"\xff\xfe1\x00,", "cannot be read"),
    ],
    ids=range(16),
)
def test_a_bad_table_is_one_line(tmp_path: Path, content: str | bytes, says: str) -> None:
    file = tmp_path / "t.csv"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    said = train(tmp_path / "runs", "--data", "csv", "--csv", file)
    assert said.exit_code == 2
    assert re.fullmatch(r"Error: [^\n]+\n", said.stderr), said.stderr
    assert f"--csv {file}" in said.stderr
    assert says in said.stderr
    assert not (tmp_path / "runs").exists()
    with pytest.raises(DataError, match=re.escape(says)):
        tables.read_csv(file)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--data", "days"], "'days' is not one of 'hours', 'hours3', 'lecture-lab'"),
        (["--data", "csv"], "'--csv': is needed by --data csv"),
        (["--data", "hours", "--csv", "x.csv"], "'--csv': does not go with --data hours"),
        (["--csv", "none.csv"], "none.csv: cannot be read: No such file"),
        (["--data", "csv", "--csv", "none.csv"], "none.csv: cannot be read: No such file"),
        (["--one-vs-rest"], "'--one-vs-rest': goes with images"),
        (["--data", "digits", "--initial-weight", "1"], "'--initial-weight': goes with tables"),
        (["--data", "digits", "--reduction", "sum"], "'--reduction': goes with tables"),
        (["--data", "digits", "--activation", "relu"], "'--activation': goes with tables"),
        (["--activation", "relu", "--loss", "mse"], "'--activation': goes with --loss bce alone"),
        (["--lr", "nan"], "nan"),
        (["--optimizer", "adam", "--momentum", "0.9"], "'--momentum': adam does not have it; these do: sgd, rmsprop"),
        (["--optimizer", "rprop", "--weight-decay", "0.1"], "'--weight-decay': rprop does not have it"),
        (["--optimizer", "newton"], "'newton' is not one of 'sgd', 'adam'"),
    ],
    ids=lambda value: " ".join(value)[:40],
)
def test_bad_input_is_one_line_and_leaves_nothing(tmp_path: Path, arguments: list[str], says: str) -> None:
    said = train(tmp_path / "runs", *arguments)
    assert said.exit_code == 2
    assert re.fullmatch(r"Error: [^\n]+\n", said.stderr), said.stderr
    assert says in said.stderr
    assert not (tmp_path / "runs").exists()
