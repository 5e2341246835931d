"""Checks of the option values that several commands have; each raises `click.BadParameter`."""

from __future__ import annotations

from pathlib import Path

import click

from monitor.alerts import parse_rules
from monitor.errors import MissingExtra, MonitorError
from monitor.recording.options import parse_record
from monitor.sinks import registry

MAX_NAME_BYTES = 200  # in UTF-8


def check_sinks(ctx: click.Context, param: click.Parameter, value: tuple[str, ...]) -> tuple[str, ...]:
    """Check the specs of sinks before anything is loaded or written; return each of them once."""
    for spec in value:
        try:
            registry.make(spec)
        except MonitorError as error:
            raise click.BadParameter(str(error), ctx, param) from error
    return tuple(dict.fromkeys(value))


def is_installed(spec: str) -> bool:
    """Tell whether the packages of a sink are installed."""
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


def record(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    """Check what a run is to record by itself; without the option, what the environment says."""
    try:
        parse_record(value)
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
