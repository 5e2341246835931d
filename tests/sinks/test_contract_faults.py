"""The contract test finds sinks that break it, and names the rule."""

from __future__ import annotations

import inspect
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from monitor import Scalar, records
from monitor.records import RECORD_TYPES
from monitor.sinks.memory import MemorySink
from monitor.testing import SinkContract, check_sink, hostile_records

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from monitor import Record, Run, Sink


class Faulty(MemorySink):
    """A memory sink whose constructor has one more part."""

    name = ""


def broken(**methods: Any) -> type[Faulty]:
    return type("Broken", (Faulty,), methods)


def eager(self: Faulty) -> None:
    MemorySink.__init__(self)
    with Path(__file__).open("ab"):
        pass


def late(self: Faulty) -> None:
    (self.run.path / "late").touch()  # type: ignore[union-attr]


def start_thread(self: Faulty, run: Run) -> None:
    self.run = run
    thread = threading.Thread(target=threading.Event().wait, args=(6,), daemon=True)
    thread.start()


def close_once(self: Faulty) -> None:
    assert not self.closed, "closed twice"
    self.closed = True


def forgetful(self: Faulty) -> None:
    for path in self.run.path.glob("*"):  # type: ignore[union-attr]
        path.unlink()


def impatient(self: Faulty, run: Run) -> None:
    try:
        list(run.path.iterdir())
    except OSError as error:
        raise RuntimeError("there is no directory") from error
    self.run = run


def refuse_nothing(self: Faulty, found: Sequence[Record]) -> None:
    assert found, "no records"
    self.records.extend(found)


def half_taken(self: Faulty, found: Sequence[Record]) -> None:
    self.records.extend(found)
    assert self.run is not None
    list(self.run.path.iterdir())  # raises after the records were taken


def only_plain(self: Faulty, found: Sequence[Record]) -> None:
    for record in found:
        assert not isinstance(record, Scalar) or record.value < 1e300, "too large"
    self.records.extend(found)


def needs_settings(self: Faulty, found: Sequence[Record]) -> None:
    assert self.records or not found or isinstance(found[0], records.Config), "no settings yet"
    self.records.extend(found)


EVERY = {"test_what_is_written_is_read_back", "test_a_prepared_record_is_the_same_as_the_record"}


BROKEN: dict[str, tuple[type[Faulty], set[str]]] = {
    "accepts": (broken(accepts=frozenset({int, Scalar})), {"test_accepts_is_a_set_of_record_types"}),
    "intervals": (broken(interval=9.0), {"test_the_intervals_are_in_order"}),
    "constructor": (broken(__init__=eager), {"test_the_constructor_touches_neither_disk_nor_network"}),
    "from_spec": (broken(name="x", from_spec=classmethod(lambda *_: None)), {"test_its_name_is_a_spec"}),
    "empty write": (broken(write=refuse_nothing), {"test_an_empty_write_changes_nothing"}),
    "alone": (broken(write=needs_settings), {"test_a_record_may_be_the_only_one", "test_it_takes_what_is_odd",
        "test_a_block_of_scalars_is_the_same_as_its_records"}),
    "odd": (broken(write=only_plain), {"test_it_takes_what_is_odd"}),
    "block": (
        broken(write_scalars=lambda self, block: self.records.extend(block.records()[::-1])),
        {"test_a_block_of_scalars_is_the_same_as_its_records"},
    ),
    "prepare": (
        broken(prepare=lambda _, record: record._replace(step=99)),
        {"test_a_prepared_record_is_the_same_as_the_record"},
    ),
    "open": (broken(open=impatient), {"test_open_can_be_repeated_after_an_os_error"}),
    "doubled": (
        broken(write=half_taken),
        {"test_open_can_be_repeated_after_an_os_error", "test_an_os_error_loses_and_doubles_nothing"},
    ),
    "deletes": (broken(close=forgetful), {"test_close_deletes_nothing", "test_close_without_open"}),
    "close twice": (broken(close=close_once), {"test_close_can_be_repeated"}),
    "close without open": (broken(close=late), {"test_close_without_open"}),
    "threads": (broken(open=start_thread), {"test_no_thread_is_left_after_the_close"}),
}  # fmt: skip


def failures(sink: type[Faulty], folder: Path) -> set[str]:
    """Run the contract over a class of sinks; return the tests that failed."""

    class Contract(SinkContract):
        def make_sink(self) -> Sink:
            self.sink = sink()
            return self.sink

        def read_back(self, found: Sequence[Record]) -> None:
            assert self.sink.records == list(found)

    failed = set()
    many: dict[str, Sequence[Any]] = {
        "kind": sorted(RECORD_TYPES, key=lambda kind: kind.__name__),
        "odd": list(hostile_records()),
    }
    for name, test in inspect.getmembers(Contract, inspect.isfunction):
        if not name.startswith("test_"):
            continue
        parameters = list(inspect.signature(test).parameters)[1:]
        (extra,) = [many[parameter] for parameter in parameters if parameter in many] or [[None]]
        for number, value in enumerate(extra):
            own = folder / f"{name}-{number}"
            own.mkdir()
            arguments = [own if parameter == "tmp_path" else value for parameter in parameters]
            try:
                test(Contract(), *arguments)
            except Exception:
                failed.add(name)
    return failed


def test_a_good_sink_breaks_no_rule(tmp_path: Path) -> None:
    assert failures(Faulty, tmp_path) == set()


@pytest.mark.parametrize("fault", BROKEN)
def test_a_failure_names_the_rule(fault: str, tmp_path: Path) -> None:
    sink, rules = BROKEN[fault]
    assert failures(sink, tmp_path) == rules


def test_the_contract_needs_no_pytest_to_be_imported() -> None:
    code = "import sys; sys.modules['pytest'] = None; from monitor.testing import SinkContract"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


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
