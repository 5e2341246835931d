"""`Logger()` without a name: its run is named after the program and the time, or is that of `monitor run`."""

from __future__ import annotations

import re
import subprocess
import sys
import zipapp
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from monitor import Logger, Run
from monitor.runs.run_file import read_run_file
from tests.support.scripts import only_run, run_script, runs_of, write_script

LOOP = """
from monitor import Logger
with Logger(sinks=["tensorboard"], config={"lr": 0.1, "seed": 7}) as log:
    for _ in range(3):
        log.scalar("train/loss", 0.5)
    print(log.run.label)
"""
TIME = r"-\d{8}-\d{6}"


@pytest.mark.parametrize(
    ("how", "name"),
    [
        (["my loop.py"], "my-loop"),
        (["-m", "package.script"], "package.script"),
        (["program.d"], "program.d"),
        (["archive.pyz"], "archive"),
        (["-c", LOOP], "python"),
        (["-c", f"import sys; sys.modules['ipykernel'] = sys\n{LOOP}"], "notebook"),
    ],
    ids=["script", "module", "directory", "archive", "code", "notebook"],
)
def test_the_name_is_the_programs_and_the_time(how: list[str], name: str, tmp_path: Path) -> None:
    (tmp_path / "my loop.py").write_text(LOOP)
    write_script(tmp_path / "package", LOOP)
    (tmp_path / "program.d").mkdir()
    (tmp_path / "program.d" / "__main__.py").write_text(LOOP)
    zipapp.create_archive(tmp_path / "program.d", tmp_path / "archive.pyz")
    done = subprocess.run([sys.executable, *how], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert re.fullmatch(f"runs/{name}{TIME}", done.stdout.strip())
    fields = read_run_file(tmp_path / done.stdout.strip())
    assert (fields["status"], fields["config"], fields["metrics"]["train/loss"]["step"]) == (
        "finished",
        {"lr": 0.1, "seed": 7},
        2,
    )


def test_loggers_of_the_same_second_are_side_by_side(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with ThreadPoolExecutor(4) as threads:
        logs = list(threads.map(lambda _: Logger(sinks=[]), range(4)))
    for log in logs:
        log.close()
    assert len({log.run.label for log in logs}) == len(list(Path("runs").iterdir())) == 4
    with pytest.raises(TypeError, match="config goes with a directory"):
        Logger(Run("runs/a"), [], {"lr": 1})


def test_under_monitor_run_it_is_the_run_of_the_script(tmp_path: Path) -> None:
    write_script(tmp_path, LOOP + "log = Logger(sinks=[])\nlog.close()\nprint(log.run.label)")
    done = run_script(tmp_path, "--name", "mine", "script.py")
    assert done.returncode == 0, done.stderr
    found = runs_of(tmp_path / "runs")
    assert sorted(found) == ["mine", "mine-2"], "a second one goes beside it"
    first = read_run_file(tmp_path / "runs" / "mine")
    assert (first["status"], first["config"], first["seed"]) == ("finished", {"lr": 0.1, "seed": 7}, 7)
    assert first["metrics"]["train/loss"] == {"last": 0.5, "step": 2, "best": 0.5, "best_step": 0, "goal": "min"}


def test_one_logger_is_one_run(tmp_path: Path) -> None:
    write_script(tmp_path, LOOP + "raise ValueError('no')")
    assert run_script(tmp_path, "script.py").returncode == 1
    fields = only_run(tmp_path / "runs").fields
    assert re.fullmatch(f"script{TIME}", fields["name"])
    assert (fields["status"], fields["error"]) == ("failed", "ValueError: no")


def test_what_is_no_directory_is_refused_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for empty in ("", " "):
        with pytest.raises(ValueError, match=r"^a run needs the name of a directory, such as 'runs/mlp', not '"):
            Logger(empty)
    wrong: Any
    for wrong in (5, b"runs/a", ["runs/a"]):
        with pytest.raises(TypeError, match=f"^a run is a directory, .*, or a Run, not {type(wrong).__name__}$"):
            Logger(wrong)
    assert list(tmp_path.iterdir()) == []


def test_a_run_says_where_and_how_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with Logger("runs/a", []) as log:
        assert repr(log.run) == "Run('runs/a', running)"
    assert repr(log.run) == "Run('runs/a', finished)"
