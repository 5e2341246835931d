"""What is in W&B's logs becomes records; what has no record is counted by kind."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from monitor import Config, Scalar, Text
from monitor.imports.wandb_log import WandbReader, read_run_name
from tests.support import hostile_events, wandb_logs
from tests.support.wandb_logs import config, end, other, row, run, summary, write

if TYPE_CHECKING:
    from pathlib import Path

    from monitor import Record

FILE = "offline-run-20261124_093012-x91lzwbh/run-x91lzwbh.wandb"


def read(path: Path) -> tuple[list[Record], WandbReader]:
    reader = WandbReader(path)
    return [record for part in reader.records() for record in part], reader


def values(path: Path, **logged: Any) -> tuple[list[Record], WandbReader]:
    """Read what was logged in one row."""
    return read(write(path / FILE, run(), row(3, logged, 12.5)))


def test_numbers(tmp_path: Path) -> None:
    found, reader = values(tmp_path, **{"train/loss": 0.1, "epoch": 2, "done": True, "nested.deep.x": 1e-300})
    assert found == [
        Scalar("train/loss", 0.1, 3, 12.5),
        Scalar("epoch", 2.0, 3, 12.5),
        Scalar("done", 1.0, 3, 12.5),
        Scalar("nested.deep.x", 1e-300, 3, 12.5),
    ]
    assert not reader.skipped
    assert (reader.name, reader.run_id, reader.exit_code) == ("x91lzwbh", "x91lzwbh", None)


def test_numbers_that_json_does_not_have(tmp_path: Path) -> None:
    logged = {"a": b"NaN", "b": b'"NaN"', "c": b"Infinity", "d": b'"-Infinity"', "e": b"1" * 400, "f": b"1e999"}
    found, _ = values(tmp_path, **logged)
    kept = {record.tag: record.value for record in found if isinstance(record, Scalar)}
    assert math.isnan(kept.pop("a"))
    assert math.isnan(kept.pop("b"))
    assert kept == {"c": math.inf, "d": -math.inf, "e": math.inf, "f": math.inf}


def test_nested_dicts_and_what_has_no_record(tmp_path: Path) -> None:
    """Older versions of W&B write a nested dict as one value."""
    found, reader = values(tmp_path, val={"loss": 1, "by": {"class": 2.5}}, note="fine", none=None, many=[1, 2])
    assert found == [
        Scalar("val.loss", 1, 3, 12.5),
        Scalar("val.by.class", 2.5, 3, 12.5),
        Text("note", "fine", 3, 12.5),
    ]
    assert reader.skipped == {"null": 1, "list": 1}


def test_steps_and_times(tmp_path: Path) -> None:
    """Rows of format version 1 need not say their step: they follow the last one."""
    without = [row(None, {"a": 1}) for _ in range(3)]
    only_field = row(40, {"a": 1})
    del only_field.history.item[1:]
    path = write(tmp_path / FILE, run(), without[0], row(7, {"a": 1}, 50.0), without[1], only_field, without[2])
    found, _ = read(path)
    assert [(record.step, record.time) for record in found if isinstance(record, Scalar)] == [
        (0, 1000.0), (7, 50.0), (8, 50.0), (40, 50.0), (41, 50.0),
    ]  # fmt: skip


def test_steps_and_times_that_are_none(tmp_path: Path) -> None:
    rows = [row(None, {"a": 1, "_step": step}) for step in ("x", 2**63 - 1, -(2**70), -5)]
    found, reader = read(write(tmp_path / FILE, *rows, row(3, {"a": 1}, math.nan), row(4, {"a": 1}, -1.0)))
    assert [(record.step, record.time) for record in found if isinstance(record, Scalar)] == [
        (0, 0.0), (1, 0.0), (-5, 0.0), (3, 0.0), (4, 0.0),
    ]  # fmt: skip
    assert reader.skipped == {"row with a step out of range": 1}


def test_settings(tmp_path: Path) -> None:
    first = run(config={"lr": 0.1, "model": {"layers": [1, 2], "act": "relu"}, "_wandb": {"cli": "1"}})
    removed = config(lr=0.2, seed=1)
    removed.config.remove.add().nested_key.append("seed")
    found, _ = read(write(tmp_path / FILE, first, row(0, {"a": 1}), removed, config(batch=8), row(1, {"a": 1})))
    settings = [record.values for record in found if isinstance(record, Config)]
    assert settings == [
        {"lr": 0.1, "model.layers": [1, 2], "model.act": "relu"},
        {"lr": 0.2, "seed": 1, "model.layers": [1, 2], "model.act": "relu", "batch": 8},
    ]
    assert [type(record).__name__ for record in found] == ["Config", "Scalar", "Config", "Scalar"]


def test_the_summary_is_shown_where_it_says_more_than_the_history(tmp_path: Path) -> None:
    path = write(
        tmp_path / FILE,
        run(),
        row(5, {"loss": 1, "val.acc": 2}),
        summary(loss=1, _step=5, _wandb={"runtime": 3}),
        end(),
    )
    assert [type(record).__name__ for record in read(path)[0]] == ["Scalar", "Scalar"]
    path = write(tmp_path / FILE, run(), row(5, {"loss": 1}), summary(loss=1, best="a|b"), summary(best=0.5), end())
    assert read(path)[0][-1] == Text("summary", "| name | value |\n| --- | --- |\n| best | 0.5 |", 5, 1000.0)


def test_records_of_other_kinds(tmp_path: Path) -> None:
    kinds = ("header", "telemetry", "files", "stats", "stats", "output_raw", "artifact", "metric", "request", "footer")
    found, reader = read(write(tmp_path / FILE, *map(other, kinds), b"\xf2\x3e\x02ab", end(3)))
    assert found == []
    assert reader.skipped == {"system metrics": 2, "console output": 1, "artifact": 1, "metric definition": 1}
    assert (reader.exit_code, reader.damaged) == (3, 0)


def test_a_growing_log(tmp_path: Path) -> None:
    records = [run(), *(row(n, {"a": n, "b": 1}) for n in range(5000)), end()]
    data = wandb_logs.framed([record.SerializeToString() for record in records])
    path = tmp_path / "run-x.wandb"
    reader = WandbReader(path)
    found: list[Record] = []
    for size in (0, 5, 30, 1000, len(data) // 2, len(data) - 1, len(data)):
        path.write_bytes(data[:size])
        found += [record for part in reader.records() for record in part]
    assert [record.value for record in found if isinstance(record, Scalar) and record.tag == "a"] == list(range(5000))
    assert reader.exit_code == 0


def test_names(tmp_path: Path) -> None:
    for name, expected in (("", "x91lzwbh"), ("base line", "base line")):
        path = write(tmp_path / FILE, other("header"), run("x91lzwbh", name))
        assert read_run_name(path) == expected
        assert read(path)[1].name == expected
    assert read_run_name(write(tmp_path / FILE, other("header"))) == ""
    assert read_run_name(tmp_path / "none") == ""


def test_long_paths_of_keys(tmp_path: Path) -> None:
    key = ".".join("abcdefghij" * 100)
    found, reader = values(tmp_path, **{key: 1, f"{key}._type": "image-file", ".".join("x" * 9000): 2})
    assert [record.tag for record in found if isinstance(record, Scalar | Text)] == [key, f"{key}._type"]
    assert reader.skipped == {"tag of more than 16,384 characters": 1}


def test_hostile_records(tmp_path: Path) -> None:
    empty_items = hostile_events.field(2, b"\x0a\x00" * 20_000_000)
    deep = b'{"a":' * 100_000
    path = write(
        tmp_path / FILE,
        run(),
        empty_items,
        b"\xff" * 100,
        row(0, {"deep": deep, "list": b"[" * 100_000, "good": 1, "x" * 20_000: 2}),
        row(1, {"cut": b'{"_type"', "text": "\ud800", "large": "x" * (2**23 + 1)}),
        config(**{f"k{n}": "x" * 100_000 for n in range(20)}),
    )
    found, reader = read(path)
    assert reader.damaged == 2
    assert found[:2] == [Scalar("good", 1, 0, 1000.0), Text("text", "\\ud800", 1, 1000.0)]
    assert isinstance(found[2], Config)
    assert len(found[2].values) == 10
    assert reader.skipped == {
        "damaged value": 3,
        "tag of more than 16,384 characters": 1,
        "large text": 1,
        "large setting": 10,
    }
