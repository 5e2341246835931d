"""Fixtures of the dashboards' tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.servers import free_port

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def own_leases(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep the leases of this test's runs apart from everybody else's; return the folder."""
    folder = tmp_path_factory.mktemp("state")
    monkeypatch.setenv("XDG_STATE_HOME", str(folder))
    return folder


@pytest.fixture
def own_default_ports(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let runs look for their dashboards on ports of this test, where nothing listens yet."""
    for dashboard in ("VISDOM", "TENSORBOARD"):
        monkeypatch.setenv(f"MONITOR_{dashboard}_PORT", str(free_port()))
