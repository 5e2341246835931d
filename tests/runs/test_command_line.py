"""A recorded command line, as its user would type it."""

from __future__ import annotations

import pytest

from monitor.runs.processes.command_line import typed_command


@pytest.mark.parametrize(
    ("recorded", "typed"),
    [
        ("/home/me/.venv/bin/python3.11 /home/me/.venv/bin/monitor train mlp --lr 0.1", "monitor train mlp --lr 0.1"),
        ("/usr/bin/python3 -m monitor train mlp", "monitor train mlp"),
        (".venv/bin/python .venv/bin/monitor run train.py", "monitor run train.py"),
        ("/home/me/.venv/bin/python train.py --data /data/mnist", "python train.py --data /data/mnist"),
        ("python3 -u jobs/train.py", "python3 -u jobs/train.py"),
        ("python bin/train.py", "python bin/train.py"),
        ("/opt/pypy/bin/pypy3.10 -m runners.mlp", "pypy3.10 -m runners.mlp"),
        ("/opt/bin/python /opt/bin/torchrun --nproc-per-node 2 train.py", "torchrun --nproc-per-node 2 train.py"),
        ("/opt/tools/bin/trainer --epochs 3", "trainer --epochs 3"),
        ("./trainer --epochs 3", "./trainer --epochs 3"),
        ("python", "python"),
        ("", ""),
    ],
)
def test_the_paths_of_programs_are_left_out(recorded: str, typed: str) -> None:
    assert " ".join(typed_command(recorded.split())) == typed
