"""A `run.json` may hold anything: a damaged one is listed as such, and the good runs beside it as ever."""

from __future__ import annotations

import csv
import io
import json
import os
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner, Result
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from monitor import DataError, Logger, MemorySink
from monitor.cli import main
from monitor.runs.jsonable import to_jsonable
from monitor.runs.listing import load
from monitor.runs.run_file import read_run_file, timestamp
from monitor.runs.run_schema import CHECKS

if TYPE_CHECKING:
    from pathlib import Path

GOOD = {
    "name": "bad", "status": "finished", "start": timestamp(1e9), "end": timestamp(1e9 + 5), "seed": 0,
    "config": {"lr": 0.1},
    "metrics": {"test/loss": {"last": 1.0, "step": 3, "best": 0.5, "best_step": 2, "goal": "min"}},
    "progress": {"step": 3}, "pid": 7, "host": "h", "process": {"pid": 7, "created": 1.0, "machine": "m"},
    "heartbeat": timestamp(1e9), "command": ["x"], "versions": {"python": "3"}, "git": None, "logged": {},
}  # fmt: skip
DEEP = "[" * 100_000 + "]" * 100_000
RAW: dict[str, str | bytes] = {
    "nan": json.dumps({**GOOD, "spent": float("nan")}),
    "infinite": json.dumps({**GOOD, "process": {"pid": 1, "created": float("inf"), "machine": "m"}}),
    "400 digits": json.dumps({**GOOD, "pid": 0}).replace('"pid": 0', '"pid": ' + "7" * 400),
    "5000 digits": json.dumps({**GOOD, "seed": 0}).replace('"seed": 0', '"seed": ' + "7" * 5000),
    "exponent": json.dumps({**GOOD, "seed": 0}).replace('"seed": 0', '"seed": 1e999'),
    "deep": json.dumps({**GOOD, "seed": 0}).replace('"seed": 0', f'"seed": {DEEP}'),
    "deeper than we write": json.dumps({**GOOD, "config": json.loads("[" * 40 + "]" * 40)}),
    "surrogate": json.dumps({**GOOD, "error": "\ud800"}),
    "surrogate key": json.dumps({**GOOD, "config": {"\udfff": 1}}),
    "not UTF-8": b'{"name": "\xff"}',
    "null bytes": b"\0" * 1000,
    "nothing": "",
    "list": "[]",
    "text": '"run"',
}


@pytest.fixture(scope="module")
def logdir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a log directory with one good run, made once."""
    logdir = tmp_path_factory.mktemp("logdir")
    with Logger(logdir / "good", [MemorySink()], {"lr": 0.5}) as log:
        log.scalar("test/loss", 0.25, 4)
    (logdir / "bad").mkdir()
    return logdir


def run(*arguments: object) -> Result:
    result = CliRunner().invoke(main, [*map(str, arguments)])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def check_every_command(logdir: Path) -> None:
    table = run("runs", logdir)
    assert table.exit_code == 0
    assert "good" in table.stdout
    listed = json.loads(run("runs", logdir, "--json").stdout, parse_constant=pytest.fail)
    assert sorted(entry["name"] for entry in listed) == ["bad", "good"]
    rows = list(csv.DictReader(io.StringIO(run("runs", logdir, "--csv").stdout)))
    assert next(row for row in rows if row["name"] == "good")["best:test/loss"] == "0.25"
    assert run("runs", logdir, "--sort", "-best:test/loss", "--filter", "name==good or age<1h").exit_code == 0
    assert "0.25" in run("compare", "good", "bad", "--logdir", logdir).stdout


@pytest.mark.parametrize("name", RAW)
def test_damaged_files(logdir: Path, name: str) -> None:
    content = RAW[name]
    file = logdir / "bad" / "run.json"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    os.utime(file, (1e9, 1e9))  # an empty file that is new belongs to a run that is just starting
    with pytest.raises(DataError) as error:
        read_run_file(logdir / "bad")
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 1000
    assert load(logdir / "bad").status == "damaged"
    check_every_command(logdir)


WRONG: list[Any] = [-1, 2**70, -0.5, True, "text", "1e5", [], [[]], {}, {"pid": -5}, {"": None}, {"a": "b"}, {"a": {}}]


@pytest.mark.parametrize("field", CHECKS)
def test_a_field_of_another_type_is_named_or_harmless(logdir: Path, field: str) -> None:
    damaged = 0
    for value in WRONG:
        (logdir / "bad" / "run.json").write_text(json.dumps({**GOOD, field: value}))
        info = load(logdir / "bad")
        if info.status == "damaged":
            damaged += 1
            assert f"{field!r} is " in str(info.error)
        check_every_command(logdir)
    assert damaged >= 6


def test_a_name_that_is_not_utf_8(tmp_path: Path) -> None:
    folder = os.fsdecode(os.fsencode(tmp_path) + b"/run\xff")
    with Logger(folder, [MemorySink()]) as log:
        log.scalar("test/loss", 0.25, 4)
    written = CliRunner().invoke(main, ["runs", str(tmp_path), "--json"]).stdout_bytes
    (entry,) = json.loads(written.decode())
    assert (entry["name"], entry["path"]) == ("run\udcff", folder)
    assert "0.25" in run("runs", tmp_path).stdout


def test_the_good_fields_pass(logdir: Path) -> None:
    (logdir / "bad" / "run.json").write_text(json.dumps(GOOD))
    assert read_run_file(logdir / "bad") == GOOD
    assert read_run_file(logdir / "good")["status"] == "finished"


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters()), inner, max_size=4),
    max_leaves=8,
)


EXAMPLES = int(os.environ.get("MONITOR_FUZZ", "300"))  # `make fuzz` sets it


@settings(
    max_examples=max(1, EXAMPLES // 5), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(fields=st.dictionaries(st.sampled_from([*GOOD, *CHECKS]), anything, max_size=3))
def test_any_json_in_its_place(logdir: Path, fields: dict[str, Any]) -> None:
    (logdir / "bad" / "run.json").write_text(json.dumps({**GOOD, **fields}))
    check_every_command(logdir)


@settings(max_examples=max(200, EXAMPLES), deadline=None)
@given(value=anything)
def test_what_we_write_passes_our_own_check(value: Any) -> None:
    text = json.dumps({**GOOD, "config": {"value": to_jsonable(value)}}, allow_nan=False)
    assert CHECKS["config"](json.loads(text)["config"])
