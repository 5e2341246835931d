"""What `monitor rm`, `mv`, `note`, and `tag` reach: runs in the log directory, and nothing else."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner, Result

from monitor import DataError, Logger, compare
from monitor.cli import main
from monitor.runs.listing import scan

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a working directory with two log directories, where no server is looked for."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("MONITOR_VISDOM_PORT", "1")
    monkeypatch.chdir(tmp_path)
    for name in ("runs/r1", "runs/r2", "runs/sweep/s1", "lightning_logs/v0"):
        Logger(name, []).close()
    return tmp_path


def run(*arguments: str) -> Result:
    result = CliRunner().invoke(main, arguments)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def names(folder: Path) -> list[str]:
    return [info.name for info in scan(folder)]


@pytest.mark.parametrize("name", ["", " ", ".", "..", "r1/..", "runs", "runs/r1/..", "sweep/..", "/"])
@pytest.mark.parametrize("command", [["rm"], ["note"], ["rm", "--restore"]], ids=" ".join)
def test_no_name_stands_for_the_log_directory(here: Path, command: list[str], name: str) -> None:
    run("rm", "r2")
    before = names(here)
    result = run(*command, name)
    assert result.exit_code == 2
    assert result.stderr.startswith("Error: ")
    assert result.stderr.count("\n") == 1
    assert names(here) == before


@pytest.mark.parametrize(
    "arguments",
    [["compare", ""], ["compare", "r1", " "], ["report", "", "--html", "page.html"],
     ["replay", "", "--sink", "console"], ["runs", ""], ["rm", "r1", "--logdir", ""],
     ["train", "mlp", "--resume", ""], ["doctor", "--logdir", ""]],
    ids=" ".join,
)  # fmt: skip
def test_an_empty_name_is_an_error_everywhere(here: Path, arguments: list[str]) -> None:
    result = run(*arguments)
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    assert "empty" in result.stderr
    assert not (here / "page.html").exists()
    with pytest.raises(DataError, match="it is empty"):
        compare("")


def test_runs_elsewhere_and_the_trash_stay(here: Path) -> None:
    for command in (["rm"], ["note"], ["tag"], ["mv"]):
        more = ["x"] if command == ["mv"] else []
        result = run(*command, "lightning_logs/v0", *more)
        assert "'lightning_logs/v0' is not in 'runs'; name its log directory with --logdir" in result.stderr
    run("rm", "r1")
    for pattern in ("../*", "lightning*", "*/../../*", str(here / "*" / "*")):
        assert "matches no run" in run("rm", pattern).stderr
    (here / "runs" / "link").symlink_to(here / "lightning_logs" / "v0")
    assert run("rm", "*").exit_code == 0
    assert names(here) == ["lightning_logs/v0", "runs.trash/r1", "runs.trash/r2", "runs.trash/sweep/s1"]
    assert run("rm", "*", "--logdir", ".").exit_code == 0
    assert names(here) == ["runs.trash/r1", "runs.trash/r2", "runs.trash/sweep/s1"]
    assert run("rm", "--restore", "*").exit_code == 0
    assert names(here / "runs") == ["r1", "r2", "sweep/s1"]


def test_a_path_in_the_log_directory_is_a_name(here: Path) -> None:
    (here / "r1").mkdir()  # the run in the log directory is meant
    assert run("rm", "r1", "runs/r2", str(here / "runs" / "sweep")).exit_code == 0
    assert names(here / "runs.trash") == ["r1", "r2", "sweep/s1"]


@pytest.mark.parametrize("name", ["sp ace", "-dash", "q'uote", "a[1]", "$HOME"])
@pytest.mark.parametrize("logdir", ["runs", "other runs"])
def test_what_rm_prints_can_be_pasted(here: Path, name: str, logdir: str) -> None:
    Logger(here / logdir / name, []).close()
    said = run("rm", "--logdir", logdir, "--", name).stdout
    program, *arguments = shlex.split(said.partition("back with: ")[2])
    assert program == "monitor"
    assert run(*arguments).exit_code == 0
    assert name in names(here / logdir)
