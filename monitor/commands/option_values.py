"""Checks of the option values that several commands have; each raises `click.BadParameter`.

What a check needs is imported when it is made: a command that has no such option does not need it.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from monitor.errors import MissingExtra, MonitorError
from monitor.remote.urls import cache_path, is_url, spool_path
from monitor.suggestions import MAX_KNOWN, close_matches, simplified

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    StringChoice = click.Choice[str]
else:
    StringChoice = click.Choice  # which has no type parameter before click 8.2

ValueT = TypeVar("ValueT")
MAX_NAME_BYTES = 200  # in UTF-8


class NameChoice(StringChoice):
    """One of several names, however it is spelled: `LeakyReLU` and `leaky_relu` are `leaky-relu`.

    `aliases` are more spellings, such as names of the past, each with the name that it stands for.
    """

    def __init__(self, choices: Iterable[str], aliases: Mapping[str, str] | None = None) -> None:
        super().__init__(list(choices))
        self._names = {simplified(name): name for name in self.choices}
        self._names |= {simplified(alias): name for alias, name in (aliases or {}).items()}

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the name as it is listed; raise `click.BadParameter` for an unknown one, with what comes close."""
        name = self._names.get(simplified(str(value)))
        if name is not None:
            return name
        if matches := close_matches(str(value), self.choices):
            return self.fail(f"there is no {value!r}; did you mean {' or '.join(map(repr, matches))}?", param, ctx)
        more = len(self.choices) - MAX_KNOWN
        shown = ", ".join(map(repr, self.choices[:MAX_KNOWN])) + (f", … ({more} more; see --help)" if more > 0 else "")
        return self.fail(f"{value!r} is not one of {shown}.", param, ctx)


class GivenPath(click.Path):
    """A path that is not empty: `"$UNSET"` is a mistake, and not the working directory."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the path; raise `click.BadParameter` for an empty one, or for an address in a store."""
        if value == "":
            return self.fail("the path is empty.", param, ctx)
        if is_url(value):
            return self._from_url(str(value), param, ctx)
        return super().convert(value, param, ctx)

    def _from_url(self, url: str, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        return self.fail(f"{url!r} is an address in a store; a local path is needed here.", param, ctx)


class PlaceToWrite(GivenPath):
    """A path, or an address such as `s3://bucket/runs`, for which the folder is returned that is uploaded to it."""

    def _from_url(self, url: str, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        return _place(spool_path, url, param, ctx)


class PlaceToRead(GivenPath):
    """A path, or an address such as `s3://bucket/runs`, for which the folder is returned that it is downloaded to."""

    def _from_url(self, url: str, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        return _place(cache_path, url, param, ctx)


def _place(find: Callable[[str], Path], url: str, param: click.Parameter | None, ctx: click.Context | None) -> Path:
    try:
        return find(url)
    except MonitorError as error:
        raise click.BadParameter(f"{error}.", ctx, param) from error


def check_sinks(ctx: click.Context, param: click.Parameter, value: tuple[str, ...]) -> tuple[str, ...]:
    """Check the specs of sinks before anything is loaded or written; return each of them once."""
    from monitor.sinks import registry

    for spec in value:
        try:
            registry.make(spec)
        except MonitorError as error:
            raise click.BadParameter(str(error), ctx, param) from error
    return tuple(dict.fromkeys(value))


def is_installed(spec: str) -> bool:
    """Tell whether the packages of a sink are installed."""
    from monitor.sinks import registry

    try:
        registry.make(spec)
    except MissingExtra:
        return False
    return True


def alerts(ctx: click.Context, param: click.Parameter, value: tuple[str, ...]) -> tuple[str, ...]:
    """Check that alert rules can be parsed."""
    from monitor.rules.alerts import parse_rules

    return _checked(parse_rules, value, ctx, param)


def prune(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    """Check that a rule for pruning can be parsed, and says which runs compete."""
    from monitor.delivery.pruning import parse_pruning

    return _checked(parse_pruning, value, ctx, param)


def record(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    """Check what a run is to record by itself; without the option, what the environment says."""
    from monitor.recording.options import parse_record

    return _checked(parse_record, value, ctx, param)


def charts(ctx: click.Context, param: click.Parameter, value: tuple[str, ...]) -> tuple[str, ...]:
    """Check that charts can be parsed, those of the environment if there are no others."""
    from monitor.render.charts.grouping import parse_charts

    _checked(parse_charts, value or None, ctx, param)
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


def _checked(parse: Callable[[Any], object], value: ValueT, ctx: click.Context, param: click.Parameter) -> ValueT:
    """Return a value that `parse` can read."""
    try:
        parse(value)
    except MonitorError as error:
        raise click.BadParameter(str(error), ctx, param) from error
    return value
