"""Each way to start the programs, as a new process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.terminal import Terminal

ROOT = Path(__file__).parents[2]
ENTRY_POINTS = {
    "monitor": ([str(Path(sys.executable).with_name("monitor"))], "Usage: monitor [OPTIONS] COMMAND"),
    "python -m monitor": ([sys.executable, "-m", "monitor"], "Usage: monitor [OPTIONS] COMMAND"),
    "python -m runners.mlp": ([sys.executable, "-m", "runners.mlp"], "Usage: python -m runners.mlp [OPTIONS]"),
    "python -m runners.logistic": (
        [sys.executable, "-m", "runners.logistic"],
        "Usage: python -m runners.logistic [OPTIONS]",
    ),
}


@pytest.mark.parametrize("name", ENTRY_POINTS)
def test_every_entry_point_helps(name: str) -> None:
    command, says = ENTRY_POINTS[name]
    done = subprocess.run([*command, "--help"], capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(says)


@pytest.mark.parametrize("on_terminal", [True, False])
def test_the_demo_waits_on_a_terminal(tmp_path: Path, on_terminal: bool) -> None:
    program = tmp_path / "monitor"
    program.write_text('#!/bin/sh\necho "given: $*."\n')
    program.chmod(0o755)
    command = ["make", "--old-file", ".venv/installed", "demo", f"BIN={tmp_path}"]
    terminal = Terminal()
    stdout = terminal.end if on_terminal else subprocess.PIPE
    env = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}  # of a `make test`
    done = subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=stdout, text=True, timeout=60, env=env)
    said = terminal.close() + (done.stdout or "")
    assert done.returncode == 0
    assert said.rstrip().endswith("0.001 --wait." if on_terminal else "0.001.")
