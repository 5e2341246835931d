"""The settings of an optimizer that can be changed while it trains: learning rate, weight decay, and momentum."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

from monitor.render.text.escaping import escape_control_chars

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

MAX_SHOWN_CHARS = 40  # of a value that is refused
SCHEDULE_KEYS = ("initial_lr", "max_lr", "min_lr")  # of a parameter group: where schedules keep their rates
SCHEDULE_LISTS = ("base_lrs", "max_lrs")  # of a schedule: a rate for each parameter group


class Range(NamedTuple):
    """Which values a setting may have."""

    includes: Callable[[float], bool]
    text: str


RANGES = {
    "lr": Range(lambda value: value > 0, "a number greater than 0"),
    "weight_decay": Range(lambda value: value >= 0, "a number, 0 or more"),
    "momentum": Range(lambda value: 0 <= value < 1, "a number from 0 to less than 1"),
}


class Setting:
    """One setting of an optimizer, such as `lr`, over all of its parameter groups.

    The value is that of the group where it is the largest. A change keeps the ratios between the groups, so that a
    group without weight decay stays without. Where all groups have 0, all get the new value. A change of the learning
    rate scales the rest of its schedule by the same factor.
    """

    def __init__(self, name: str, target: Any) -> None:
        """Take the setting that the last part of `name` names, of an optimizer, a schedule, or a list of both.

        Raises `TypeError` for another target, `ValueError` for a setting that it does not have.
        """
        self.name, self._key = name, name.rpartition("/")[2]
        parts = list(target) if isinstance(target, list | tuple) else [target]
        optimizers: list[Any] = [
            part if hasattr(part, "param_groups") else getattr(part, "optimizer", None) for part in parts
        ]
        if not parts or any(not hasattr(optimizer, "param_groups") for optimizer in optimizers):
            raise TypeError(f"control {name!r} takes an optimizer, its schedule, or a list of both, not {target!r:.60}")
        if len({id(optimizer) for optimizer in optimizers}) > 1:
            raise ValueError(f"control {name!r} is of one optimizer; give each its own name, such as 'second/lr'")
        self._optimizer: Any = optimizers[0]
        self._schedules = [part for part in parts if not hasattr(part, "param_groups")]
        if self._key not in RANGES:
            raise ValueError(f"control {name!r}: an optimizer's controls are {', '.join(RANGES)}")
        if any(self._key not in group for group in self._optimizer.param_groups):
            raise ValueError(f"control {name!r}: {type(self._optimizer).__name__} has no {self._key}")
        self._last = 0.0
        self._last = self.value

    @property
    def value(self) -> float:
        """The value of the group where it is the largest; the last known one while it is on a GPU."""
        values = [group[self._key] for group in self._optimizer.param_groups]
        if not any(getattr(value, "is_cuda", False) for value in values):
            self._last = max(float(value) for value in values)
        return self._last

    @property
    def has_foreign_schedule(self) -> bool:
        """Whether a schedule sets the value too, and was not given."""
        return self._key == "lr" and self._is_scheduled() and not self._schedules

    def parse(self, text: Any) -> float:
        """Return the value that a user has typed; raise `ValueError` with what was given and what is accepted."""
        accepted = RANGES[self._key]
        given = escape_control_chars(str(text).strip(), MAX_SHOWN_CHARS)
        try:
            value = float(text)
        except (TypeError, ValueError, OverflowError):
            raise ValueError(f"{given!r} is not {accepted.text}") from None
        if not math.isfinite(value) or not accepted.includes(value):
            raise ValueError(f"{given} is not {accepted.text}")
        return value

    def check(self, value: float) -> None:
        """Raise `ValueError` if the value cannot be changed to this one now, with the reason."""
        values = self._values()
        if value == 0 and len(set(values)) > 1:
            raise ValueError("0 would forget the ratios of the parameter groups; a tiny value keeps them")
        if self._key == "lr" and max(values) == 0 and self._is_scheduled():
            raise ValueError("it is 0 now, as its schedule says; change it when it is not")

    def change(self, value: float) -> None:
        """Set the value, after `check`. The same change of the same state always gives the same bits."""
        values = self._values()
        largest = max(values)
        is_scheduled = self._key == "lr" and self._is_scheduled()
        factor = value / largest if largest else 1.0
        for number, group in enumerate(self._optimizer.param_groups):
            is_largest = values[number] == largest
            _put(group, self._key, value if is_largest else values[number] * factor)
            if is_scheduled:
                for key in SCHEDULE_KEYS:
                    if key in group:
                        _put(group, key, float(group[key]) * factor)
                for schedule in self._schedules:
                    _scale(schedule, number, factor)
        self._last = value

    def _values(self) -> list[float]:
        return [float(group[self._key]) for group in self._optimizer.param_groups]

    def _is_scheduled(self) -> bool:
        return "initial_lr" in self._optimizer.param_groups[0]


def _put(group: dict[str, Any], key: str, value: float) -> None:
    """Set a value of a parameter group; a tensor, as captured graphs need it, is changed in place."""
    if hasattr(group[key], "fill_"):
        group[key].fill_(value)
    else:
        group[key] = value


def _scale(schedule: Any, number: int, factor: float) -> None:
    """Scale the rates that a schedule keeps for one parameter group."""
    parts: Sequence[Any] = getattr(schedule, "_schedulers", ())  # of those that combine others
    for part in parts:
        _scale(part, number, factor)
    for name in SCHEDULE_LISTS:
        rates = getattr(schedule, name, None)
        if isinstance(rates, list) and number < len(rates):
            rates[number] = rates[number] * factor
