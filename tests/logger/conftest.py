"""A sink that keeps what it gets."""

from __future__ import annotations

import pytest

from monitor.sinks.memory import MemorySink


@pytest.fixture
def sink() -> MemorySink:
    """Keep all that is logged."""
    return MemorySink()
