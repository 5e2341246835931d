"""What the tests of log calls share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from monitor import Logger
from monitor.sinks.memory import MemorySink

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def logged(tmp_path: Path) -> Callable[..., Any]:
    """Return a function that makes log calls and returns the only record that they make."""

    def log_and_read(kind: type, call: Callable[[Logger], None]) -> Any:
        sink = MemorySink()
        with Logger(tmp_path / "run", [sink], strict=True) as log:
            call(log)
        (record,) = (record for record in sink.records if isinstance(record, kind))
        return record

    return log_and_read
