"""What a `Logger` records by itself, when it is on, and what it leaves alone."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest

from monitor import Logger, MemorySink, Run, SpecError, SummaryWriter, reopen
from monitor import records as r
from monitor.recording.options import parse_record
from monitor.recording.recorder import Recorder
from monitor.runs.listing import load
from monitor.runs.run_file import read_run_file
from monitor.testing import wait_until
from tests.support import event_reader

if TYPE_CHECKING:
    from pathlib import Path

SYSTEM = "system/memory_gib/machine"


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a repository with a change and an untracked file."""
    folder = tmp_path / "checkout"
    folder.mkdir()
    monkeypatch.chdir(folder)
    (folder / "train.py").write_text("lr = 1\n")
    for command in ("init", "add train.py", "-c user.name=T -c user.email=t@example.org commit --message first"):
        subprocess.run(["git", *command.split()], check=True, capture_output=True)
    (folder / "train.py").write_text("lr = 2\n")
    (folder / "notes.txt").touch()
    return folder


def recording_threads() -> set[str]:
    return {thread.name for thread in threading.enumerate()} & {"monitor-system", "monitor-recorder"}


def system_steps(sink: MemorySink) -> list[int]:
    return [step for step, _ in sink.series(SYSTEM)]


def test_by_default_everything(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MONITOR_RECORD")
    sink = MemorySink()
    with Logger("runs/a", [sink, "tensorboard"]) as log:
        log.scalar("train/loss", 0.5, 3)
        wait_until(lambda: bool(system_steps(sink)), 60, "a sample")
        path = checkout / log.run.path
    assert sorted(file.name for file in path.iterdir() if "tfevents" not in file.name) == [
        "diff.patch", "packages.txt", "run.json", "untracked.txt",
    ]  # fmt: skip
    fields = read_run_file(path)
    assert fields["recorded"] == {
        "diff": {"file": "diff.patch"},
        "untracked": {"file": "untracked.txt", "count": 1},
        "packages": {"file": "packages.txt"},
    }
    assert "+lr = 2" in (path / "diff.patch").read_text()
    assert (path / "untracked.txt").read_text() == "notes.txt\n"
    assert "pytest==" in (path / "packages.txt").read_text()
    assert event_reader.series(path, SYSTEM)[0][0] in (1, 2, 3)
    assert recording_threads() == set()


def test_curves_of_the_machine_are_no_metrics_and_no_progress(tmp_path: Path) -> None:
    sink = MemorySink()
    alerts = ["no progress for 1s", f"{SYSTEM} > 0"]
    with Logger(tmp_path / "run", [sink, "console"], alerts=alerts, record="system:1") as log:
        log.scalar("train/loss", 0.5, 0)
        wait_until(lambda: len(system_steps(sink)) >= 2 and len(sink.of(r.Text)) >= 2, 60, "two samples and two alerts")
        stats = log.stats()
    assert sorted(text.text.partition(":")[0] for text in sink.of(r.Text)) == sorted(alerts)
    info = load(tmp_path / "run")
    assert (list(info.metrics), info.progress["step"]) == (["train/loss"], 0)
    assert stats.calls == 1, "a sample is no log call"
    memory = sink.of(r.Scalar) + sink.of(r.Config) + sink.of(r.Text)
    assert log.stats().sinks["memory"].delivered == len(memory), "but a record that is delivered like any other"


def test_short_runs_have_their_files_too(checkout: Path) -> None:
    with Logger("runs/a", [], record="git"):
        pass
    assert "+lr = 2" in (checkout / "runs" / "a" / "diff.patch").read_text()


@pytest.mark.parametrize(
    ("record", "files"), [("none", []), ("packages", ["packages.txt"]), ("git", ["diff.patch", "untracked.txt"])]
)
def test_the_switches(checkout: Path, record: str, files: list[str]) -> None:
    with Logger("runs/a", [], record=record):
        assert "monitor-system" not in recording_threads()
    assert sorted(file.name for file in (checkout / "runs" / "a").iterdir()) == sorted([*files, "run.json"])


def test_only_rank_0_records(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    with Logger("runs/a", [MemorySink()], every_rank=True, record="all"):
        assert recording_threads() == set()
    assert [file.name for file in (checkout / "runs" / "a").iterdir()] == ["run.json"]


def test_a_run_that_writes_nothing_records_nothing(checkout: Path) -> None:
    with Logger(Run("runs/a", is_written=False), [MemorySink()], record="all"):
        assert recording_threads() == set()
    assert not (checkout / "runs").exists()


def test_a_mistake_makes_no_run(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="unknown 'gpu'"):
        Logger(tmp_path / "run", [], record="gpu")
    assert not (tmp_path / "run").exists()


def test_a_resumed_run_continues_in_time(tmp_path: Path) -> None:
    with Logger(tmp_path / "run", ["tensorboard"], record="none") as log:
        log.scalar("train/loss", 1.0, 0)
        log.checkpoint("c", 1)
    run = reopen(tmp_path / "run", "c", 1)
    run.spent = 1000.0
    sink = MemorySink()
    with Logger(run, [sink], record="system:1"):
        wait_until(lambda: bool(system_steps(sink)), 60, "a sample")
    assert 1001 <= system_steps(sink)[0] < 1020


def test_a_directory_that_is_gone_is_a_line_in_the_log(checkout: Path, caplog: pytest.LogCaptureFixture) -> None:
    run = Run("runs/a")
    (checkout / "runs" / "a" / "run.json").unlink()
    (checkout / "runs" / "a").rmdir()
    (checkout / "runs" / "a").touch()
    recorder = Recorder(run, parse_record("packages"), print)
    recorder.close(20)
    (line,) = caplog.messages
    assert line.startswith(f"{checkout / 'runs' / 'a'}: git and packages are not recorded: [Errno")


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_child_records_nothing(tmp_path: Path) -> None:
    sink = MemorySink()
    with Logger(tmp_path / "run", [sink], record="system:1") as log:
        pid = os.fork()
        if pid == 0:
            os._exit(len(recording_threads()) if log.close() else 9)
        assert os.waitpid(pid, 0)[1] == 0
        wait_until(lambda: bool(system_steps(sink)), 60, "a sample in the parent")


def test_a_summary_writer_records_where_it_is_asked_to_and_one_at_a_time(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def files(name: str) -> set[str]:
        return {file.name for file in (checkout / name).iterdir() if "tfevents" not in file.name}

    monkeypatch.delenv("MONITOR_RECORD")
    with SummaryWriter("plain") as writer:
        writer.add_scalar("loss", 1.0, 0)
    assert files("plain") == {"run.json"}
    monkeypatch.setenv("MONITOR_RECORD", "git")
    with SummaryWriter("one") as one, SummaryWriter("two") as two:
        one.add_scalar("loss", 1.0, 0)
        two.add_scalar("loss", 1.0, 0)
    assert (files("one"), files("two")) == ({"run.json", "diff.patch", "untracked.txt"}, {"run.json"})


def test_many_loggers_in_a_row_stay_quick(tmp_path: Path) -> None:
    counts: list[Any] = []
    for number in range(20):
        with Logger(tmp_path / f"run-{number}", [], record="packages,system"):
            pass
        counts.append((tmp_path / f"run-{number}" / "packages.txt").read_text().count("\n"))
    assert set(counts) == {counts[0]}
    assert recording_threads() == set()


SCRIPT = """
import os, sys, tempfile
from monitor import Logger

os.chdir(tempfile.gettempdir())
with Logger(sys.argv[1], ["memory"], record="git") as log:
    log.scalar("a", 1.0, 0)
"""


@pytest.mark.parametrize("is_run", [False, True], ids=["python", "monitor run"])
def test_a_script_that_changes_its_directory_first_is_still_in_its_repository(
    checkout: Path, tmp_path: Path, is_run: bool
) -> None:
    script = (tmp_path if is_run else checkout) / "chdir.py"  # `monitor run` is told nothing by the script's folder
    script.write_text(SCRIPT)
    command = ["-m", "monitor", "run", "--sink", "memory", "--record", "git"] if is_run else []
    outside = dict(os.environ, GIT_CEILING_DIRECTORIES=str(tmp_path))
    subprocess.run(
        [sys.executable, *command, str(script), str(tmp_path / "run")], check=True, env=outside, cwd=checkout
    )  # fmt: skip
    fields = read_run_file(tmp_path / "run")
    assert fields["git"]["changed"]
    assert fields["recorded"]["diff"] == {"file": "diff.patch"}


def test_without_a_repository_the_run_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    with Logger("run", [MemorySink()], record="git"):
        pass
    reason = {"file": None, "left_out": f"no git repository at {tmp_path}"}
    assert read_run_file(tmp_path / "run")["recorded"] == {"diff": reason}


@pytest.mark.skipif(os.geteuid() != 0, reason="needs to give files to another user")
def test_of_a_repository_that_git_refuses_the_run_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "repository"
    subprocess.run(["git", "init", "-q", folder], check=True)
    for path in (folder, *folder.rglob("*")):
        os.chown(path, 12345, 12345)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("HOME", str(tmp_path))
    with Logger(tmp_path / "run", [MemorySink()], record="git"):
        pass
    assert f"git does not read {folder}" in read_run_file(tmp_path / "run")["recorded"]["diff"]["left_out"]
