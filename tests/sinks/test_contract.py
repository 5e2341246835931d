"""The contract test finds sinks that break the contract."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from monitor.sinks.memory import MemorySink
from monitor.testing import check_sink

if TYPE_CHECKING:
    from collections.abc import Callable

    from monitor import Run, Sink


@pytest.mark.parametrize(
    ("break_it", "says"),
    [
        (lambda sink: setattr(sink, "accepts", frozenset()), "accepts contains no record type"),
        (lambda sink: setattr(sink, "accepts", frozenset({int})), "not record types"),
        (lambda sink: setattr(sink, "interval", 9.0), "interval"),
    ],
)
def test_the_contract_test_finds_what_breaks_it(run: Run, break_it: Callable[[Sink], None], says: str) -> None:
    def make() -> Sink:
        sink = MemorySink()
        break_it(sink)
        return sink

    with pytest.raises(AssertionError, match=says):
        check_sink(make, run)


def test_the_contract_test_finds_a_constructor_that_writes(run: Run) -> None:
    class Eager(MemorySink):
        def __init__(self) -> None:
            super().__init__()
            (run.path / "early").touch()

    with pytest.raises(AssertionError, match="constructor"):
        check_sink(Eager, run)
