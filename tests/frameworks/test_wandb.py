"""Runs that W&B itself logs, offline: what is found in them equals what W&B's own reader finds."""

from __future__ import annotations

import json
import math
import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
import wandb  # noqa: F401 - the scripts below need it
from click.testing import CliRunner

from monitor import Config, Histogram, Images, Record, Scalar, Table, Text
from monitor.cli import main
from monitor.imports.sources import find_logs
from monitor.imports.wandb_log import WandbReader
from monitor.testing import wait_until
from tests.support import event_reader
from tests.support.wandb_server import synced_rows

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.xdist_group("wandb")  # they share the logs of some runs

PRELUDE = """
import os, signal, sys
import numpy as np
import wandb
run = wandb.init(project="p", mode="offline", dir=sys.argv[1], name=sys.argv[2],
                 config={"lr": 0.1, "model": {"layers": [1, 2], "act": "relu"}})
"""
SCRIPT = (
    PRELUDE
    + """
run.define_metric("val/*", step_metric="epoch")
for step in range(300):
    nested = {"a": step, "b": {"c": -step / 3}}
    run.log({"train/loss": 1 / (step + 1), "acc": np.float32(step / 7), "even": step % 2 == 0, "n": nested})
    if step == 50:
        run.config.update({"late": 1, "lr": 0.2}, allow_val_change=True)
run.log({"a": 1.0}, commit=False)
run.log({"b": 2.0}, commit=False)
run.log({"nan": float("nan"), "inf": float("inf"), "none": None, "text": "some text", "list": [1, 2], "large": 2**70})
run.log({"own": 5}, step=1000)
run.log({"epoch": 1, "val/loss": 0.5})
pixels = np.arange(2 * 8 * 9 * 3, dtype=np.uint8).reshape(2, 8, 9, 3)
run.log({
    "image": wandb.Image(pixels[0], caption="first"),
    "images": [wandb.Image(picture) for picture in pixels],
    "histogram": wandb.Histogram(np.arange(1000.0)),
    "table": wandb.Table(columns=["x", "y"], data=[[1, "a"], [2.5, "b"]]),
    "html": wandb.Html("<p>hello <b>you</b></p>"),
})
run.alert("careful", "the loss is high")
run.summary["best"] = 0.25
ending = sys.argv[3]
if ending == "kill":
    os.kill(os.getpid(), signal.SIGKILL)
if ending == "interrupt":
    signal.raise_signal(signal.SIGINT)
if ending == "raise":
    raise ValueError("bad")
run.finish()
"""
)
GROWING = (
    PRELUDE
    + """
for step in range(2000):
    run.log({"train/loss": 1 / (step + 1)})
    if step == 1500:
        print("written", flush=True)
        sys.stdin.readline()
run.finish()
"""
)


def environment() -> dict[str, str]:
    return {**os.environ, "WANDB_SILENT": "true", "WANDB_ERROR_REPORTING": "false", "WANDB_DISABLE_GIT": "true"}


def log_run(folder: Path, name: str, ending: str = "finish") -> Path:
    """Log a run with W&B; return its log file."""
    before = set(find_logs(folder / "wandb"))
    command = [sys.executable, "-c", SCRIPT, str(folder), name, ending]
    subprocess.run(command, env=environment(), cwd=folder, capture_output=True, timeout=100, check=False)
    (new,) = set(find_logs(folder / "wandb")) - before
    return new


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return the logs of runs, by how they ended."""
    folder = tmp_path_factory.mktemp("runs")
    return {ending: log_run(folder, ending, ending) for ending in ("finish", "raise", "interrupt", "kill")}


def read(path: Path) -> tuple[list[Record], WandbReader]:
    reader = WandbReader(path)
    return [record for part in reader.records() for record in part], reader


Value = tuple[int, float, str, str, Any]


def values(records: list[Record]) -> list[Value]:
    """Return what is in the records of the history, in an order of its own; NaN becomes text, so that it is equal."""
    found: list[Value] = []
    for record in records:
        if isinstance(record, Scalar):
            value = "NaN" if math.isnan(record.value) else record.value
            found.append((record.step, record.time, record.tag, "number", value))
        elif isinstance(record, Text) and record.tag == "text":
            found.append((record.step, record.time, record.tag, "text", record.text))
        elif isinstance(record, Images | Histogram | Table | Text) and record.tag not in ("alert", "summary"):
            found.append((record.step, record.time, record.tag, "media", ""))
    return sorted(found, key=repr)


def wandbs_values(rows: list[dict[str, Any]]) -> list[Value]:
    """Return the same from the rows that W&B found."""
    found: list[Value] = []

    def add(row: dict[str, Any], key: str, value: Any) -> None:
        step, time = row["_step"], row["_timestamp"]
        if isinstance(value, dict) and "_type" not in value:
            for name, item in value.items():
                add(row, f"{key}.{name}", item)
        elif isinstance(value, dict):
            found.append((step, time, key, "media", ""))
        elif isinstance(value, bool | int | float) or value in ("NaN", "Infinity"):
            number = float(value)
            found.append((step, time, key, "number", "NaN" if math.isnan(number) else number))
        elif isinstance(value, str):
            found.append((step, time, key, "text", value))

    for row in rows:
        for key, value in row.items():
            if key not in ("_step", "_timestamp", "_runtime"):
                add(row, key, value)
    return sorted(found, key=repr)


@pytest.mark.parametrize("ending", ["finish", "raise", "interrupt", "kill"])
def test_the_history_is_what_wandb_finds(runs: dict[str, Path], ending: str, tmp_path: Path) -> None:
    theirs = wandbs_values(synced_rows(runs[ending].parent, tmp_path))
    records, reader = read(runs[ending])
    assert values(records) == theirs
    assert len(theirs) > 1000
    assert reader.damaged == 0
    codes = {"finish": 0, "raise": 1, "interrupt": 255, "kill": None}
    assert reader.exit_code == codes[ending]
    assert reader.name == ending


@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
def test_a_torn_log(runs: dict[str, Path], share: float, tmp_path: Path) -> None:
    folder = tmp_path / runs["finish"].parent.name
    shutil.copytree(runs["finish"].parent, folder)
    log = folder / runs["finish"].name
    log.write_bytes(log.read_bytes()[: int(log.stat().st_size * share)])
    (tmp_path / "scratch").mkdir()
    theirs = wandbs_values(synced_rows(folder, tmp_path / "scratch"))
    records, reader = read(log)
    assert values(records) == theirs
    assert 0 < len(theirs) < 1700
    assert reader.torn


def test_media_settings_and_notes(runs: dict[str, Path]) -> None:
    records, reader = read(runs["finish"])
    by_tag = {record.tag: record for record in records if isinstance(record, Images | Histogram | Table | Text)}
    for tag, count in (("image", 1), ("images", 2)):
        pictures = by_tag[tag]
        assert isinstance(pictures, Images)
        assert pictures.images.shape == (count, 3, 8, 9)
        assert pictures.images[0, 0, 0, :3].tolist() == [0, 3, 6]
    histogram = by_tag["histogram"]
    assert isinstance(histogram, Histogram)
    assert histogram.buckets is not None
    assert histogram.buckets[0].sum() == 1000
    table = by_tag["table"]
    assert isinstance(table, Table)
    assert (table.columns, table.rows) == (("x", "y"), (("1", "a"), ("2.5", "b")))
    texts = {tag: record.text for tag, record in by_tag.items() if isinstance(record, Text)}
    assert texts["html"] == "hello you"
    assert texts["alert"] == "careful: the loss is high"
    assert texts["summary"] == "| name | value |\n| --- | --- |\n| best | 0.25 |"
    settings = [record.values for record in records if isinstance(record, Config)]
    first = {"lr": 0.1, "model.layers": [1, 2], "model.act": "relu"}
    assert settings == [first, {**first, "lr": 0.2, "late": 1}]
    assert reader.skipped["list"] == 1
    assert reader.skipped["null"] == 1


def test_a_growing_log(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", GROWING, str(tmp_path), "growing"],
        env=environment(), cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "written\n"
        (log,) = find_logs(tmp_path / "wandb")
        reader = WandbReader(log)
        steps: list[int] = []

        def pull() -> list[int]:
            steps.extend(r.step for part in reader.records() for r in part if isinstance(r, Scalar))
            return steps

        wait_until(lambda: len(pull()) > 1000, 60, "rows of a run that goes on")
        assert WandbReader(log).exit_code is None
        process.communicate("\n", timeout=60)
        assert pull() == list(range(2000))
        assert (reader.exit_code, reader.damaged, reader.torn) == (0, 0, 0)
    finally:
        process.kill()
        process.communicate()


def test_replay_of_a_folder(runs: dict[str, Path], tmp_path: Path) -> None:
    folder = runs["finish"].parents[1]
    result = CliRunner().invoke(
        main, ["replay", str(folder), "--sink", "tensorboard", "--logdir", str(tmp_path / "runs")]
    )
    assert result.exit_code == 0, result.output
    listed = json.loads(CliRunner().invoke(main, ["runs", str(tmp_path / "runs"), "--json"]).stdout)
    statuses = {run["name"]: run["status"] for run in listed}
    assert statuses == {"finish": "finished", "raise": "failed", "interrupt": "interrupted", "kill": "lost"}
    losses = event_reader.series(tmp_path / "runs" / "finish", "train/loss")
    assert [step for step, _ in losses] == list(range(300))
    tags = event_reader.read(tmp_path / "runs" / "finish").Tags()
    assert sorted(tags["images"]) == ["image", "images"]  # W&B keeps no order of keys
