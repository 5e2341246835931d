"""The logger of a child has everything that a `Logger` has."""

from __future__ import annotations

import inspect
import os
import pickle
from typing import TYPE_CHECKING

import pytest

from monitor import Logger, MemorySink
from monitor import records as r
from monitor.capture.calls.null_logger import NullLogger
from monitor.delivery.children.forwarding import ForwardingLogger
from tests.support.forked import in_child

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system"),
    pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning"),
]


@pytest.mark.parametrize("forwarding", [True, False])
def test_every_public_name_of_a_logger_is_there(tmp_path: Path, forwarding: bool) -> None:
    with Logger(tmp_path / "run", [MemorySink()], {"lr": 0.1}, children="forward" if forwarding else "off") as log:
        copy = pickle.loads(pickle.dumps(log))
    assert type(copy) is (ForwardingLogger if forwarding else NullLogger)
    assert copy.run.config == {"lr": 0.1}
    attributes = [name for name in vars(log) if not name.startswith("_")]
    assert "run" in attributes
    assert [name for name in attributes if type(getattr(copy, name)) is not type(getattr(log, name))] == []
    for name, theirs in inspect.getmembers(Logger):
        if name.startswith("_"):
            continue
        ours = getattr(type(copy), name)
        assert type(ours) is type(theirs), name
        if isinstance(theirs, property):
            theirs, ours = theirs.fget, ours.fget
        assert inspect.signature(ours) == inspect.signature(theirs), name
    with copy as entered:
        assert entered is copy
    with pytest.raises(ValueError, match="a run cannot end as 'unheard of'"):
        copy.close(status="unheard of")


def test_what_a_forked_child_answers(tmp_path: Path) -> None:
    sink = MemorySink()
    with Logger(tmp_path / "run", [sink, "tensorboard"], children="forward") as log:
        log.scalar("a", 1.0, 0)

        def child() -> None:
            log.scalars({"a": 1.0, "b": 2.0}, 1)
            assert log.checkpoint("c.pt", 2) is False
            assert log.flush() is True
            assert log.should_stop is False
            stats = log.stats()
            assert stats.calls == 1
            assert list(stats.sinks) == ["parent"]
            assert stats.sinks["parent"][:5] == (3, 3, 0, 0, 0)
            assert log.run.is_written is False
            with pytest.raises(TypeError, match="step must be an int"):
                log.scalar("a", 1.0, "one")  # type: ignore[arg-type]

        assert in_child(child) == 0
    assert [type(record) for record in sink.records] == [r.Config, r.Scalar, r.Scalar, r.Scalar, r.Checkpoint]
    assert log.stats().calls == 1


def test_ranks_that_do_not_log_stay_silent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    with Logger(tmp_path / "run", [MemorySink()], children="forward") as log:
        assert in_child(lambda: log.scalar("a", 1.0, 0)) == 0
        assert in_child(lambda: pickle.loads(pickle.dumps(log)).scalar("a", 1.0, 0)) == 0
    assert capfd.readouterr().err == ""


def test_another_word_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="children must be 'off' or 'forward', not 'on'"):
        Logger(tmp_path / "run", [MemorySink()], children="on")
    assert not (tmp_path / "run").exists()
