"""Checks of command-line values; each raises `click.BadParameter` with the value and what is accepted."""

from __future__ import annotations

import math

import click

from monitor.commands.option_values import check_sinks, is_installed

DEFAULT_SINKS = ("tensorboard", "visdom", "console")


def sinks(ctx: click.Context, param: click.Parameter, value: tuple[str, ...]) -> tuple[str, ...]:
    """Check the sinks before anything is loaded or written; without any, take all that are installed.

    Sets the parameter `all_dashboards`, which is true where the user names no sink.
    """
    ctx.params["all_dashboards"] = not value
    if not value:
        return tuple(spec for spec in DEFAULT_SINKS if is_installed(spec))
    return check_sinks(ctx, param, value)


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
