"""A pytest plugin: the tests that follow get our `SummaryWriter` wherever they import a stock one."""

from __future__ import annotations

from monitor.integrations.writer.flavors import install


def pytest_configure() -> None:
    """Replace the classes before any test is imported."""
    install(load=True)
