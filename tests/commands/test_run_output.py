"""What a script prints reaches the terminal as before, and `output.log` as people read it."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.support.scripts import OnTerminal, command, only_run, run_script, start_script, write_script
from tests.support.train_command import mlp_arguments

if TYPE_CHECKING:
    from pathlib import Path

EVERYTHING = """
import ctypes, os, subprocess, sys, threading
libc = ctypes.CDLL(None)
print("from print", flush=True)
os.write(2, b"from os.write\\n")
libc.puts(b"from C"); libc.fflush(None)
subprocess.run(["sh", "-c", "echo from a child"])
if os.fork() == 0:
    print("from a fork", flush=True)
    os._exit(0)
os.wait()
threading.Thread(target=lambda: print("from a thread", flush=True)).start()
"""
LINES = ["from print", "from os.write", "from C", "from a child", "from a fork", "from a thread"]


def log_of(folder: Path) -> str:
    return (only_run(folder).path / "output.log").read_text()


def test_output_of_every_origin_is_kept_in_order(tmp_path: Path) -> None:
    write_script(tmp_path, EVERYTHING)
    done = subprocess.run(
        [sys.executable, *command("script.py")], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, check=True,
    )  # fmt: skip
    assert done.stdout.splitlines()[:6] == LINES
    assert log_of(tmp_path).splitlines() == LINES


def test_two_pipes_stay_two(tmp_path: Path) -> None:
    done = run_script(write_script(tmp_path, EVERYTHING))
    assert done.stdout.splitlines() == [line for line in LINES if line != "from os.write"]
    assert done.stderr.splitlines()[0] == "from os.write"
    assert sorted(log_of(tmp_path).splitlines()) == sorted(LINES)


def test_a_terminal_stays_one(tmp_path: Path) -> None:
    """With its size, its keys, and its progress bars."""
    code = """
import os, shutil, signal, sys, time
print(sys.stdin.isatty(), sys.stdout.isatty(), sys.stderr.isatty(), os.get_terminal_size() == os.get_terminal_size(0))
for percent in range(0, 101, 50):
    print(f"\\r\\x1b[32m{percent:3}%\\x1b[0m", end="", file=sys.stderr, flush=True)
print(input("name? "))
try:
    print("ready", flush=True)
    signal.pause()
except KeyboardInterrupt:
    print("one interrupt", flush=True)
    raise
"""
    terminal = OnTerminal(write_script(tmp_path, code), *command("script.py"))
    terminal.read_until("name? ")
    terminal.type(b"Ada\n")
    terminal.read_until("ready\r\n")
    terminal.type(b"\x03")
    assert terminal.end() == -2
    assert terminal.output.startswith("True True True True\r\n\r\x1b[32m  0%\x1b[0m\r\x1b[32m 50%")
    assert terminal.output.count("one interrupt") == 1
    info = only_run(tmp_path)
    assert info.status == "interrupted"
    log = (info.path / "output.log").read_text()
    assert log.startswith("True True True True\n100%name? Ada\nready\none interrupt\nTraceback")
    assert log.endswith("\nKeyboardInterrupt\n")


def test_what_was_written_before_a_crash_is_there(tmp_path: Path) -> None:
    code = "import faulthandler, os\nfaulthandler.enable()\nos.write(1, b'x' * 50_000 + b'\\n')\nos.abort()\n"
    done = run_script(write_script(tmp_path, code))
    assert done.returncode == -6
    assert done.stdout == "x" * 50_000 + "\n"
    assert done.stderr.startswith("Fatal Python error: Aborted")
    assert log_of(tmp_path).replace("\n", "").startswith("x" * 50_000)
    assert "Fatal Python error: Aborted" in log_of(tmp_path)


def test_a_child_that_keeps_the_output_open_delays_nothing(tmp_path: Path) -> None:
    """It is not cut off either."""
    child = "import sys; print('child is there', flush=True); sys.stdin.read(); print('child is done', flush=True)"
    code = f"""
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", {child!r}], stdin=sys.stdin)
print("script is done", flush=True)
"""
    process = start_script(write_script(tmp_path, code), "script.py", stdin=subprocess.PIPE)
    assert process.wait(60) == 0
    assert only_run(tmp_path).status == "finished"
    assert process.stdin is not None
    process.stdin.close()
    assert process.stdout is not None
    assert process.stderr is not None
    assert sorted(process.stdout) == ["child is done\n", "child is there\n", "script is done\n"]
    assert sorted(log_of(tmp_path).splitlines()) == ["child is done", "child is there", "script is done"]
    process.stdout.close()
    process.stderr.close()


def test_a_script_notices_that_nobody_reads(tmp_path: Path) -> None:
    write_script(tmp_path, "while True:\n    print('line')\n")
    line = f"{sys.executable} {' '.join(command('script.py'))} | head -1"
    done = subprocess.run(["sh", "-c", line], cwd=tmp_path, capture_output=True, text=True, timeout=200, check=True)
    assert done.stdout == "line\n"
    assert only_run(tmp_path).error == "BrokenPipeError: [Errno 32] Broken pipe"


def test_output_can_be_left_alone(tmp_path: Path) -> None:
    done = run_script(write_script(tmp_path, "print('hello')\n"), "--no-output", "script.py")
    assert done.stdout == "hello\n"
    assert sorted(path.name for path in only_run(tmp_path).path.iterdir()) == ["run.json"]


@pytest.mark.slow
def test_training_keeps_its_output(tmp_path: Path, small_mnist: Path) -> None:
    """Also that of its children, and not with the switch off."""
    for name, *more in (("a",), ("b", "--no-output")):
        arguments = ["-m", "monitor", "train", *mlp_arguments(tmp_path, small_mnist, name), *more]
        done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, timeout=200, check=True)
        assert "Run: " in done.stdout
        log = tmp_path / "runs" / name / "output.log"
        if more:
            assert not log.exists()
        else:
            assert sorted(log.read_text().splitlines()) == sorted((done.stdout + done.stderr).splitlines())


@pytest.mark.slow
def test_training_on_a_terminal_keeps_the_last_state_of_its_bars(tmp_path: Path, small_mnist: Path) -> None:
    arguments = ["-m", "monitor", "train", *mlp_arguments(tmp_path, small_mnist, "a"), "--sink", "console"]
    terminal = OnTerminal(tmp_path, *arguments)
    assert terminal.end() == 0
    assert "\x1b[" in terminal.output
    log = (tmp_path / "runs" / "a" / "output.log").read_text()
    assert "\x1b" not in log
    assert "\r" not in log
    assert "Run: " in log
    assert len(log) < len(terminal.output) / 2
