"""The contract of a sink as a test class: one test for each rule."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from monitor.records import RECORD_TYPES, Record, Restart, Scalar
from monitor.runs.run import Run
from monitor.runs.status import RunStatus
from monitor.sinks.base import Sink
from monitor.testing.checks import block_of, check_accepts, check_intervals, check_spec, files_of, has_array, succeeds
from monitor.testing.samples import hostile_records, sample_records
from monitor.testing.waiting import wait_until
from monitor.testing.watching import touching

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path


class SinkContract:
    """The contract of `Sink`; a subclass with `make_sink` runs it in pytest, and a failing test names the rule.

    A subclass must be called `Test…`, so that pytest finds it. It may have fixtures of its own, with `autouse`.

    Attributes:
        run: the run that a test has made, for `read_back` and `broken_destination`.
    """

    run: Run

    # What a subclass provides

    def make_sink(self) -> Sink:
        """Return a new sink, which is not open."""
        raise NotImplementedError(f"{type(self).__name__} needs a method make_sink that returns a new sink")

    def make_run(self, folder: Path) -> Run:
        """Return a run in `folder`, which is empty."""
        return Run(folder / "run", {"lr": 0.01})

    def read_back(self, records: Sequence[Record]) -> None:
        """Look for records where the sink wrote them; raise an exception unless all are there, once, in their order.

        Called after a flush or a close, with all records that the sink got in this run. By default nothing is checked.
        """

    @contextmanager
    def broken_destination(self) -> Iterator[None]:
        """Make the sink fail with an `OSError` inside the block; by default the run directory is a file there."""
        aside = self.run.path.with_name(f"{self.run.path.name}-aside")
        self.run.path.rename(aside)
        self.run.path.touch()
        try:
            yield
        finally:
            self.run.path.unlink()
            aside.rename(self.run.path)

    # The rules

    def test_the_constructor_touches_neither_disk_nor_network(self) -> None:
        """It only keeps its arguments: what is needed may be missing until `open`, and is then tried again."""
        with touching() as seen:
            sink = self.make_sink()
        assert isinstance(sink, Sink), f"{sink!r} is not a monitor.Sink"
        assert not seen, f"the constructor must not touch the disk or the network: {', '.join(seen)}"

    def test_accepts_is_a_set_of_record_types(self) -> None:
        """Records of other types are not even queued for the sink."""
        check_accepts(self.make_sink())

    def test_the_intervals_are_in_order(self) -> None:
        """Both are in seconds; the worker waits for `interval` up to `max_interval` between two flushes."""
        check_intervals(self.make_sink())

    def test_its_name_is_a_spec(self) -> None:
        """`from_spec` takes the bare name, and reports what it does not take with a `SpecError`."""
        check_spec(self.make_sink())

    def test_what_is_written_is_read_back(self, tmp_path: Path) -> None:
        """One record after the other, in the order in which they were logged."""
        with self._opened(tmp_path) as (sink, records):
            for record in records:
                sink.write([record])
            sink.flush()
            self.read_back(records)

    def test_an_empty_write_changes_nothing(self, tmp_path: Path) -> None:
        """A list may be empty, at any time."""
        with self._opened(tmp_path) as (sink, records):
            sink.write([])
            sink.write(records)
            sink.write([])
            sink.flush()
            self.read_back(records)

    def test_a_flush_without_records_changes_nothing(self, tmp_path: Path) -> None:
        """The worker flushes whenever it wakes up."""
        with self._opened(tmp_path) as (sink, records):
            sink.flush()
            sink.write(records)
            sink.flush()
            sink.flush()
            self.read_back(records)

    def test_a_record_may_be_the_only_one(self, tmp_path: Path, kind: type) -> None:
        """No record needs another one before it, not even the settings."""
        alone: list[Record] = [Restart(1, 1_700_000_000.0)] if kind is Restart else []
        alone += [record for record in sample_records() if type(record) is kind][:1]
        with self._opened(tmp_path) as (sink, _):
            if kind in sink.accepts:
                sink.write(alone)
                sink.flush()
                self.read_back(alone)

    def test_a_block_of_scalars_is_the_same_as_its_records(self, tmp_path: Path) -> None:
        """`write_scalars` writes what `write` would write of `block.records()`."""
        with self._opened(tmp_path) as (sink, _):
            if Scalar in sink.accepts:
                block = block_of([record for record in sample_records() if isinstance(record, Scalar)])
                first, second = block.split(len(block) // 2)
                assert second is not None
                sink.write_scalars(first)
                sink.flush()
                sink.write_scalars(second)
                sink.flush()
                self.read_back(block.records())

    def test_a_prepared_record_is_the_same_as_the_record(self, tmp_path: Path) -> None:
        """`prepare` runs on another thread; `write` takes what it returns."""
        with self._opened(tmp_path) as (sink, records):

            def prepare() -> list[Any]:
                return [sink.prepare(record) if has_array(record) else record for record in records]

            with ThreadPoolExecutor(1) as other_thread:
                prepared = other_thread.submit(prepare).result()
            sink.write(prepared)
            sink.flush()
            self.read_back(records)

    def test_it_takes_what_is_odd(self, tmp_path: Path, odd: str) -> None:
        """Whatever a `Logger` accepts is taken: NaN, control characters, markup, empty names, long tags."""
        record = hostile_records()[odd]
        with self._opened(tmp_path) as (sink, _):
            if type(record) in sink.accepts:
                sink.write([record])
                sink.flush()

    def test_open_can_be_repeated_after_an_os_error(self, tmp_path: Path) -> None:
        """An `OSError` means: later. What was taken stays taken, and what was refused comes again."""
        self.run = self.make_run(tmp_path)
        sink = self.make_sink()
        records = self._records(sink)
        with self.broken_destination():
            opened = succeeds(lambda: sink.open(self.run))
            written = opened and succeeds(lambda: sink.write(records))
            flushed = written and succeeds(sink.flush)
        if not opened:
            sink.open(self.run)
        if not written:
            sink.write(records)
        if not flushed:
            sink.flush()
        self.read_back(records)
        self._close(sink)

    def test_an_os_error_loses_and_doubles_nothing(self, tmp_path: Path) -> None:
        """The same records come again if `write` raised it; only the flush is repeated if `flush` did."""
        with self._opened(tmp_path) as (sink, records):
            with self.broken_destination():
                written = succeeds(lambda: sink.write(records))
                flushed = written and succeeds(sink.flush)
            if not written:
                sink.write(records)
            if not flushed:
                sink.flush()
            self.read_back(records)

    def test_close_deletes_nothing(self, tmp_path: Path) -> None:
        """What was flushed is there after the close."""
        with self._opened(tmp_path) as (sink, records):
            sink.write(records)
            sink.flush()
            before = files_of(self.run)
        self.read_back(records)
        assert before <= files_of(self.run), "close must not delete files"

    def test_close_can_be_repeated(self, tmp_path: Path) -> None:
        """The second call does nothing."""
        with self._opened(tmp_path) as (sink, records):
            sink.write(records)
            sink.flush()
            self._close(sink)
            after = files_of(self.run)
        self.read_back(records)
        assert files_of(self.run) == after, "the second close must not make files"

    def test_close_without_open(self) -> None:
        """A sink that could never be opened is closed too."""
        sink = self.make_sink()
        with touching() as seen:
            sink.close()
        assert not seen, f"close has nothing to do without open: {', '.join(seen)}"

    def test_no_thread_is_left_after_the_close(self, tmp_path: Path) -> None:
        """A thread of the sink ends with it."""
        before = set(threading.enumerate())
        with self._opened(tmp_path) as (sink, records):
            sink.write(records)
            sink.flush()
        wait_until(lambda: set(threading.enumerate()) <= before, 5, "the end of the threads that the sink started")

    # Helpers

    def pytest_generate_tests(self, metafunc: Any) -> None:
        """Make one test of each kind of record, and of each odd one; called by pytest."""
        if "kind" in metafunc.fixturenames:
            kinds = sorted(RECORD_TYPES, key=lambda kind: kind.__name__)
            metafunc.parametrize("kind", kinds, ids=lambda kind: kind.__name__)
        if "odd" in metafunc.fixturenames:
            metafunc.parametrize("odd", hostile_records())

    @contextmanager
    def _opened(self, folder: Path) -> Iterator[tuple[Sink, list[Record]]]:
        """Return an open sink and the sample records that it accepts; close it at the end."""
        self.run = self.make_run(folder)
        sink = self.make_sink()
        sink.open(self.run)
        try:
            yield sink, self._records(sink)
        finally:
            self._close(sink)

    def _close(self, sink: Sink) -> None:
        self.run.status = RunStatus.FINISHED
        sink.close()

    def _records(self, sink: Sink) -> list[Record]:
        return [record for record in sample_records() if type(record) in sink.accepts]
