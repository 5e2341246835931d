"""`--record` of `monitor run` and of `monitor train`."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.support import event_reader
from tests.support.scripts import WRITER, run_script, write_script
from tests.support.train_command import train

if TYPE_CHECKING:
    from pathlib import Path

ACCEPTED = "accepted: all, none, or some of system, git, packages; system:30 samples every 30 seconds"
FOLLOWS_THE_SYSTEM = """
import glob, time
w = SummaryWriter("out")
w.add_scalar("loss", 0.5, 0)
deadline = time.monotonic() + 60
while time.monotonic() < deadline and not any(b"system/cpu" in open(f, "rb").read() for f in glob.glob("out/*tfe*")):
    time.sleep(0.1)
w.close()
"""


def checkout(folder: Path, code: str) -> Path:
    """Return a repository with a script that was changed after the last commit."""
    write_script(folder, "pass\n")
    for command in ("init", "add script.py", "-c user.name=T -c user.email=t@example.org commit --message first"):
        subprocess.run(["git", *command.split()], cwd=folder, check=True, capture_output=True)
    return write_script(folder, code)


def test_a_foreign_script_records_everything(tmp_path: Path) -> None:
    folder = checkout(tmp_path / "checkout", WRITER + FOLLOWS_THE_SYSTEM)
    done = run_script(folder, "script.py", MONITOR_RECORD="")
    assert done.returncode == 0, done.stderr
    files = {path.name for path in (folder / "out").iterdir()}
    assert files >= {"diff.patch", "packages.txt", "run.json", "output.log"}
    assert "+w.close()" in (folder / "out" / "diff.patch").read_text()
    assert event_reader.series(folder / "out", "system/memory_gib/process")[0][1] > 0
    assert event_reader.series(folder / "out", "loss") == [(0, 0.5)]


def test_it_records_what_the_option_says_and_otherwise_what_the_environment_says(tmp_path: Path) -> None:
    folder = checkout(tmp_path / "checkout", WRITER + "SummaryWriter('one').add_scalar('loss', 0.5, 0)\n")
    assert run_script(folder, "--record", "git", "script.py", MONITOR_RECORD="packages").returncode == 0
    (folder / "one").rename(folder / "two")
    assert run_script(folder, "script.py", MONITOR_RECORD="packages").returncode == 0
    for name, files in {"two": {"diff.patch"}, "one": {"packages.txt"}}.items():
        found = {path.name for path in (folder / name).iterdir() if path.suffix in (".patch", ".txt")}
        assert found - {"untracked.txt"} == files


@pytest.mark.parametrize(
    ("option", "environment", "message"),
    [(["--record", "gpu"], "all", f"record 'gpu': unknown 'gpu'; {ACCEPTED}"),
     ([], "gpu", f"MONITOR_RECORD='gpu': unknown 'gpu'; {ACCEPTED}")],
)  # fmt: skip
def test_a_mistake_is_refused_before_the_script_runs(
    option: list[str], environment: str, message: str, tmp_path: Path
) -> None:
    done = run_script(write_script(tmp_path, "print('started')"), *option, "script.py", MONITOR_RECORD=environment)
    assert done.returncode == 2
    assert " ".join(done.stderr.split()).endswith(f"Invalid value for '--record': {message}")
    assert done.stdout == ""
    assert not (tmp_path / "runs").exists()


def test_a_training_of_ours(tmp_path: Path, small_mnist: Path) -> None:
    result = train(tmp_path, small_mnist, "--epochs", 1, "--record", "packages")
    assert result.exit_code == 0, result.output
    assert "torch==" in (tmp_path / "runs" / "a" / "packages.txt").read_text()
    result = train(tmp_path, small_mnist, "--record", "cpu")
    assert "Invalid value for '--record': record 'cpu': unknown 'cpu'; accepted: all, none" in result.output
