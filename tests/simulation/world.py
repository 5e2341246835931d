"""One simulated run: what the program does, and what must hold."""

from __future__ import annotations

import random
from collections import Counter
from time import time
from typing import TYPE_CHECKING

import numpy as np

from monitor import Checkpoint, Histogram, Images
from monitor.capture.calls.log_methods import LogMethods
from monitor.capture.pending import PendingRecord
from monitor.delivery import pipeline as pipelines
from monitor.delivery.pipeline import Pipeline
from monitor.delivery.workers import queue
from tests.simulation.schedule import Schedule
from tests.simulation.sinks import POISON, BlockSink, EventFileSink, Faults, FaultySink

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from monitor import Run
    from monitor.records import Record

Key = tuple[str, float]
MARKS = "checkpoint"


class Calls(LogMethods):
    """The log calls of a logger on a pipeline, and their end."""

    def __init__(self, pipeline: Pipeline, limit: int, schedule: Schedule) -> None:
        def append(entry: object) -> None:
            schedule.stall()  # a thread may lose its turn between looking up the method and the call
            pipeline.inbox.append(entry)

        super().__init__(append)
        self._inbox, self._limit, self._hold = pipeline.inbox, limit, pipeline.hold
        self._note_array = pipeline.note_array

    def put(self, entry: object) -> None:
        """Log a record that is made already."""
        self._put(entry)
        if len(self._inbox) > self._limit:
            self._hold(entry)

    def end(self, pipeline: Pipeline) -> None:
        """Refuse further calls."""
        pipeline.seal()
        self._limit = -1
        self._put = self._refuse

    def _refuse(self, _entry: object) -> None:
        raise RuntimeError("closed")


class World:
    """A pipeline with three faulty sinks, two threads that log, and a signal handler."""

    def __init__(self, seed: int, path: Path, run: Run, patch: pytest.MonkeyPatch) -> None:
        self.random = choose = random.Random(seed)
        self.schedule = Schedule(choose, switching=choose.choice([0.005, 0.05, 0.3]))
        patch.setattr(queue, "MAX_SCALAR_BYTES", choose.choice([1, 3000, 10**9]))
        patch.setattr(queue, "MAX_UNSTORED_BYTES", choose.choice([5000, 10**9, 10**9]))
        patch.setattr(queue, "MAX_ARRAY_BYTES", choose.choice([250, 10**9]))
        self.slows_down = choose.random() < 0.5  # arrays of 100 bytes wait for the file, one of each thread at most
        if self.slows_down:
            patch.setattr(queue, "SLOWING_ARRAY_BYTES", 50)
            patch.setattr(pipelines, "INBOX_ARRAY_BYTES", 0)
        patch.setattr(queue, "BATCH_SCALARS", choose.choice([1, 7, 1000]))
        patch.setattr(queue, "BATCH_RECORDS", choose.choice([1, 5, 1000]))
        limit = choose.choice([2, 20, 1000])
        patch.setattr(pipelines, "INBOX_ENTRIES", limit)
        chance = choose.choice([0.0, 0.05, 0.3])
        faults = Faults(
            later=choose.choice([0.0, chance]), slow_down=choose.choice([0.0, chance / 2]),
            bad_flush=choose.choice([0.0, chance / 2]), hang=choose.choice([0.0, chance]),
            raising=choose.choice([0.0, chance]),
        )  # fmt: skip
        self.faults = faults
        common = self.schedule, choose, faults
        self.sinks: list[FaultySink] = [
            EventFileSink(path / "events", "file", *common), BlockSink("block", *common), FaultySink("plain", *common)
        ]  # fmt: skip
        choose.shuffle(self.sinks)
        self.pipeline = Pipeline(self.sinks, run, lambda: None, clock=self.schedule)
        self.calls = Calls(self.pipeline, limit, self.schedule)
        self.accepted: list[Key] = []  # whose call returned, in the order in which they began
        self.refused: set[Key] = set()
        self.returned = 0  # records whose call has returned
        self.marks: list[tuple[Key, str]] = []  # checkpoints, and the thread that logged them
        self.number = self.signals = 0
        self.is_over = False
        self.in_handler = False
        self.logger_ended = False
        self.schedule.on_line = self._signal

    def run(self) -> None:
        """Run to the end, and check."""
        self.schedule.run(self._program)
        self._check_end()

    def _program(self) -> None:
        self.schedule.start("second", self._second_thread)
        for _ in range(self.random.randrange(5, 40)):
            self._do_something("main")
        if self.random.random() < 0.5:
            for sink in self.sinks:
                sink.is_healthy = True
        self._close()
        self.is_over = True
        for sink in self.sinks:
            sink.is_healthy = True

    def _second_thread(self) -> None:
        for _ in range(self.random.randrange(0, 30)):
            self._log("second")
            if self.random.random() < 0.2:
                self.schedule.sleep(self.random.random())

    def _do_something(self, thread: str) -> None:
        draw = self.random.random()
        if draw < 0.65:
            self._log(thread)
        elif draw < 0.75:
            self.schedule.sleep(self.random.choice([0.01, 0.6, 3.0]))
        elif draw < 0.9:
            self._flush()
        else:
            self._stats()

    def _signal(self) -> None:
        """Do in a signal handler what a program may do there."""
        if self.in_handler or self.random.random() > 0.05:
            return
        self.in_handler = True
        self.signals += 1
        draw = self.random.random()
        if draw < 0.4:
            self._stats()
        elif draw < 0.7:
            self._log("handler")
        elif draw < 0.9:
            self._flush()
        else:
            self._close()
        self.in_handler = False

    def _log(self, thread: str) -> None:
        """Log something, and note whether it was accepted."""
        choose = self.random
        first = self.number + 1
        kind = choose.choice(["scalar", "scalar", "scalars", "picture", "histogram", "text", "mark", "poison", "many"])
        step = choose.choice([first, 0])
        self.number += 4 if kind in ("scalars", "many") else 1
        keys: list[Key]
        if kind in ("scalar", "many"):
            keys = [(f"{thread}/a", float(first + n)) for n in range(4 if kind == "many" else 1)]
        elif kind == "scalars":
            keys = [(f"{thread}/{tag}", float(first + n)) for n, tag in enumerate("abcd")]
        elif kind == "poison":
            keys = [(f"{thread}/p{first}", POISON)]
        elif kind in ("picture", "histogram"):
            keys = [(f"{thread}/{kind}", float(first))]
        else:
            keys = [(MARKS if kind == "mark" else "text", float(first))]
        if kind == "mark":
            self.marks.append((keys[0], thread))
        for group in [[key] for key in keys] if kind == "many" else [keys]:
            self._accept(kind, group, step if kind != "many" else first)

    def _accept(self, kind: str, keys: list[Key], step: int) -> None:
        tag, number = keys[0][0], int(keys[0][1])
        self.accepted += keys
        try:
            if kind == "scalars":
                self.calls.scalars(dict(keys), step)
            elif kind in ("scalar", "many", "poison"):
                self.calls.scalar(tag, keys[0][1], step)
            elif kind == "text":
                self.calls.text("t", "text", number)
            elif kind == "mark":
                self.calls.put(Checkpoint("c", number, 0.0))
            else:
                self.calls.put(self._array(kind, tag, number))
                self.calls._note_array(100)  # noqa: SLF001 - as the log calls do
        except RuntimeError:
            self.refused.update(keys)
            if not self.logger_ended:
                self.schedule.fail(f"{keys} was refused before the end")
            return
        self.returned += len(keys)

    def _array(self, kind: str, tag: str, step: int) -> PendingRecord:
        def build() -> Record:
            if kind == "picture":
                return Images(tag, np.zeros((1, 1, 1, 1), np.uint8), step, time())
            return Histogram(tag, np.zeros(1), step, time())

        return PendingRecord(Images if kind == "picture" else Histogram, tag, 100, build)

    def _flush(self) -> None:
        returned = self.returned
        timeout = self.random.choice([0.0, 0.2, 20.0])
        started, signals = self.schedule.time, self.signals
        workers = self.pipeline.workers
        done = {worker.name for worker in workers if worker.requests.has_ended and not worker.counters.stats.pending}
        behind = self.pipeline.flush(timeout)
        if done & set(behind):
            self.schedule.fail(f"{done & set(behind)} had ended, and does not answer")
        if self.schedule.time > started + timeout + 0.001 and signals == self.signals:
            self.schedule.fail("flush came late")
        for worker in workers:
            if worker.name not in behind and worker.counters.settled < returned:
                self.schedule.fail(f"{worker.name} is not behind, and has not got everything")

    def _stats(self) -> None:
        returned = self.returned
        for name, stats in self.pipeline.stats().items():
            if stats.logged < returned:
                self.schedule.fail(f"{name} counts {stats.logged} of {returned}")
            settled = stats.delivered + stats.dropped + stats.failed + stats.superseded
            if stats.logged != settled + stats.pending or min(stats[:-1]) < 0:
                self.schedule.fail(f"{name} counts wrong: {stats}")

    def _close(self) -> None:
        self.logger_ended = True
        self.calls.end(self.pipeline)
        started, signals = self.schedule.time, self.signals
        working = [worker for worker in self.pipeline._all_workers if not worker.requests.has_ended]  # noqa: SLF001
        self.pipeline.close(self.random.choice([0.3, 5.0, 100.0]))
        if not working and self.schedule.time > started + 0.001 and signals == self.signals:
            self.schedule.fail("close waits although all has ended")

    def _check_end(self) -> None:
        """Check what must hold once nothing more happens."""
        sure = [key for key in self.accepted if key not in self.refused]
        assert not self.pipeline.inbox, f"accepted, and never moved: {self.pipeline.inbox}"
        for worker in self.pipeline.workers:
            sink, stats = worker.sink, self.pipeline.stats()[worker.name]
            assert isinstance(sink, FaultySink)
            visible = Counter(sink.visible)
            assert max(visible.values(), default=1) == 1, f"{worker.name}: twice"
            assert not [key for key in visible if key in self.refused], f"{worker.name}: refused, and delivered"
            assert set(visible) <= set(sure), f"{worker.name}: never logged"
            assert stats.delivered == len(sink.visible), (worker.name, stats, len(sink.visible))
            assert "DataError" not in str(stats.last_error), f"{worker.name}: not read back"
            assert stats.logged == len(sure), (worker.name, stats, len(sure))
            missing = [key for key in sure if key not in visible]
            assert len(missing) == stats.dropped + stats.failed + stats.superseded + stats.pending
            poisoned = sum(key[1] == POISON for key in sure)
            if not any(self.faults):
                assert stats.pending == 0, f"{worker.name}: {stats.pending} left without a fault"
                assert stats.failed + stats.dropped >= poisoned >= stats.failed, (worker.name, stats)
                if self.slows_down and sink.durable:
                    assert not [tag for tag, _ in missing if tag.endswith("picture")], "dropped, although it works"
            self._check_order(worker.name, sink.visible)

    def _check_order(self, name: str, visible: list[Key]) -> None:
        by_tag: dict[str, list[float]] = {}
        for tag, value in visible:
            by_tag.setdefault(tag, []).append(value)
        for tag, values in by_tag.items():
            if not tag.startswith("handler") and tag not in ("text", MARKS):
                assert values == sorted(values), f"{name}: {tag} out of order: {values}"
        self._check_marks(name, visible)

    def _check_marks(self, name: str, visible: list[Key]) -> None:
        """Check that nothing that one thread logged before a mark came after it."""
        places = {key: place for place, key in enumerate(visible)}
        for mark, thread in self.marks:
            if mark not in places:
                continue
            before = [key for key in self.accepted[: self.accepted.index(mark)] if key[0].startswith(f"{thread}/")]
            late = [key for key in before if places.get(key, -1) > places[mark]]
            assert not late, f"{name}: {late} came after {mark}"
