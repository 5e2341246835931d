"""Rules on metrics, each of which fires once.

`train/loss is nan`, `test/loss > 2 * best for 3`, `test/accuracy < 0.5`, `no progress for 10 minutes`. A first NaN or
infinity, in whatever metric, is an alert without a rule.
"""

from __future__ import annotations

import math
import operator
import re
from typing import TYPE_CHECKING, NamedTuple

from monitor.errors import AlertError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

ALERT_TAG = "alert"  # of the text records
NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
UNITS = {"second": 1.0, "minute": 60.0, "hour": 3600.0}
COMPARE: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge, "==": operator.eq,
}  # fmt: skip
NON_FINITE_CHECKS: dict[str, Callable[[float], bool]] = {
    "nan": math.isnan, "inf": math.isinf, "not finite": lambda value: not math.isfinite(value),
}  # fmt: skip
ACCEPTED_RULES = "accepted: 'METRIC is nan | inf | not finite', 'METRIC < | > NUMBER | [NUMBER *] best [for N]', " \
           "'no progress for N seconds | minutes | hours'"  # fmt: skip

_IS = re.compile(r"(?P<tag>\S+) is (?P<kind>nan|inf|not finite)")
_BOUND = re.compile(
    rf"(?P<tag>\S+?) ?(?P<op><=|>=|==|<|>) ?"
    rf"(?:(?P<number>{NUMBER})|"
    rf"(?:(?P<times>{NUMBER}) ?\* ?)?best(?: ?\* ?(?P<by>{NUMBER}))?(?P<plus> ?[-+] ?{NUMBER})?)"
    r"(?: for (?P<count>[1-9]\d*))?"
)
_STALLED = re.compile(rf"no progress for (?P<number>{NUMBER}) (?P<unit>second|minute|hour)s?")


class Rule:
    """A rule on the values of one metric: it fires where `test(value, lowest, highest)` is true `count` times in a row.

    `lowest` and `highest` are of the metric's finite values before this one.
    """

    def __init__(self, text: str, metric: str, test: Callable[[float, float, float], bool], count: int = 1) -> None:
        self.text, self.metric, self.count = text, metric, count
        self._test = test
        self._times = 0
        self._lowest, self._highest = math.inf, -math.inf

    def fires(self, value: float) -> bool:
        """Take the next value in; tell whether it completes what the rule waits for."""
        self._times = self._times + 1 if self._test(value, self._lowest, self._highest) else 0
        if math.isfinite(value):
            self._lowest, self._highest = min(self._lowest, value), max(self._highest, value)
        return self._times >= self.count


class StallRule(NamedTuple):
    """A rule that fires where no higher step was logged for so many seconds."""

    text: str
    seconds: float


def parse_rule(text: str) -> Rule | StallRule:
    """Read a rule; raise `AlertError` for what is none."""
    words = " ".join(text.split())
    if found := _STALLED.fullmatch(words):
        seconds = float(found["number"]) * UNITS[found["unit"]]
        if seconds <= 0:
            raise AlertError(f"alert {text!r}: the time must be above 0; {ACCEPTED_RULES}")
        return StallRule(words, seconds)
    if found := _IS.fullmatch(words):
        kind = NON_FINITE_CHECKS[found["kind"]]
        return Rule(words, found["tag"], lambda value, lowest, highest: kind(value))
    if found := _BOUND.fullmatch(words):
        compare, count = COMPARE[found["op"]], int(found["count"] or 1)
        if found["number"]:
            bound = float(found["number"])
            return Rule(words, found["tag"], lambda value, lowest, highest: compare(value, bound), count)
        factor = float(found["times"] or 1) * float(found["by"] or 1)
        plus = float((found["plus"] or "0").replace(" ", ""))
        low = found["op"] in (">", ">=")  # what must not be exceeded is best at its lowest
        return Rule(
            words,
            found["tag"],
            lambda value, lowest, highest: (
                math.isfinite(best := lowest if low else highest) and compare(value, best * factor + plus)
            ),
            count,
        )
    raise AlertError(f"alert {text!r} is no rule; {ACCEPTED_RULES}")


def parse_rules(given: Iterable[str | Rule | StallRule]) -> list[Rule | StallRule]:
    """Read rules, in their order; those that are rules already are taken as they are."""
    if isinstance(given, str):
        raise TypeError(f"alerts is a list of rules, such as [{given!r}], not the text {given!r}")
    rules = []
    for rule in given:
        if not isinstance(rule, str | Rule | StallRule):
            raise TypeError(f"an alert is a rule such as 'train/loss is nan', not {type(rule).__name__}")
        rules.append(parse_rule(rule) if isinstance(rule, str) else rule)
    return rules
