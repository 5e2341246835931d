"""Fixtures of the dashboards' tests."""

from __future__ import annotations

import pytest

from tests.support.servers import free_port


@pytest.fixture
def own_default_ports(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let runs look for their dashboards on ports of this test, where nothing listens yet."""
    for dashboard in ("VISDOM", "TENSORBOARD"):
        monkeypatch.setenv(f"MONITOR_{dashboard}_PORT", str(free_port()))
