"""Sinks that take scalars as columns do with them what they do with records, and what they did one by one."""

from __future__ import annotations

import io
import math
import os
import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rich.console import Console

from monitor import DataError, Run, Scalar, ScalarBlock, Text
from monitor import records as r
from monitor.alerts import parse_rules
from monitor.events.reader import EventReader
from monitor.events.scalar_decoding import decode_scalars
from monitor.metrics import MAX_METRICS, MetricSummary
from monitor.sinks.console import ConsoleSink
from monitor.sinks.run_status import FIRST_NON_FINITE, RunStatusSink
from monitor.sinks.tensorboard import TensorBoardSink
from monitor.sinks.visdom.page_state import PageState
from monitor.testing import sample_records
from tests.support import event_reader

if TYPE_CHECKING:
    from pathlib import Path

fuzz = settings(
    max_examples=int(os.environ.get("MONITOR_FUZZ", "300")) // 3,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    derandomize=True,
)
RULES = ["test/loss > 2", "test/loss is nan", "b < 0 for 2", "train/loss > 1.5 * best", "b is not finite"]
tags = st.sampled_from(["a", "b", "train/loss", "test/loss", "test/accuracy", "val/loss", "val/x"])
groups = st.lists(st.lists(tags, max_size=4).map(tuple), min_size=1, max_size=4)
values = st.sampled_from([0.0, -0.0, 1.0, -1.0, 2.5, 3.0, 1e300, math.nan, math.inf, -math.inf])


@st.composite
def blocks(draw: st.DrawFn) -> list[ScalarBlock]:
    """Blocks of one run, one after the other."""
    made = []
    for _ in range(draw(st.integers(1, 3))):
        chosen = draw(groups)
        group = draw(st.lists(st.integers(0, len(chosen) - 1), max_size=30))
        steps = draw(st.lists(st.integers(-5, 40), min_size=len(group), max_size=len(group)))
        size = sum(len(chosen[number]) for number in group)
        numbers = draw(st.lists(values, min_size=size, max_size=size))
        times = 1.7e9 + np.arange(len(group)) / 100
        made.append(
            ScalarBlock(chosen, np.array(group, np.int32), np.array(steps, np.int64), times, np.array(numbers, float))
        )
    return made


@fuzz
@given(blocks())
def test_a_summary_takes_many_points_as_one_by_one(made: list[ScalarBlock]) -> None:
    at_once, one_by_one = MetricSummary(), MetricSummary()
    for block in made:
        for tag, steps, points, _ in block.series():
            improved = at_once.extend(tag, steps, points).tolist()
            wanted = []
            for number, (step, value) in enumerate(zip(steps.tolist(), points.tolist())):
                before = one_by_one.best(tag)
                one_by_one.add(tag, value, step)
                wanted += [number] * (one_by_one.best(tag) != before)
            assert improved == wanted
        assert repr(at_once.summary()) == repr(one_by_one.summary())
        assert at_once.step == one_by_one.step


def test_a_summary_takes_no_more_metrics_at_once_than_one_by_one() -> None:
    summary = MetricSummary()
    for number in range(MAX_METRICS + 5):
        summary.extend(f"loss{number}", np.array([number]), np.array([1.0]))
    assert len(summary.summary()) == MAX_METRICS
    assert summary.step == MAX_METRICS - 1


class OneByOne:
    """The alerts of a run as they are defined: each rule on each value, in the order of the log calls."""

    def __init__(self) -> None:
        self.rules = parse_rules(RULES)
        self.alerts: list[tuple[str, Any, Any, int]] = []
        self.all_finite = True

    def write(self, scalars: list[Scalar]) -> None:
        for tag, value, step, _ in scalars:
            fired = [rule for rule in self.rules if rule.metric == tag and rule.fires(value)]  # type: ignore[union-attr]
            self.rules = [rule for rule in self.rules if rule not in fired]
            self.alerts += [(rule.text, tag, value, step) for rule in fired]
            if not math.isfinite(value) and self.all_finite:
                self.all_finite = False
                if not fired:
                    self.alerts.append((FIRST_NON_FINITE, tag, value, step))


@fuzz
@given(blocks())
def test_alerts_fire_at_the_same_values_in_the_same_order(made: list[ScalarBlock]) -> None:
    sink, wanted = RunStatusSink(parse_rules(RULES)), OneByOne()
    told: list[Text] = []
    sink.on_alert = told.append
    for block in made:
        sink.write_scalars(block)
        wanted.write(block.records())
    fired = sink.fields().get("alerts", [])
    assert [(alert["rule"], alert["metric"], alert["step"]) for alert in fired] == [
        (rule, tag, step) for rule, tag, _, step in wanted.alerts
    ]
    assert [alert.step for alert in told] == [step for *_, step in wanted.alerts]
    assert [alert.text.split(": ")[1] for alert in told if alert.text.startswith("test/loss > 2:")] == [
        f"{value:.6g} at step {step}" for rule, _, value, step in wanted.alerts if rule == "test/loss > 2"
    ]


@fuzz
@given(blocks())
def test_the_status_of_a_run_is_the_same(made: list[ScalarBlock]) -> None:
    at_once, one_by_one = RunStatusSink(), MetricSummary()
    for block in made:
        at_once.write_scalars(block)
        for tag, value, step, _ in block.records():
            one_by_one.add(tag, value, step)
    assert repr(at_once.summary.summary()) == repr(one_by_one.summary())
    assert at_once.summary.step == one_by_one.step


@fuzz
@given(blocks())
def test_a_page_is_the_same(made: list[ScalarBlock]) -> None:
    at_once, one_by_one = PageState(), PageState()
    for block in made:
        at_once.add_scalars(block)
        one_by_one.add(block.records())
    assert at_once.changed_keys() == one_by_one.changed_keys() == one_by_one.keys()
    for key in one_by_one.keys():  # noqa: SIM118 - not a dict
        assert repr(at_once.message(key)) == repr(one_by_one.message(key))


@fuzz
@given(blocks())
def test_the_console_is_the_same(made: list[ScalarBlock]) -> None:
    shown = []
    for at_once in (True, False):
        output = io.StringIO()
        sink = ConsoleSink(Console(file=output, width=1000))
        for block in made:
            sink.write_scalars(block) if at_once else sink.write(block.records())
            sink.write([r.Progress(1, 2, 0, 9, 1.0)])
        sink._bar = None  # noqa: SLF001 - as on an output that is not a terminal
        sink.flush()
        shown.append((output.getvalue(), sink._step))  # noqa: SLF001 - a terminal shows it
    assert shown[0] == shown[1]


@fuzz
@given(blocks())
def test_tags_come_in_the_order_in_which_they_appear(made: list[ScalarBlock]) -> None:
    for block in made:
        records = block.records()
        assert [tag for tag, *_ in block.series()] == list(dict.fromkeys(record.tag for record in records))
        for tag, calls, places in block.places():
            assert [repr(block.values[place]) for place in places] == [
                repr(np.float64(record.value)) for record in records if record.tag == tag
            ]
            assert block.steps[calls].tolist() == [record.step for record in records if record.tag == tag]


def tensorboard(run: Run) -> TensorBoardSink:
    sink = TensorBoardSink()
    sink.open(run)
    return sink


def test_a_block_is_found_where_it_is_stored(run: Run) -> None:
    sink = tensorboard(run)
    tags = [("train/loss", "test/loss"), ("test/loss",)]
    first, second = (
        ScalarBlock(
            tags, np.array([0, 1] * 100, np.int32), np.arange(200) + start, np.arange(200.0), np.arange(300.0, 0, -1)
        )
        for start in (0, 1000)
    )
    sink.write([Text("note", "before", 0, 1.0)])
    sink.write_scalars(first)
    sink.write_scalars(second)
    assert first.stored is None
    sink.flush()
    for block in (first, second):
        assert block.stored is not None
        path, offset, length = block.stored
        data = path.read_bytes()[offset : offset + length]
        assert decode_scalars(data).records() == block.records()
        with pytest.raises(DataError):
            decode_scalars(data[:-1])
    sink.close()
    assert event_reader.series(run.path, "test/loss") == [
        (record.step, record.value)
        for block in (first, second)
        for record in block.records()
        if record.tag == "test/loss"
    ]


def test_the_best_values_follow_the_scalars(run: Run) -> None:
    sink = tensorboard(run)
    losses = [3.0, math.nan, 2.0, 2.5, 2.0, -math.inf, 1.0]
    for start in (0, 10):
        group = np.zeros(len(losses), np.int32)
        points = np.stack([losses, losses, losses]).T.ravel() - start
        block = ScalarBlock(
            [("train/loss", "test/loss", "test/x")], group, np.arange(len(losses)) + start, np.arange(7.0), points
        )
        sink.write_scalars(block)
    sink.write([Scalar("test/loss", -10.0, 20, 20.0), Scalar("test/loss", 0.0, 21, 21.0)])
    sink.flush()
    sink.close()
    assert event_reader.series(run.path, "best/test/loss") == [
        (0, 3.0), (2, 2.0), (6, 1.0), (10, -7.0), (12, -8.0), (16, -9.0), (20, -10.0),
    ]  # fmt: skip
    assert {tag for tag in event_reader.read(run.path).Tags()["scalars"] if tag.startswith("best/")} == {
        "best/test/loss"
    }
    assert "custom_scalars__config__" in event_reader.read(run.path).Tags()["tensors"]


def test_what_is_read_back_is_what_was_written(run: Run) -> None:
    """With one path for records and blocks, and records of other kinds between them."""
    sink = tensorboard(run)
    records: list[r.Record] = [Scalar("a", 1.0, 0, 1.0), Scalar("b", 2.0, 0, 1.0), Text("note", "x", 0, 1.0)]
    records += [Scalar("a", 3.0, step, step) for step in range(1, 100)]
    sink.write(records)
    block = ScalarBlock.of([Scalar("a", 4.0, 200, 200.0)])
    sink.write_scalars(block)
    sink.write_scalars(ScalarBlock.of([]))
    sink.flush()
    sink.close()
    found = [record for part in EventReader(run.path).records() for record in part]
    assert found[: len(records) + 1] == [*records, *block.records()]


def test_a_batch_with_a_bad_record_is_not_taken(run: Run) -> None:
    sink = tensorboard(run)
    good: list[r.Record] = [Scalar("a", 1.0, 0, 1.0), Text("note", "good", 0, 1.0)]
    for bad in (Scalar("\ud800", 1.0, 1, 1.0), Text("\ud800", "bad", 1, 1.0)):
        with pytest.raises(ValueError, match="surrogates"):
            sink.write([*good, bad])
    with pytest.raises(ValueError, match="surrogates"):
        sink.write_scalars(ScalarBlock.of([Scalar("a", 1.0, 0, 1.0), Scalar("\ud800", 1.0, 1, 1.0)]))
    sink.write(good)
    sink.flush()
    sink.close()
    assert event_reader.series(run.path, "a") == [(0, 1.0)]
    assert event_reader.text(run.path, "note") == ["good"]


def test_records_are_prepared_on_other_threads(tmp_path: Path) -> None:
    """Prepared or not, the same bytes are written; preparing touches neither the sink nor the disk."""
    records = [record for record in sample_records() if not isinstance(record, Scalar | r.Progress)]
    written = []
    for prepare in (True, False):
        sink = tensorboard(Run(tmp_path / str(prepare)))
        items: list[Any] = list(records)
        if prepare:
            before = repr(vars(sink))

            def work(number: int, items: list[Any] = items, sink: TensorBoardSink = sink) -> None:
                items[number] = sink.prepare(records[number])

            threads = [threading.Thread(target=work, args=(number,)) for number in range(len(records))]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert repr(vars(sink)) == before
            assert not any(item is record for item, record in zip(items, records))
        sink.write(items)
        sink.flush()
        (path,) = (tmp_path / str(prepare)).glob("*tfevents*")
        written.append(path.read_bytes())
        sink.close()
    assert written[0][100:] == written[1][100:]  # after the version event
    assert len(written[0]) > 10_000
