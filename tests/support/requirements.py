"""What a test needs from outside, and what happens where it is missing."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NoReturn

import pytest

DATA = Path(os.environ.get("MONITOR_TEST_DATA", Path(__file__).parents[3] / "shared" / "data"))


def skip_or_fail(why: str) -> NoReturn:
    """Skip a test for what is missing; in CI, where nothing may be missing, fail."""
    if os.environ.get("MONITOR_NO_SKIPS"):
        pytest.fail(f"MONITOR_NO_SKIPS is set, and {why}")
    pytest.skip(why)
