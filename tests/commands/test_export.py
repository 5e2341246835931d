"""What is exported, and what `monitor.read` returns, is what TensorBoard's own reader finds."""

from __future__ import annotations

import csv
import json
import math
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from click.testing import CliRunner

from monitor import DataError, Logger, MissingExtra, read
from monitor.cli import main
from monitor.comparison.tables import LIBRARIES
from monitor.events.index.index_marks import ranges
from monitor.events.index.index_update import update_index
from monitor.events.index.run_index import load_index
from tests.support import event_reader
from tests.support.indexed_runs import STEPS, TAGS, events, make_run

if TYPE_CHECKING:
    from pathlib import Path

HOSTILE = 'a,"b"\n=1+1\x1b[31m'


@pytest.fixture
def logdir(tmp_path: Path) -> Path:
    for name in ("a", "b"):
        with Logger(tmp_path / name, ["tensorboard"], {"lr": 0.1, "name": name}) as log:
            for step in range(50):
                log.scalars({"train/loss": 1 / (step + 1), "test/accuracy": math.nan if step == 7 else step / 50}, step)
            log.scalar(HOSTILE, math.inf, 3)
    return tmp_path


def export(logdir: Path, *arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(main, ["export", "--logdir", str(logdir), *map(str, arguments)])
    if not isinstance(result.exception, SystemExit | None):
        raise result.exception
    return result.exit_code, result.output


def expected(run: Path, tag: str) -> list[tuple[int, str]]:
    return [(step, repr(value)) for step, value in event_reader.series(run, tag)]


def test_csv(logdir: Path) -> None:
    assert export(logdir, "a", "b", "--to", logdir / "out.csv") == (
        0,
        f"{logdir / 'out.csv'}: 202 points of 2 runs\n",
    )
    with (logdir / "out.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    for run in ("a", "b"):
        for tag in ("train/loss", "test/accuracy", HOSTILE):
            found = [row for row in rows if (row["run"], row["tag"]) == (run, tag)]
            assert [(int(row["step"]), row["value"]) for row in found] == expected(logdir / run, tag)
            assert all(float(row["time"]) > 1.7e9 for row in found)


def test_json(logdir: Path) -> None:
    assert export(logdir, "a", "--metric", "test/accuracy", "--metric", HOSTILE, "--to", logdir / "out.json")[0] == 0
    (run,) = json.loads((logdir / "out.json").read_text())["runs"]
    assert (run["name"], run["status"], run["config"]) == ("a", "finished", {"lr": 0.1, "name": "a"})
    assert list(run["scalars"]) == ["test/accuracy", HOSTILE]
    found = run["scalars"]["test/accuracy"]
    assert [(s, repr(float(v))) for s, v in zip(found["steps"], found["values"])] == expected(
        logdir / "a", "test/accuracy"
    )
    assert run["scalars"][HOSTILE]["values"] == ["inf"]
    assert len(found["times"]) == 50


def test_parquet(logdir: Path) -> None:
    status, output = export(logdir, "a", "b", "--to", logdir / "out.parquet")
    if find_spec("pyarrow") is None:
        message = "Error: Parquet needs pyarrow, which is not installed; pip install 'training-monitor[export]'\n"
        assert (status, output) == (2, message)
        assert not (logdir / "out.parquet").exists()
        return
    assert status == 0, output
    table = import_module("pyarrow.parquet").read_table(logdir / "out.parquet").to_pydict()
    assert list(table) == ["run", "tag", "step", "time", "value"]
    found = [
        (step, repr(value))
        for run, tag, step, value in zip(table["run"], table["tag"], table["step"], table["value"])
        if (run, tag) == ("b", HOSTILE)
    ]
    assert found == expected(logdir / "b", HOSTILE)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["a", "--to", "out.xls"], "'out.xls' does not end in .parquet, .csv, or .json"),
        (["none", "--to", "out.csv"], "matches no run"),
        (["a", "--metric", "train/los", "--to", "out.csv"], "no run has 'train/los'; did you mean 'train/loss'?"),
        (["a", "--to", "no/such/folder/out.csv"], "No such file or directory"),
    ],
)
def test_mistakes(logdir: Path, arguments: list[str], message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(logdir)
    (logdir / "out.csv").write_text("kept")
    status, output = export(logdir, *arguments)
    assert status == 2
    assert output.count("\n") == 1
    assert message in output
    assert (logdir / "out.csv").read_text() == "kept"
    assert [path.name for path in logdir.glob(".*")] == []


def test_read(logdir: Path) -> None:
    a, b = read(logdir / "*")
    assert (a.name, b.name, a.status) == ("a", "b", "finished")
    assert a.config == {"lr": 0.1, "name": "a"}
    assert a.metrics["train/loss"]["step"] == 49
    assert a.tags() == ["train/loss", "test/accuracy", HOSTILE]
    steps, values, times = a.scalars("train/loss")
    assert [str(column.dtype) for column in (steps, values, times)] == ["int64", "float64", "float64"]
    assert [(s, repr(v)) for s, v in zip(steps.tolist(), values.tolist())] == expected(logdir / "a", "train/loss")
    assert (np.diff(times) >= 0).all()
    assert a.scalars("train/loss", 10, 19).steps.tolist() == list(range(10, 20))
    with pytest.raises(DataError, match=r"a has no scalars 'none'; known: train/loss, "):
        a.scalars("none")
    with pytest.raises(DataError, match="name at least one run"):
        read()


@pytest.mark.parametrize("library", LIBRARIES)
def test_frames(logdir: Path, library: str) -> None:
    (run,) = read("a", logdir=logdir)
    if find_spec(library) is None:
        with pytest.raises(MissingExtra, match=f"a table needs {library}, which is not installed"):
            run.frame(library=library)
        return
    frame: Any = run.frame(["train/loss", HOSTILE], library=library)
    assert type(frame).__module__.startswith(library)
    assert frame.shape == (51, 4)
    steps = frame["step"].to_pylist() if library == "pyarrow" else frame["step"].to_list()
    assert sorted(steps) == sorted([*range(50), 3])


def test_the_library_of_a_frame(logdir: Path) -> None:
    (run,) = read("a", logdir=logdir)
    with pytest.raises(DataError, match="library is polars, pandas, pyarrow; not 'excel'"):
        run.frame(library="excel")


def test_a_range_of_steps_is_read_alone(tmp_path: Path) -> None:
    """With an index, a range is what it is without one, and little of the file is read for it."""
    file = make_run(tmp_path, events(0, STEPS))
    (run,) = read(tmp_path)
    steps = ((0, 10), (5000, 5001), (STEPS - 3, STEPS + 5), (STEPS, STEPS + 9), (None, 100), (STEPS - 50, None))
    without = [repr(run.scalars("train/loss", *part)) for part in steps]
    update_index(tmp_path)
    assert [repr(run.scalars("train/loss", *part)) for part in steps] == without
    with file.open("ab") as out:
        out.write(events(STEPS, STEPS + 20, seed=1))
    assert run.scalars("train/loss", STEPS - 3).steps.tolist() == list(range(STEPS - 3, STEPS + 20))
    index = load_index(tmp_path)
    assert index is not None
    parts = ranges(index.marks, 5000, 5001)[file.name]
    assert 0 < sum(end - start for start, end in parts) <= file.stat().st_size // 2
    assert {tag for tag, _ in run.all_scalars().items()} == set(TAGS)
