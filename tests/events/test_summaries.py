"""The messages in our event files are the ones that tensorboardX writes."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np

from monitor.events import summaries

if TYPE_CHECKING:
    from pathlib import Path


def test_a_histogram_is_encoded_as_by_tensorboardx() -> None:
    from tensorboardX.summary import histogram_raw

    counts, edges = np.array([3, 0, 5]), np.array([-1.0, 0.0, 0.5, 2.0])
    ours = summaries.histogram("h", counts, edges, minimum=-1.0, maximum=1.5, total=2.25, total_of_squares=7.5)
    theirs = histogram_raw("h", -1.0, 1.5, 8.0, 2.25, 7.5, edges.tolist(), [0, 3, 0, 5]).value[0]
    assert ours.SerializeToString() == theirs.SerializeToString()


def test_a_histogram_does_not_bring_torch_along(tmp_path: Path) -> None:
    script = (
        "import sys; from monitor import Logger\n"
        "with Logger(sys.argv[1], ['tensorboard']) as log: log.histogram('h', [1.0, 2.0], 0)\n"
        "print(log.stats().sinks['tensorboard'].delivered, 'torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "run")], capture_output=True, text=True, timeout=200, check=True
    )
    assert done.stdout.split() == ["2", "False"]
