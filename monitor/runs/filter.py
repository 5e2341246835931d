"""Expressions over runs: `lr<0.1 and status==finished`, `not (epoch < 3 or name ~ draft)`.

A comparison is a name, an operator (`==`, `!=`, `<`, `<=`, `>`, `>=`, or `~` for *contains*) and a value: a number, a
duration such as `90s`, `10m`, `2h` or `3d`, or text, in quotes where it has spaces.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from typing import Any, NamedTuple

from monitor.errors import FilterError

Test = Callable[[Callable[[str], Any]], bool]  # takes what looks a name up

TOKEN = re.compile(
    r"""\s*(?:(?P<op>==|!=|<=|>=|<|>|=|~)|(?P<bracket>[()])|(?P<text>"[^"]*"|'[^']*')|(?P<word>[^\s()<>=!~"']+))"""
)
COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq, "=": operator.eq, "!=": operator.ne,
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip
LITERALS: dict[str, Any] = {"true": True, "false": False, "none": None, "null": None}
SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
DURATION = re.compile(r"(\d+\.?\d*)([smhd])")


class _Token(NamedTuple):
    kind: str
    text: str


class Filter:
    """A filter that was read; `names` are the names it uses. Raises `FilterError` for text that is none."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = self._split(text)
        self.names: list[str] = []
        self._test = self._either()
        if self._tokens:
            raise self._wrong(f"unexpected {self._tokens[0].text!r}")

    def __call__(self, look_up: Callable[[str], Any]) -> bool:
        """Tell whether a run passes; `look_up` returns the value of a name, None where the run has none."""
        return self._test(look_up)

    def _split(self, text: str) -> list[_Token]:
        tokens, at = [], 0
        while text[at:].strip():
            found = TOKEN.match(text, at)
            if found is None:
                raise self._wrong(f"cannot read {text[at:].strip()!r}")
            tokens.append(_Token(str(found.lastgroup), found[0].strip()))
            at = found.end()
        return tokens

    def _next_is(self, *texts: str) -> bool:
        if self._tokens and self._tokens[0].text.lower() in texts and self._tokens[0].kind != "text":
            del self._tokens[0]
            return True
        return False

    def _either(self) -> Test:
        tests = [self._both()]
        while self._next_is("or", "||"):
            tests.append(self._both())
        return lambda look_up: any(test(look_up) for test in tests)

    def _both(self) -> Test:
        tests = [self._one()]
        while self._next_is("and", "&&"):
            tests.append(self._one())
        return lambda look_up: all(test(look_up) for test in tests)

    def _one(self) -> Test:
        if self._next_is("not"):
            test = self._one()
            return lambda look_up: not test(look_up)
        if self._next_is("("):
            inner = self._either()
            if not self._next_is(")"):
                raise self._wrong("a ')' is missing")
            return inner
        name, sign, value = self._take("word", "a name"), self._take("op", "an operator"), self._value()
        self.names.append(name)
        return lambda look_up: compare(look_up(name), sign, value)

    def _value(self) -> Any:
        if self._tokens and self._tokens[0].kind == "text":
            return self._tokens.pop(0).text[1:-1]
        return literal(self._take("word", "a value"))

    def _take(self, kind: str, what: str) -> str:
        if not self._tokens or self._tokens[0].kind != kind:
            there = repr(self._tokens[0].text) if self._tokens else "the end"
            raise self._wrong(f"{what} is expected, not {there}")
        return self._tokens.pop(0).text

    def _wrong(self, why: str) -> FilterError:
        return FilterError(
            f"filter {self._text!r}: {why}; accepted: comparisons such as lr<0.1, status==finished or name~mlp, "
            "with and, or, not and brackets"
        )


def literal(word: str) -> Any:
    """Read an unquoted value: a number, a duration as seconds, true, false, none, or else text."""
    if word.lower() in LITERALS:
        return LITERALS[word.lower()]
    try:
        return float(word)
    except ValueError:
        found = DURATION.fullmatch(word)
        return float(found[1]) * SECONDS[found[2]] if found else word


def compare(found: Any, sign: str, wanted: Any) -> bool:
    """Compare what a run has with what is wanted; things of two kinds are unequal, and neither is less."""
    if sign == "~":
        part = f"{wanted:g}" if isinstance(wanted, float) else str(wanted)
        return found is not None and part.lower() in str(found).lower()
    if isinstance(found, str) != isinstance(wanted, str) and found is not None and wanted is not None:
        found, wanted = str(found), wanted if isinstance(wanted, str) else f"{wanted:g}"
        if sign not in ("==", "=", "!="):
            return False
    try:
        return COMPARE[sign](found, wanted)
    except TypeError:
        return False
