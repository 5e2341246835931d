"""The space of a sweep: one dimension per option, as text on the command line or as a value in a TOML file."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from monitor.errors import SpaceError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

FORMS = "accepted: VALUE; A,B,C; 'A|B' for values with commas; LOW..HIGH; LOW..HIGH:STEP; log:LOW..HIGH; flag"
TABLE_KEYS = {"min", "max", "step", "log"}
_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_RANGE = re.compile(rf"(log:)?({_NUMBER})\.\.({_NUMBER})(?::({_NUMBER}))?")
_LIKE_RANGE = re.compile(r"log:|[-+]?\.?\d[^,|]*\.\.")
MAX_INT = 2**53  # larger ones are no exact floats, with which samplers calculate

Parameter = str | bool | int | float  # a value of a dimension, as an engine keeps it


@dataclass(frozen=True)
class Dimension:
    """What an option may be: one of `choices`, or a number from `low` to `high`.

    Attributes:
        option: its name, as the command line has it, with or without hyphens before it.
        choices: texts, or true and false for a flag; empty for a range.
        low, high: the ends of a range, both within it; two ints are a range of ints.
        step: from one value of a range to the next; None for all of them.
        log: whether the samples of a range are even on a logarithmic scale.
    """

    option: str
    choices: tuple[str | bool, ...] = ()
    low: float = 0
    high: float = 0
    step: float | None = None
    log: bool = False

    @property
    def is_integer(self) -> bool:
        """Whether it is a range of ints."""
        return not self.choices and isinstance(self.low, int) and isinstance(self.high, int)

    @property
    def name(self) -> str:
        """The option without hyphens before it."""
        return self.option.lstrip("-")

    def grid(self) -> list[Parameter] | None:
        """Return all values, or None if there is no end to them."""
        if self.choices:
            return list(self.choices)
        step = self.step or (1 if self.is_integer and not self.log else None)
        if step is None:
            return None
        count = math.floor((self.high - self.low) / step + 1e-9) + 1
        return [self.low + i * step for i in range(count)]

    def value(self, parameter: Parameter) -> Parameter:
        """Return a parameter as `run.json` has it: numbers as such."""
        if isinstance(parameter, str) and re.fullmatch(_NUMBER, parameter):
            return int(parameter) if re.fullmatch(r"[-+]?\d{1,15}", parameter) else float(parameter)
        return parameter

    def arguments(self, parameter: Parameter) -> list[str]:
        """Return the arguments of a command line that set the option."""
        flag = self.option if self.option.startswith("-") else f"--{self.option}"
        if isinstance(parameter, bool):
            return [flag] if parameter else []
        text = str(parameter)
        return [f"{flag}={text}"] if text.startswith("-") and flag.startswith("--") else [flag, text]

    def as_json(self) -> Any:
        """Return what `from_value` makes the same dimension of."""
        if self.choices:
            return list(self.choices)
        return {"min": self.low, "max": self.high} | ({"step": self.step} if self.step else {}) | {"log": self.log}


def parse(text: str) -> Dimension:
    """Return the dimension of `OPTION=VALUES`. Raises `SpaceError`."""
    option, equals, values = text.partition("=")
    option, values = option.strip(), values.strip()
    if not equals or not values or not option.strip("-"):
        raise SpaceError(f"{text!r} does not say which option has which values, as in lr=log:1e-4..1e-1; {FORMS}")
    return _from_text(option, values)


def from_value(option: str, value: Any) -> Dimension:
    """Return the dimension of a value in a TOML file: text as on the command line, a list of choices, or a table.

    Raises `SpaceError`.
    """
    if isinstance(value, str):
        return _from_text(option, value)
    if isinstance(value, dict):
        unknown = value.keys() - TABLE_KEYS
        if unknown or "min" not in value or "max" not in value:
            raise SpaceError(f"{option!r} is {value!r}; accepted in a table: min and max, and step or log = true")
        ends = [value["min"], value["max"], value.get("step")]
        if not all(number is None or _is_number(number) for number in ends) or None in ends[:2]:
            raise SpaceError(f"{option!r} is {value!r}; min, max, and step are numbers")
        return _checked_range(option, repr(value), *ends, log=bool(value.get("log")))
    choices = value if isinstance(value, list) else [value]
    if not choices or not all(isinstance(choice, str | bool) or _is_number(choice) for choice in choices):
        raise SpaceError(f"{option!r} is {value!r}; accepted: text, a list of values, or a table with min and max")
    if all(isinstance(choice, bool) for choice in choices):
        return _checked_choices(option, repr(value), choices)
    return _checked_choices(option, repr(value), [str(choice) for choice in choices])


def unique(dimensions: Sequence[Dimension]) -> tuple[Dimension, ...]:
    """Return the dimensions of a space. Raises `SpaceError` if there is none, or if two are of the same option."""
    if not dimensions:
        raise SpaceError("there is no space: give --set OPTION=VALUES, such as --set lr=log:1e-4..1e-1")
    names: set[str] = set()
    for dimension in dimensions:
        if (name := dimension.name.replace("_", "-")) in names:
            raise SpaceError(f"{dimension.option!r} is set twice; one --set has all values of an option")
        names.add(name)
    return tuple(dimensions)


def size(dimensions: Sequence[Dimension]) -> int | None:
    """Return how many points a space has; None if there is no end to them."""
    counts = [None if (grid := dimension.grid()) is None else len(grid) for dimension in dimensions]
    return None if None in counts else math.prod(count or 1 for count in counts)


def describe(values: Mapping[str, Any]) -> str:
    """Return values as one short line, such as `lr=0.01234 optimizer=adam`."""
    return " ".join(f"{name}={f'{value:.4g}' if isinstance(value, float) else value}" for name, value in values.items())


def _from_text(option: str, values: str) -> Dimension:
    if values == "flag":
        return Dimension(option, choices=(True, False))
    if match := _RANGE.fullmatch(values):
        low, high, step = (None if text is None else _number(text) for text in match.groups()[1:])
        assert low is not None
        assert high is not None
        return _checked_range(option, values, low, high, step, log=match[1] is not None)
    if _LIKE_RANGE.match(values):
        raise SpaceError(f"{option}={values}: {values!r} is no range; {FORMS}")
    return _checked_choices(option, values, values.split("|" if "|" in values else ","))


def _number(text: str) -> float:
    return int(text) if re.fullmatch(r"[-+]?\d+", text) else float(text)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _checked_range(option: str, given: str, low: float, high: float, step: float | None, *, log: bool) -> Dimension:
    problem = None
    if not all(math.isfinite(end) and abs(end) <= 1e300 for end in (low, high)):
        problem = "its ends must be finite"
    elif low >= high:
        problem = f"{low} is not below {high}"
    elif log and low <= 0:
        problem = f"a logarithmic range begins above 0, not at {low}"
    elif step is not None and (log or not 0 < step <= high - low):
        problem = "a logarithmic range has no step" if log else f"the step {step} does not fit between the ends"
    is_integer = isinstance(low, int) and isinstance(high, int)
    if problem is None and is_integer and step is not None and not isinstance(step, int):
        low, high = float(low), float(high)
    elif problem is None and is_integer and max(abs(low), abs(high)) > MAX_INT:
        problem = f"ints are at most {MAX_INT}"
    elif not is_integer:
        low, high, step = float(low), float(high), None if step is None else float(step)
    if problem is not None:
        raise SpaceError(f"{option}={given}: {problem}; {FORMS}")
    return Dimension(option, low=low, high=high, step=step, log=log)


def _checked_choices(option: str, given: str, choices: Sequence[str | bool]) -> Dimension:
    stripped = [choice.strip() if isinstance(choice, str) else choice for choice in choices]
    if "" in stripped:
        raise SpaceError(f"{option}={given}: one of the values is empty; {FORMS}")
    if len(set(stripped)) < len(stripped):
        raise SpaceError(f"{option}={given}: a value is there twice; {FORMS}")
    return Dimension(option, choices=tuple(stripped))
