"""`monitor run`: the script gets each signal once, whoever it was sent to, and its end is its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.support.processes import start_fresh
from tests.support.scripts import WRITER, OnTerminal, command, only_run, start_script, write_script

if TYPE_CHECKING:
    from pathlib import Path

WAIT = "import signal, time\nprint('ready', flush=True)\ntime.sleep(600)\n"


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGTERM, "killed"), (signal.SIGINT, "interrupted"), (signal.SIGUSR1, "killed")]
)
def test_signals_are_passed_on(number: signal.Signals, status: str, tmp_path: Path) -> None:
    process = start_script(write_script(tmp_path, WAIT), "script.py")
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(number)
    process.communicate(timeout=200)
    assert process.returncode == -number
    assert only_run(tmp_path).fields["status"] == status


def test_an_ignored_signal_stays_ignored(tmp_path: Path) -> None:
    """As under `nohup`."""
    code = "import os, signal\nos.kill(os.getppid(), signal.SIGHUP)\nprint(signal.getsignal(signal.SIGHUP).name)\n"
    write_script(tmp_path, code)
    line = f"trap '' HUP; exec {sys.executable} -m monitor run --sink console script.py"
    done = subprocess.run(["sh", "-c", line], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.stdout, done.returncode) == ("SIG_IGN\n", 0)


# A thread that blocks no signals, as a library such as NumPy may have started one.
WITH_A_THREAD = """
import sys, threading, time
threading.Thread(target=time.sleep, args=(600,), daemon=True).start()
from monitor.cli import main
main()
"""
COUNTING = """
import signal, sys
from queue import SimpleQueue
got = SimpleQueue()
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2):
    signal.signal(number, lambda number, frame: got.put(signal.Signals(number).name))
print("ready", flush=True)
while True:
    print(name := got.get(), flush=True)
    if name == "SIGUSR2":
        sys.exit(got.qsize())
"""
SAVING = """
import signal, time
signal.signal(signal.SIGQUIT, signal.default_int_handler)
try:
    print("ready", flush=True)
    time.sleep(600)
except KeyboardInterrupt:
    print("saving", flush=True)
    time.sleep(0.3)
    print("saved", flush=True)
"""


@pytest.mark.parametrize("start", [["-m", "monitor"], ["-c", WITH_A_THREAD]], ids=["alone", "with a thread"])
def test_a_signal_to_the_group_or_to_monitor_run_alone_comes_once(start: list[str], tmp_path: Path) -> None:
    folder, options = write_script(tmp_path, COUNTING), command("script.py")[2:]
    process = start_fresh(*start, *options, cwd=folder, start_new_session=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1):
        for send in (os.kill, os.killpg):
            send(process.pid, number)
            assert process.stdout.readline().strip() == number.name
    os.killpg(process.pid, signal.SIGUSR2)
    process.communicate(timeout=200)
    assert process.returncode == 0
    assert only_run(tmp_path).status == "finished"


@pytest.mark.parametrize("key", [b"\x03", b"\x1c"], ids=["Ctrl-C", "Ctrl-backslash"])
def test_a_key_reaches_the_script_alone(key: bytes, tmp_path: Path) -> None:
    terminal = OnTerminal(write_script(tmp_path, SAVING), "-c", WITH_A_THREAD, *command("script.py")[2:])
    terminal.read_until("ready")
    terminal.type(key)
    assert terminal.end() == 0
    assert "saved" in terminal.output
    assert only_run(tmp_path).status == "finished"


def test_the_key_ends_a_script_that_does_not_handle_it(tmp_path: Path) -> None:
    code = (
        WRITER
        + "w = SummaryWriter()\nw.add_scalar('a', 1.0)\n"
        + "import time\nprint('ready', flush=True)\ntime.sleep(600)\n"
    )
    terminal = OnTerminal(write_script(tmp_path, code), "-c", WITH_A_THREAD, *command("script.py")[2:])
    terminal.read_until("ready")
    terminal.type(b"\x03")
    assert terminal.end() == -signal.SIGINT
    assert terminal.output.count("Traceback") == 1
    assert "Run: runs" in terminal.output
    assert only_run(tmp_path).status == "interrupted"


@pytest.mark.parametrize(
    ("end", "status", "error"),
    [("sys.exit(1)", "interrupted", "exit status 1"), ("raise OSError('disk')", "failed", "OSError: disk")],
)
def test_a_script_that_handles_the_key_and_exits_was_interrupted(
    end: str, status: str, error: str, tmp_path: Path
) -> None:
    code = SAVING.replace("import signal", "import sys, signal") + end
    terminal = OnTerminal(write_script(tmp_path, code), *command("script.py"))
    terminal.read_until("ready")
    terminal.type(b"\x03")
    assert terminal.end() == 1
    info = only_run(tmp_path)
    assert (info.status, info.fields["error"]) == (status, error)
