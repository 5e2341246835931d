"""A thread may be in the middle of importing torch while another one logs or delivers."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np

from monitor import Logger, MemorySink

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_arrays_are_delivered_while_torch_is_half_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", ModuleType("torch"))
    with Logger(tmp_path / "run", [MemorySink()]) as log:
        log.images("a", np.zeros((1, 28, 28), np.uint8), 0)
        log.histogram("b", np.arange(3.0), 0)
        log.scalar("c", 1.0, 0)
    stats = log.stats().sinks["memory"]
    assert (stats.failed, stats.delivered) == (0, 4), stats.last_error
