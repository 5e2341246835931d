"""Sinks that take scalars as columns do with them what they do with records, and what they did one by one."""

from __future__ import annotations

import io
import math
import os
from typing import Any

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rich.console import Console

from monitor import Scalar, ScalarBlock, Text
from monitor import records as r
from monitor.metrics import MAX_METRICS, MetricSummary
from monitor.rules.alerts import parse_rules
from monitor.sinks.console import ConsoleSink
from monitor.sinks.run_status import FIRST_NON_FINITE, RunStatusSink
from monitor.sinks.visdom.page_state import PageState

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
