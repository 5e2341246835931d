"""Checks of what the command line takes."""

from __future__ import annotations

import math
from pathlib import Path

import click

from monitor.alerts import parse_rules
from monitor.errors import MissingExtra, MonitorError
from monitor.sinks import registry


def sinks(ctx: click.Context, param: click.Parameter, value: tuple[str, ...]) -> tuple[str, ...]:
    """Refuse what no sink takes before anything is loaded or written; without any, use all dashboards."""
    ctx.params["all_dashboards"] = not value
    if not value:
        return tuple(spec for spec in ("tensorboard", "visdom", "console") if _installed(spec))
    for spec in value:
        try:
            registry.make(spec)
        except MonitorError as error:
            raise click.BadParameter(str(error), ctx, param) from error
    return tuple(dict.fromkeys(value))


def _installed(spec: str) -> bool:
    try:
        registry.make(spec)
    except MissingExtra:
        return False
    return True


def alerts(ctx: click.Context, param: click.Parameter, value: tuple[str, ...]) -> tuple[str, ...]:
    try:
        parse_rules(value)
    except MonitorError as error:
        raise click.BadParameter(str(error), ctx, param) from error
    return value


def name(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    if value is None:
        return None
    if not value.strip() or value != Path(value).name or value.startswith(".") or not value.isprintable():
        raise click.BadParameter(f"{value!r} is no name for a directory; give one without '/' or a leading dot.")
    if len(value.encode("utf-8", "replace")) > 200:
        raise click.BadParameter(f"{value[:20]!r}… is too long; 200 bytes are accepted.")
    return value


def epoch_or_steps(value: str | None) -> str | int | None:
    """Read `epoch`, or a number of steps."""
    if value is None or value == "epoch":
        return value
    if not (value.isascii() and value.isdigit() and int(value) > 0):
        raise click.BadParameter(f"{value!r} is neither 'epoch' nor a number of steps, 1 or more.")
    return int(value)


def widths(ctx: click.Context, param: click.Parameter, value: str) -> list[int]:
    """Read `200,200` as widths of layers; empty means no hidden layer."""
    parts = [part.strip() for part in value.split(",")] if value.strip() else []
    if not all(part.isascii() and part.isdigit() and int(part) > 0 for part in parts):
        raise click.BadParameter(f"{value!r} is no list of widths, such as 200,200.", ctx, param)
    return [int(part) for part in parts]


def finite(ctx: click.Context, param: click.Parameter, value: float) -> float:
    """Refuse NaN and infinity, which compare with no range."""
    if not math.isfinite(value):
        raise click.BadParameter(f"{value} is no finite number.", ctx, param)
    return value


def finite_or_none(ctx: click.Context, param: click.Parameter, value: float | None) -> float | None:
    """Refuse NaN and infinity of an option that may be left out."""
    return None if value is None else finite(ctx, param, value)


def url(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    """Refuse what is no address of the web."""
    if value is not None and not value.startswith(("http://", "https://")):
        raise click.BadParameter(f"{value!r} is no URL, such as http://host/mnist/.", ctx, param)
    return value
