"""What a logger becomes in a spawned child has every method and property, with the right types."""

from __future__ import annotations

import inspect
import logging
import pickle
from typing import TYPE_CHECKING

import pytest

from monitor import Logger
from monitor.capture.null_logger import NullLogger
from monitor.sinks.memory import MemorySink
from monitor.stats import Stats

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def null(tmp_path: Path) -> NullLogger:
    with Logger(tmp_path / "run", [MemorySink()], {"lr": 0.1}) as log:
        copy = pickle.loads(pickle.dumps(log))
    assert isinstance(copy, NullLogger)
    return copy


def test_every_public_name_of_a_logger_is_there() -> None:
    public = [name for name, _ in inspect.getmembers(Logger) if not name.startswith("_")]
    assert [name for name in (*public, "__enter__", "__exit__") if not hasattr(NullLogger, name)] == []
    for name in public:
        ours, theirs = getattr(NullLogger, name), getattr(Logger, name)
        if callable(theirs):
            assert list(inspect.signature(ours).parameters) == list(inspect.signature(theirs).parameters)


def test_what_it_returns(null: NullLogger, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert null.should_stop is False
    assert null.stats() == Stats({}, 0, 0.0, 0.0)
    assert "0 log calls" in str(null.stats())
    assert null.flush() is True
    assert null.close() is True
    assert null.run.path == tmp_path / "run"
    assert null.run.config == {"lr": 0.1}
    with caplog.at_level(logging.WARNING, "monitor"), null as log:
        assert log is null
        log.scalar("a", 1.0, 0)
        log.scalars({"a": 1.0}, 1)
        log.text("note", "text", 2)
        assert log.checkpoint("c", 3) is False
    assert [record.message for record in caplog.records] == [
        "logging from a child process is ignored; log from the process that made the Logger"
    ]


def test_mistakes_still_raise(null: NullLogger) -> None:
    with pytest.raises(TypeError, match="step must be an int"):
        null.scalar("a", 1.0, "one")  # type: ignore[arg-type]
