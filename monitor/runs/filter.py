"""Filter runs by expressions such as `lr<0.1 and status==finished` or `not (epoch < 3 or name ~ draft)`.

A comparison is a name, an operator (`==`, `!=`, `<`, `<=`, `>`, `>=`, or `~` for *contains*), and a value: a number, a
duration such as `90s`, `10 minutes`, `2h`, or `3d`, or text, with quotes if it contains spaces.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NamedTuple

from monitor.errors import FilterError
from monitor.rules.expressions import COMPARISONS, OPERATOR, is_unit, parse_duration

LookUp = Callable[[str], Any]
Test = Callable[[LookUp], bool]

TOKEN = re.compile(
    rf"""\s*(?:(?P<operator>{OPERATOR}|~)|(?P<parenthesis>[()])|(?P<text>"[^"]*"|'[^']*')|(?P<word>[^\s()<>=!~"']+))"""
)
LITERALS: dict[str, Any] = {"true": True, "false": False, "none": None, "null": None}


class _Token(NamedTuple):
    kind: str
    text: str


class Filter:
    """A parsed filter.

    Attributes:
        names: the names that the filter uses.
    """

    def __init__(self, text: str) -> None:
        """Parse a filter. Raises `FilterError` if the text is not a filter."""
        self._text = text
        self._tokens = self._split(text)
        self.names: list[str] = []
        self._test = self._or_expression()
        if self._tokens:
            raise self._error(f"unexpected {self._tokens[0].text!r}")

    def __call__(self, look_up: LookUp) -> bool:
        """Tell whether a run matches; `look_up` returns the run's value of a name, or None."""
        return self._test(look_up)

    def _split(self, text: str) -> list[_Token]:
        tokens, position = [], 0
        while text[position:].strip():
            match = TOKEN.match(text, position)
            if match is None:
                raise self._error(f"cannot read {text[position:].strip()!r}")
            tokens.append(_Token(str(match.lastgroup), match[0].strip()))
            position = match.end()
        return tokens

    def _accept(self, *texts: str) -> bool:
        """Consume the next token if it is one of `texts`; tell whether it is."""
        if self._tokens and self._tokens[0].text.lower() in texts and self._tokens[0].kind != "text":
            del self._tokens[0]
            return True
        return False

    def _or_expression(self) -> Test:
        tests = [self._and_expression()]
        while self._accept("or", "||"):
            tests.append(self._and_expression())
        return lambda look_up: any(test(look_up) for test in tests)

    def _and_expression(self) -> Test:
        tests = [self._comparison()]
        while self._accept("and", "&&"):
            tests.append(self._comparison())
        return lambda look_up: all(test(look_up) for test in tests)

    def _comparison(self) -> Test:
        if self._accept("not"):
            test = self._comparison()
            return lambda look_up: not test(look_up)
        if self._accept("("):
            inner = self._or_expression()
            if not self._accept(")"):
                raise self._error("a ')' is missing")
            return inner
        name, operator, value = self._expect("word", "a name"), self._expect("operator", "an operator"), self._value()
        self.names.append(name)
        return lambda look_up: compare(look_up(name), operator, value)

    def _value(self) -> Any:
        if self._tokens and self._tokens[0].kind == "text":
            return self._tokens.pop(0).text[1:-1]
        word = self._expect("word", "a value")
        is_number = isinstance(parse_literal(word), float)
        if is_number and self._tokens and self._tokens[0].kind == "word" and is_unit(self._tokens[0].text):
            word += f" {self._tokens.pop(0).text}"
        return parse_literal(word)

    def _expect(self, kind: str, description: str) -> str:
        """Consume the next token, which must be of a kind; return its text."""
        if not self._tokens or self._tokens[0].kind != kind:
            actual = repr(self._tokens[0].text) if self._tokens else "the end"
            raise self._error(f"{description} is expected, not {actual}")
        return self._tokens.pop(0).text

    def _error(self, reason: str) -> FilterError:
        return FilterError(
            f"filter {self._text!r}: {reason}; accepted: comparisons such as lr<0.1, status==finished or name~mlp, "
            "with and, or, not, and parentheses"
        )


def parse_literal(word: str) -> Any:
    """Parse an unquoted value: a number, a duration, which becomes seconds, true, false, none, or else text."""
    if word.lower() in LITERALS:
        return LITERALS[word.lower()]
    try:
        return float(word)
    except ValueError:
        duration = parse_duration(word)
        return word if duration is None else duration


def compare(value: Any, operator: str, expected: Any) -> bool:
    """Compare a run's value with that of a filter; a number and a text are compared as texts, and only for equality."""
    if operator == "~":
        part = f"{expected:g}" if isinstance(expected, float) else str(expected)
        return value is not None and part.lower() in str(value).lower()
    if isinstance(value, str) != isinstance(expected, str) and value is not None and expected is not None:
        value, expected = str(value), expected if isinstance(expected, str) else f"{expected:g}"
        if operator not in ("==", "=", "!="):
            return False
    try:
        return COMPARISONS[operator](value, expected)
    except TypeError:
        return False
