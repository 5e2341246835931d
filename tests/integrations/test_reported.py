from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest

from monitor import Logger, MemorySink, Text
from monitor.integrations.reported import directory_name, log_reported

if TYPE_CHECKING:
    from pathlib import Path


def test_what_cannot_be_logged_is_told_and_the_rest_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    memory = MemorySink()
    values = {
        "loss": 1,
        "eval": {"f1": 0.5},
        "huge": 10**400,
        "note": "warm",
        "bad": "\ud800",
        "list": [1],
        "none": None,
    }
    with Logger(tmp_path / "run", [memory]) as logger, caplog.at_level(logging.WARNING, "monitor"):
        log_reported(logger, values, 3)
    assert memory.series("loss") == [(3, 1.0)]
    assert memory.series("eval/f1") == [(3, 0.5)]
    assert [(text.tag, text.text, text.step) for text in memory.of(Text)] == [("note", "warm", 3)]
    warnings = [record.getMessage() for record in caplog.records if "not logged" in record.getMessage()]
    assert len(warnings) == 2
    assert "huge" in warnings[0]
    assert "surrogate" in warnings[1]


def test_a_step_that_is_none_is_the_callers_mistake(tmp_path: Path) -> None:
    with Logger(tmp_path / "run", [MemorySink()]) as logger, pytest.raises(TypeError, match="step must be an int"):
        log_reported(logger, {"loss": 1.0}, 0.5)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "expected"), [("mlp", "mlp"), ("../../a", "-..-a"), ("..", ""), ("a/b\\c", "a-b-c"), ("v1.5", "v1.5")]
)
def test_a_name_leads_nowhere_else(name: str, expected: str) -> None:
    assert directory_name(name) == expected
