"""Alert rules on metrics. Each fires once.

Examples: `train/loss is nan`, `test/loss > 2 * best for 3`, `test/accuracy < 0.5`, `no progress for 10 minutes`. The
first NaN or infinity, in any metric, is an alert without a rule.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

from monitor.errors import AlertError
from monitor.rules.expressions import COMPARISONS, DURATION, NUMBER, OPERATOR, parse_duration

if TYPE_CHECKING:
    from collections.abc import Callable

ALERT_TAG = "alert"  # of the text records
NON_FINITE_CHECKS: dict[str, Callable[[float], bool]] = {
    "nan": math.isnan, "inf": math.isinf, "not finite": lambda value: not math.isfinite(value),
}  # fmt: skip
ACCEPTED_RULES = (
    "accepted: 'METRIC is nan | inf | not finite', 'METRIC < | > NUMBER | [NUMBER *] best [for N]', "
    "'no progress for N seconds | minutes | hours'"
)

_NON_FINITE_RULE = re.compile(r"(?P<tag>\S+) is (?P<check>nan|inf|not finite)")
_BOUND_RULE = re.compile(
    rf"(?P<tag>\S+?) ?(?P<operator>{OPERATOR}) ?"
    rf"(?:(?P<number>{NUMBER})|"
    rf"(?:(?P<factor>{NUMBER}) ?\* ?)?best(?: ?\* ?(?P<factor_after>{NUMBER}))?(?P<offset> ?[-+] ?{NUMBER})?)"
    r"(?: for (?P<count>[1-9]\d*))?"
)
_STALL_RULE = re.compile(rf"no progress for (?P<duration>{DURATION})")


class Rule:
    """A rule on the values of one metric: it fires when `test` is true for `count` values in a row.

    `test(value, lowest, highest)` gets the new value and the lowest and highest finite value before it; without any
    they are `inf` and `-inf`.
    """

    def __init__(
        self,
        text: str,
        metric: str,
        test: Callable[[float, float, float], bool],
        count: int = 1,
        *,
        has_best: bool = False,
    ) -> None:
        """Make a rule; `has_best` if `test` compares with one of the two, whichever is best."""
        self.text, self.metric, self.count = text, metric, count
        self._has_best = has_best
        self._test = test
        self._streak = 0
        self._lowest, self._highest = math.inf, -math.inf

    def fires(self, value: float, goal: str | None = None) -> bool:
        """Take in the next value; tell whether the rule fires at it.

        `goal`, `"min"` or `"max"`, says which earlier value was the best; by default, the rule judges by its operator.
        """
        lowest, highest = self._lowest, self._highest
        if self._has_best and goal is not None:
            lowest = highest = lowest if goal == "min" else highest
        self._streak = self._streak + 1 if self._test(value, lowest, highest) else 0
        if math.isfinite(value):
            self._lowest, self._highest = min(self._lowest, value), max(self._highest, value)
        return self._streak >= self.count


class StallRule(NamedTuple):
    """A rule that fires when no higher step was logged for `seconds`."""

    text: str
    seconds: float


def parse_rule(text: str) -> Rule | StallRule:
    """Read a rule; raise `AlertError` for text that is not one."""
    normalized = " ".join(text.split())
    if match := _STALL_RULE.fullmatch(normalized):
        seconds = parse_duration(match["duration"]) or 0.0
        if seconds <= 0:
            raise AlertError(f"alert {text!r}: the time must be above 0; {ACCEPTED_RULES}")
        return StallRule(normalized, seconds)
    if match := _NON_FINITE_RULE.fullmatch(normalized):
        check = NON_FINITE_CHECKS[match["check"]]
        return Rule(normalized, match["tag"], lambda value, _lowest, _highest: check(value))
    if match := _BOUND_RULE.fullmatch(normalized):
        return Rule(
            normalized, match["tag"], _bound_test(match), int(match["count"] or 1), has_best=not match["number"]
        )
    raise AlertError(f"alert {text!r} is not a rule; {ACCEPTED_RULES}")


def parse_rules(rules: Iterable[str | Rule | StallRule]) -> list[Rule | StallRule]:
    """Read rules in order; those that are rules already are kept as they are."""
    if isinstance(rules, str):
        raise TypeError(f"alerts is a list of rules, such as [{rules!r}], not the text {rules!r}")
    if not isinstance(rules, Iterable):
        raise TypeError(f"alerts is a list of rules, such as ['train/loss is nan'], not {rules!r}")
    parsed = []
    for rule in rules:
        if not isinstance(rule, str | Rule | StallRule):
            raise TypeError(f"an alert is a rule such as 'train/loss is nan', not {type(rule).__name__}")
        parsed.append(parse_rule(rule) if isinstance(rule, str) else rule)
    return parsed


def _bound_test(match: re.Match[str]) -> Callable[[float, float, float], bool]:
    """Return the test of a rule that compares with a number, or with the best value so far."""
    compare = COMPARISONS[match["operator"]]
    if match["number"]:
        bound = float(match["number"])
        return lambda value, _lowest, _highest: compare(value, bound)
    factor = float(match["factor"] or 1) * float(match["factor_after"] or 1)
    offset = float((match["offset"] or "0").replace(" ", ""))
    lower_is_better = match["operator"] in (">", ">=")  # a value that must not be exceeded is best at its lowest

    def test(value: float, lowest: float, highest: float) -> bool:
        best = lowest if lower_is_better else highest
        return math.isfinite(best) and compare(value, best * factor + offset)

    return test
