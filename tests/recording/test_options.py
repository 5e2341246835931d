"""What `record` and `MONITOR_RECORD` may say."""

from __future__ import annotations

from typing import Any

import pytest

from monitor import SpecError
from monitor.recording.options import NOTHING, RecordOptions, parse_record


@pytest.mark.parametrize(
    ("record", "options"),
    [
        ("all", RecordOptions(10.0, git=True, packages=True)),
        (True, RecordOptions(10.0, git=True, packages=True)),
        ("none", NOTHING),
        (False, NOTHING),
        ([], NOTHING),
        ("git", RecordOptions(None, git=True, packages=False)),
        (" system:2.5 , packages", RecordOptions(2.5, git=False, packages=True)),
        (["system", "git"], RecordOptions(10.0, git=True, packages=False)),
    ],
)
def test_what_is_recorded(record: Any, options: RecordOptions) -> None:
    assert parse_record(record) == options


def test_the_environment_counts_where_nobody_says_anything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MONITOR_RECORD", "git")
    assert parse_record(None) == RecordOptions(None, git=True, packages=False)
    assert parse_record("none") == NOTHING
    monkeypatch.delenv("MONITOR_RECORD")
    assert parse_record(None) == RecordOptions()


@pytest.mark.parametrize("record", ["systm", "git:3", "all,git", "system:0.5", "system:fast", "system:inf", ""])
def test_mistakes_name_what_is_accepted(record: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SpecError, match="accepted: all, none, or some of system, git, packages"):
        parse_record(record)
    monkeypatch.setenv("MONITOR_RECORD", record or "what")
    with pytest.raises(SpecError, match=r"^MONITOR_RECORD="):
        parse_record(None)


def test_another_type() -> None:
    with pytest.raises(TypeError, match="record is text, a list of names, or a bool, not 3"):
        parse_record(3)  # type: ignore[arg-type]
