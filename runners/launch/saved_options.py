"""Check the options that a checkpoint keeps: they come from a file, so each may be anything."""

from __future__ import annotations

import types
from pathlib import Path
from typing import TYPE_CHECKING, Any, Union, get_args, get_origin, get_type_hints

import click

from monitor.errors import DataError, MonitorError

if TYPE_CHECKING:
    from collections.abc import Mapping

CHECKED_TYPES = (click.Choice, click.IntRange, click.FloatRange)  # they check a value without other effects


def check_saved_options(options_class: type, saved: Mapping[str, Any], checkpoint: str) -> None:
    """Raise `DataError` for a saved option that the command line would not accept; unknown ones are ignored.

    Args:
        options_class: the dataclass of the runner's options.
        saved: the options as JSON holds them.
        checkpoint: names the checkpoint in an error.
    """
    parameters = {parameter.name: parameter for parameter in click.get_current_context().command.params}
    for name, kind in get_type_hints(options_class).items():
        if name not in saved:
            continue
        value = saved[name]
        if not _has_type(value, kind) or not _is_accepted(value, parameters.get(name)):
            text = ascii(value)
            shown = text if len(text) <= 60 else f"{text[:60]}…"
            raise DataError(f"the checkpoint {checkpoint!r} is damaged: its option {name!r} is {shown}")


def _has_type(value: Any, kind: Any) -> bool:
    """Tell whether a value from JSON can be a value of this type."""
    origin = get_origin(kind)
    if origin in (Union, types.UnionType):
        return any(_has_type(value, part) for part in get_args(kind))
    if origin in (list, tuple):
        return isinstance(value, list) and all(_has_type(item, get_args(kind)[0]) for item in value)
    if kind is Path:
        return isinstance(value, str)
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if kind is int:
        return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63
    return isinstance(value, kind)


def _is_accepted(value: Any, parameter: click.Parameter | None) -> bool:
    """Tell whether the command line accepts a value: one of the choices, in the range, a rule, a positive width."""
    if value is None or parameter is None:
        return True
    context = click.get_current_context()
    try:
        if isinstance(parameter.type, CHECKED_TYPES):
            return bool(parameter.type.convert(value, parameter, context) == value)
        if parameter.name == "hidden":
            return all(width > 0 for width in value)
        if parameter.name != "sinks" and isinstance(value, str | list) and parameter.callback is not None:
            parameter.callback(context, parameter, tuple(value) if isinstance(value, list) else value)
        elif isinstance(value, int) and not isinstance(value, bool):
            return value > 0  # a number of steps
    except (click.BadParameter, MonitorError):
        return False
    return True
