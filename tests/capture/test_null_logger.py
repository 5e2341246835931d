"""What a logger becomes in a spawned child has every method and property, with the right types."""

from __future__ import annotations

import inspect
import logging
import os
import pickle
from typing import TYPE_CHECKING

import pytest

from monitor import Logger
from monitor.capture.calls.null_logger import NullLogger
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
        assert type(ours) is type(theirs)
        if callable(theirs):
            assert inspect.signature(ours) == inspect.signature(theirs)
        else:
            assert inspect.signature(ours.fget) == inspect.signature(theirs.fget)


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
        "logging from a child process is ignored; log from the process that made the Logger, "
        'or make it with children="forward"'
    ]


def test_it_counts_the_calls_of_its_process(null: NullLogger) -> None:
    for step in range(10):
        null.scalar("a", 1.0, step)
    null.scalars({"a": 1.0, "b": 2.0}, 10)
    null.text("note", "text", 11)
    assert null.stats().calls == 12


def test_a_copy_of_a_copy(null: NullLogger, caplog: pytest.LogCaptureFixture) -> None:
    copy = pickle.loads(pickle.dumps(null))
    assert copy.run.path == null.run.path
    copy.scalar("a", 1.0, 0)
    assert len(caplog.records) == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_in_a_forked_child_a_logger_answers_as_a_null_logger_does(tmp_path: Path) -> None:
    """It does so at once: the workers that it would wait for are not there."""
    with Logger(tmp_path / "run", ["tensorboard"], children="off") as log:
        log.scalar("a", 1.0, 0)
        pid = os.fork()
        if pid == 0:
            log.scalar("a", 2.0, 1)
            answers = log.stats().calls, log.stats().sinks, log.checkpoint("c", 1), log.flush(), log.should_stop
            os._exit(0 if (*answers, log.run.is_written) == (1, {}, False, True, False, False) else 1)
        assert os.waitpid(pid, 0)[1] == 0


def test_mistakes_still_raise(null: NullLogger) -> None:
    with pytest.raises(TypeError, match="step must be an int"):
        null.scalar("a", 1.0, "one")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="step must be an int"):
        null.checkpoint("c", "one")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="a run cannot end as 'unheard of'"):
        null.close(status="unheard of")
