"""Fixtures of the sinks' tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from monitor import Run

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Return a run with one setting."""
    return Run(tmp_path / "run", {"lr": 0.01})
