"""Alert rules and run filters read numbers, operators and durations alike."""

from __future__ import annotations

import pytest

from monitor.rules.alerts import Rule, StallRule, parse_rule
from monitor.rules.expressions import parse_duration
from monitor.runs.filter import Filter

DURATIONS = {"90s": 90, "90 s": 90, "90 seconds": 90, "1 minute": 60, "1.5h": 5400, "2 hours": 7200, "3d": 259200}


@pytest.mark.parametrize(("text", "seconds"), DURATIONS.items())
def test_durations_are_the_same_in_both_languages(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds
    assert parse_rule(f"no progress for {text}") == StallRule(f"no progress for {text}", seconds)
    matches = Filter(f"age == {text} and name == a")
    assert matches({"age": seconds, "name": "a"}.get)
    assert not matches({"age": seconds + 1, "name": "a"}.get)


@pytest.mark.parametrize("text", ["", "s", "90", "90x", "ninety seconds", "9 0s", "1 fortnight"])
def test_what_is_not_a_duration(text: str) -> None:
    assert parse_duration(text) is None


@pytest.mark.parametrize("operator", ["==", "=", "!=", "<", "<=", ">", ">="])
def test_operators_are_the_same_in_both_languages(operator: str) -> None:
    for value in (1.0, 2.0, 3.0):
        rule = parse_rule(f"a {operator} 2")
        assert isinstance(rule, Rule)
        assert rule.fires(value) == Filter(f"a {operator} 2")({"a": value}.get)


def test_a_unit_after_text_is_no_duration() -> None:
    assert Filter("name == m and age > 1")({"name": "m", "age": 2.0}.get)
