"""Each way to start the programs, as a new process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

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
