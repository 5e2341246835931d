"""What a run's status says is true, and `monitor runs` lists it: with real processes that end in every way."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import signal
import time
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner, Result

from monitor import Logger, Run
from monitor.cli import main
from monitor.errors import FilterError
from monitor.runs.filter import Filter
from monitor.runs.listing import load, scan, sort_runs, walk
from monitor.runs.processes import process
from monitor.runs.run_file import timestamp
from monitor.testing import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.processes import Start


def listed(*arguments: object) -> Result:
    result = CliRunner().invoke(main, ["runs", *map(str, arguments)])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def write(folder: Path, **fields: Any) -> Path:
    folder.mkdir(parents=True)
    whole = {"name": folder.name, "status": "finished", "start": timestamp(time.time() - 60), "config": {}, **fields}
    (folder / "run.json").write_text(json.dumps(whole))
    return folder


ENDING = """
import os, signal, sys, time
from monitor import Logger
from monitor.runs.processes.process import signals_as_exit
with signals_as_exit(), Logger(sys.argv[1], []) as log:
    for step in range(5):
        log.scalars({"test/loss": [3.0, 1.0, 2.0, float("nan"), 2.5][step], "test/accuracy": step / 10}, step)
    log.progress(1, 2, 5, 10)
    deadline = time.monotonic() + 60
    while '"best": 1.0' not in (log.run.path / "run.json").read_text() and time.monotonic() < deadline:
        time.sleep(0.02)
    print("there", flush=True)
    if sys.argv[2] == "wait":
        time.sleep(600)
    exec(sys.argv[2])
"""


def test_every_status_is_the_true_one(tmp_path: Path, start: Start) -> None:
    ends = {
        "finished": "pass",
        "failed": "raise ZeroDivisionError('by zero')",
        "interrupted": "os.kill(os.getpid(), signal.SIGINT)",
        "killed": "os.kill(os.getpid(), signal.SIGTERM)",
        "lost": "os.kill(os.getpid(), signal.SIGKILL)",
        "running": "wait",
    }
    processes = {status: start("-c", ENDING, str(tmp_path / status), code) for status, code in ends.items()}
    assert processes["running"].stdout is not None
    assert processes["running"].stdout.readline() == "there\n"
    for status, started in processes.items():
        if status != "running":
            started.wait(60)
    assert {run.name: run.status for run in scan(tmp_path)} == {status: status for status in ends}
    errors = {run.name: run.error for run in scan(tmp_path)}
    assert errors["failed"] == "ZeroDivisionError: by zero"
    assert errors["killed"] == "SIGTERM"
    for run in scan(tmp_path):
        assert run.metrics["test/loss"] == {
            "last": 2.5, "step": 4, "best": 1.0, "best_step": 1, "goal": "min",
        }  # fmt: skip
        assert run.metrics["test/accuracy"]["best_step"] == 4
        assert run.progress == {"epoch": 1, "epochs": 2, "step": 5, "steps": 10}
        assert run.duration is not None
    os.kill(processes["running"].pid, signal.SIGSTOP)  # asleep is not gone
    assert load(tmp_path / "running").status == "running"
    os.kill(processes["running"].pid, signal.SIGKILL)
    wait_until(lambda: load(tmp_path / "running").status == "lost", 60, "the dead run to be lost")


def test_a_process_that_took_the_pid_is_another_one(tmp_path: Path) -> None:
    mine = process.identity()
    assert load(write(tmp_path / "mine", status="running", process=mine)).status == "running"
    taken = {**mine, "created": mine["created"] - 100}
    assert load(write(tmp_path / "taken", status="running", process=taken)).status == "lost"


@pytest.mark.parametrize(("silence", "status"), [(5, "running"), (29, "running"), (31, "lost")])
def test_on_another_machine_the_heartbeat_or_the_time_of_the_file_tells(
    tmp_path: Path, silence: float, status: str
) -> None:
    there = {**process.identity(), "machine": "another one"}
    last = time.time() - silence
    for name, clock, written in (("a", last, last), ("behind", last - 3600, last), ("ahead", last + 3600, last)):
        run = write(tmp_path / name, status="running", process=there, heartbeat=timestamp(clock))
        os.utime(run / "run.json", (written, written))
        assert load(run).status == status, name
    run = write(tmp_path / "server", status="running", process=there, heartbeat=timestamp(last))
    os.utime(run / "run.json", (last - 3600, last - 3600))  # the file server's clock is behind
    assert load(run).status == status


def test_the_heart_beats_also_where_nothing_is_logged(tmp_path: Path) -> None:
    with Logger(tmp_path / "a", []) as log:
        first = load(log.run.path).fields["heartbeat"]
        wait_until(lambda: load(log.run.path).fields["heartbeat"] > first, 60, "another heartbeat")


def test_run_json_is_whole_at_any_moment(tmp_path: Path) -> None:
    run = Run(tmp_path / "a", {"lr": 0.1})
    with Logger(run, []) as log:
        deadline, reads = time.monotonic() + 1, 0
        while time.monotonic() < deadline:
            log.scalar("a", float(reads), reads)
            run.update(more=reads)
            assert json.loads((run.path / "run.json").read_text())["config"] == {"lr": 0.1}
            reads += 1
    assert reads > 10


def test_a_list_of_a_thousand_runs_with_damaged_ones_among_them(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
    for number in range(1000):
        metrics = {"test/accuracy": {"last": number / 1000, "step": 9, "best": 0.9, "best_step": 5, "goal": "max"}}
        write(tmp_path / f"r{number:03}", config={"lr": number / 1000}, metrics=metrics, end=timestamp(time.time()))
    (tmp_path / "group" / "torn").mkdir(parents=True)
    (tmp_path / "group" / "torn" / "run.json").write_text('{"name": "to')
    (tmp_path / "list").mkdir()
    (tmp_path / "list" / "run.json").write_text("[1, 2]")
    found = listed(tmp_path)
    assert found.exit_code == 0
    assert len(re.findall("finished", found.stdout)) == 1000
    assert re.search(r"group/torn +damaged", found.stdout)
    line = "list/run.json cannot be read: it does not hold an object"  # which a narrow terminal breaks anywhere
    assert "".join(line.split()) in "".join(found.stdout.split())
    few = listed(
        tmp_path, "--filter", "lr<0.002 and status==finished or name~torn", "--sort", "-test/accuracy", "--json"
    )
    assert [run["name"] for run in json.loads(few.stdout)] == ["r001", "r000", "group/torn"]
    rows = list(csv.DictReader(io.StringIO(listed(tmp_path, "--csv", "--filter", "config:lr >= 0.998").stdout)))
    assert [(row["name"], row["config:lr"], row["test/accuracy"], row["best:test/accuracy"]) for row in rows] == [
        ("r998", "0.998", "0.998", "0.9"), ("r999", "0.999", "0.999", "0.9"),
    ]  # fmt: skip


def test_runs_in_the_directories_of_others(tmp_path: Path) -> None:
    """A writer on `runs` and one on `runs/exp1`; a search and its trials; and the names that commands take."""
    logdir = tmp_path / "runs"
    for name in (".", "exp1", "exp1/lr/0.1", "search", "search/trials/b", "search/trials/a/again"):
        write(logdir / name, config={"depth": name.count("/")})
    names = ["runs", "exp1", "exp1/lr/0.1", "search", "search/trials/a/again", "search/trials/b"]
    assert [run.name for run in scan(logdir)] == names
    assert [run["name"] for run in json.loads(listed(logdir, "--json", "--filter", "depth==2").stdout)] == [
        "exp1/lr/0.1", "search/trials/b",
    ]  # fmt: skip
    (logdir / "search" / "run.json").unlink()
    assert [run.name for run in scan(logdir / "search")] == ["trials/a/again", "trials/b"]
    compared = CliRunner().invoke(
        main, ["compare", "exp1", "search/trials/b", "search/trials/a/*", "--logdir", str(logdir)]
    )
    assert compared.exit_code == 0, compared.output
    assert re.search(r"\bexp1\b", compared.stdout)
    assert re.search(r"\bagain\b", compared.stdout)


def test_the_search_below_a_run_has_bounds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(walk, "MAX_FOLDERS_WITHOUT_RUN", 20)
    write(tmp_path / "one")
    for number in range(100):
        (tmp_path / "one" / "data" / f"{number:02}" / "x").mkdir(parents=True)
    write(tmp_path / "one" / "next")  # the nearer ones are found first
    write(tmp_path / "one" / "a" / "b" / "c")
    write(tmp_path / "one" / ".hidden")
    for name in ("four", "five"):
        write(tmp_path / name)
    write(tmp_path / "four" / "1" / "2" / "3" / "4")
    write(tmp_path / "five" / "1" / "2" / "3" / "4" / "5")
    write(tmp_path / "deep" / "1" / "2" / "3" / "4" / "5")
    looked_into: list[str] = []
    look_into = walk.look_into

    def look(folder: str) -> Any:
        looked_into.append(folder)
        return look_into(folder)

    monkeypatch.setattr(walk, "look_into", look)
    names = ["deep/1/2/3/4/5", "five", "four", "four/1/2/3/4", "one", "one/next"]
    assert [run.name for run in scan(tmp_path)] == names
    assert len([folder for folder in looked_into if "data" in folder]) <= 20


def test_csv_keeps_what_ends_a_line(tmp_path: Path) -> None:
    config = {"a\rb": "1\r2", "c\nd": "3\n4", "e,f": 'g"h'}
    write(tmp_path / "one", config=config)
    (row,) = csv.DictReader(io.StringIO(listed(tmp_path, "--csv").stdout, newline=""))
    assert {name: row[f"config:{name}"] for name in config} == config


def test_a_watched_list_follows(tmp_path: Path, start: Start) -> None:
    write(tmp_path / "first")
    out = tmp_path / "out"
    with out.open("w") as file:
        environment = {**os.environ, "FORCE_COLOR": "1", "COLUMNS": "100"}
        watching = start("-m", "monitor", "runs", str(tmp_path), "--watch", fresh=True, stdout=file, env=environment)
    try:
        wait_until(lambda: "first" in out.read_text(), 60, "the list")
        write(tmp_path / "second", status="failed", error="OSError: disk")
        wait_until(lambda: "second: OSError: disk" in out.read_text(), 60, "the second run")
    finally:
        watching.send_signal(signal.SIGINT)
        assert watching.wait(60) == 0


@pytest.mark.parametrize(
    ("text", "passes"),
    [
        ("lr<0.1", True), ("lr<0.01", False), ("lr = 0.05", True), ("status==finished", True),
        ("status!=finished", False), ("not status==failed and lr<=0.05", True), ("data=='mnist'", True),
        ("(lr>1 or hidden~200) and name~ML", True), ("age<2h", True), ("age < 30s", False), ("dropout==none", True),
        ("early == true", True), ("test/accuracy>0.9", True), ("best:test/accuracy>=0.95", True), ("nothing<1", False),
        ("data<3", False), ('data != "the digits"', True), ("optimizer == leaky-relu", False),
    ],
)  # fmt: skip
def test_filters(text: str, passes: bool, tmp_path: Path) -> None:
    metrics = {"test/accuracy": {"last": 0.91, "step": 1, "best": 0.95, "best_step": 0, "goal": "max"}}
    config = {"lr": 0.05, "data": "mnist", "hidden": [200, 10], "dropout": None, "early": True, "optimizer": "sgd"}
    run = load(write(tmp_path / "mlp-1", config=config, metrics=metrics))
    assert Filter(text)(run.look_up) is passes


@pytest.mark.parametrize(
    "text", ["", "lr", "lr<", "lr<0.1 and", "(lr<1", "lr<1)", "lr<1 lr<2", "<1", "'lr'<1", "lr < < 1"]
)
def test_what_is_no_filter_is_refused(text: str) -> None:
    with pytest.raises(FilterError, match="accepted: comparisons such as"):
        Filter(text)


def test_names_that_no_run_has_and_folders_that_are_none(tmp_path: Path) -> None:
    write(tmp_path / "a", config={"lr": 1})
    for arguments in (["--filter", "lrr<1"], ["--sort", "-lrr"], ["--metric", "lrr"]):
        refused = listed(tmp_path, *arguments)
        assert refused.exit_code == 2
        assert "no run has 'lrr'; did you mean 'lr'?" in refused.stderr
    assert "is not a folder" in listed(tmp_path / "none").stderr
    (tmp_path / "empty").mkdir()
    assert listed(tmp_path / "empty").stdout == f"no runs in {tmp_path / 'empty'}\n"


def test_runs_without_a_value_come_last(tmp_path: Path) -> None:
    for name, config in (("a", {"lr": 2}), ("b", {}), ("c", {"lr": 10}), ("d", {"lr": None})):
        write(tmp_path / name, config=config)
    runs = list(scan(tmp_path))
    assert [run.name for run in sort_runs(runs, "lr")] == ["a", "c", "b", "d"]
    assert [run.name for run in sort_runs(runs, "-lr")] == ["c", "a", "b", "d"]
