"""A pytest plugin: the tests that follow get our logger for Lightning where they import Lightning's `CSVLogger`.

So it takes a place in `ALL_LOGGER_CLASSES` of Lightning's own `test_all.py`.
"""

from __future__ import annotations


def pytest_configure() -> None:
    """Replace the class before any test is imported."""
    from lightning.pytorch import loggers

    from monitor.integrations.lightning import MonitorLogger

    loggers.CSVLogger = MonitorLogger
