"""Checks of command-line values; each raises `click.BadParameter` with the value and what is accepted."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from monitor.alerts import parse_rules
from monitor.errors import MissingExtra, MonitorError
from monitor.sinks import registry
from runners.choices import LOSSES, RENAMED_LOSSES

if TYPE_CHECKING:
    StringChoice = click.Choice[str]
else:
    StringChoice = click.Choice  # which has no type parameter before click 8.2

DEFAULT_SINKS = ("tensorboard", "visdom", "console")
MAX_NAME_BYTES = 200  # in UTF-8


class LossChoice(StringChoice):
    """A loss by its name; a name from before a renaming is accepted too."""

    def __init__(self) -> None:
        super().__init__(LOSSES)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the name of today; raise `click.BadParameter` for an unknown one."""
        return super().convert(RENAMED_LOSSES.get(value, value), param, ctx)


def sinks(ctx: click.Context, param: click.Parameter, value: tuple[str, ...]) -> tuple[str, ...]:
    """Check the sinks before anything is loaded or written; without any, take all that are installed.

    Sets the parameter `all_dashboards`, which is true where the user names no sink.
    """
    ctx.params["all_dashboards"] = not value
    if not value:
        return tuple(spec for spec in DEFAULT_SINKS if _is_installed(spec))
    for spec in value:
        try:
            registry.make(spec)
        except MonitorError as error:
            raise click.BadParameter(str(error), ctx, param) from error
    return tuple(dict.fromkeys(value))


def _is_installed(spec: str) -> bool:
    try:
        registry.make(spec)
    except MissingExtra:
        return False
    return True


def alerts(ctx: click.Context, param: click.Parameter, value: tuple[str, ...]) -> tuple[str, ...]:
    """Check that alert rules can be parsed."""
    try:
        parse_rules(value)
    except MonitorError as error:
        raise click.BadParameter(str(error), ctx, param) from error
    return value


def run_name(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    """Check that a run's name can be the name of a directory."""
    if value is None:
        return None
    if not value.strip() or value != Path(value).name or value.startswith(".") or not value.isprintable():
        message = f"{value!r} is not a valid name for a directory; give one without '/' or a leading dot."
        raise click.BadParameter(message, ctx, param)
    if len(value.encode("utf-8", "replace")) > MAX_NAME_BYTES:
        message = f"{value[:20]!r}… is too long; at most {MAX_NAME_BYTES} bytes are accepted."
        raise click.BadParameter(message, ctx, param)
    return value


def epoch_or_steps(ctx: click.Context, param: click.Parameter, value: str | None) -> str | int | None:
    """Parse `epoch`, or a number of steps."""
    if value is None or value == "epoch":
        return value
    if not (value.isascii() and value.isdigit() and int(value) > 0):
        message = f"{value!r} is neither 'epoch' nor a number of steps, 1 or more."
        raise click.BadParameter(message, ctx, param)
    return int(value)


def layer_widths(ctx: click.Context, param: click.Parameter, value: str) -> list[int]:
    """Parse the widths of hidden layers, such as `200,200`; an empty string means no hidden layer."""
    parts = [part.strip() for part in value.split(",")] if value.strip() else []
    if not all(part.isascii() and part.isdigit() and int(part) > 0 for part in parts):
        raise click.BadParameter(f"{value!r} is not a list of widths, such as 200,200.", ctx, param)
    return [int(part) for part in parts]


def finite(ctx: click.Context, param: click.Parameter, value: float | None) -> float | None:
    """Refuse NaN and infinity: click's ranges let NaN through."""
    if value is not None and not math.isfinite(value):
        raise click.BadParameter(f"{value} is not a finite number.", ctx, param)
    return value


def url(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    """Check that a mirror's address starts with http:// or https://."""
    if value is not None and not value.startswith(("http://", "https://")):
        raise click.BadParameter(f"{value!r} is not a URL, such as http://host/mnist/.", ctx, param)
    return value
