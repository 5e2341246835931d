"""Make a sink from a spec such as `visdom://127.0.0.1:8097/env`, through the entry-point group `monitor.sinks`."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from monitor.errors import MissingExtra, SpecError
from monitor.render.charts.grouping import parse_charts
from monitor.sinks.base import Sink
from monitor.suggestions import hint

if TYPE_CHECKING:
    from monitor.render.charts.grouping import Charts

ENTRY_POINT_GROUP = "monitor.sinks"
SPECS_VARIABLE = "MONITOR_SINKS"  # specs separated by commas; `monitor run` sets it for the script that it runs
SINK_EXTRAS = {"visdom": "training-monitor[visdom]"}


def names() -> list[str]:
    """Return the names of the installed sinks, sorted."""
    from importlib.metadata import entry_points

    return sorted({entry.name for entry in entry_points(group=ENTRY_POINT_GROUP)})


def load(name: str) -> type[Sink]:
    """Import the class of a sink.

    Raises:
        SpecError: if there is no such sink, or it is not a subclass of `Sink`.
        MissingExtra: if the packages of its extra are not installed.
    """
    from importlib.metadata import entry_points

    entries = entry_points(group=ENTRY_POINT_GROUP, name=name)
    if not entries:
        raise SpecError(f"unknown sink {name!r}{hint(name, names(), 'known sinks')}")
    try:
        cls = next(iter(entries)).load()
    except ImportError as error:
        extra = SINK_EXTRAS.get(name)
        if extra is None:
            raise
        raise MissingExtra(
            f"sink {name!r} needs packages that are not installed ({error.name or error}); pip install '{extra}'"
        ) from error
    if not (isinstance(cls, type) and issubclass(cls, Sink)):
        raise SpecError(f"sink {name!r} is {cls!r}, which is not a subclass of monitor.Sink")
    return cls


def make(spec: str | Sink) -> Sink:
    """Make the sink that a spec describes; return a `Sink` as it is.

    Raises:
        TypeError: if `spec` is neither text nor a `Sink`.
        SpecError: if the sink is unknown or the spec cannot be parsed.
        MissingExtra: if the packages of the sink are not installed.
    """
    if isinstance(spec, Sink):
        return spec
    if not isinstance(spec, str):
        raise TypeError(f"a sink is a spec such as 'tensorboard' or a monitor.Sink, not {type(spec).__name__}")
    try:
        parts = urlsplit(spec)
        parts.port  # noqa: B018 - reading the port checks it
    except ValueError as error:
        raise SpecError(f"sink {spec!r}: {error}; accepted: name or name://host:port/env") from None
    name = parts.scheme or parts.path
    if parts.scheme and not spec.startswith(f"{parts.scheme}://"):
        raise SpecError(f"sink {spec!r} cannot be parsed; accepted: name or name://host:port/env")
    return load(name).from_spec(parts)


def make_all(specs: Iterable[str | Sink] | None, charts: Charts = None) -> list[Sink]:
    """Make several sinks, in the same order; None stands for the default ones.

    They show curves in the charts that the user names, see `parse_charts`. Raises what `make` and `parse_charts` raise.
    """
    rules, specs = parse_charts(charts), as_list(specs)
    made = [make(spec) for spec in (default_specs() if specs is None else specs)]
    for sink in made if rules else ():
        sink.charts = rules
    return made


def as_list(specs: Iterable[str | Sink] | None) -> list[str | Sink] | None:
    """Return sinks as a list, and None as it is. Raises `TypeError` for what is no list of them, such as a text."""
    if isinstance(specs, str):
        raise TypeError(f"sinks is a list of sinks, such as [{specs!r}], not the text {specs!r}")
    if specs is not None and not isinstance(specs, Iterable):
        raise TypeError(f"sinks is a list of sinks, such as ['tensorboard'], not {specs!r}")
    return None if specs is None else list(specs)


def default_specs() -> list[str]:
    """Return the specs of a logger that is given none: event files, and the console or the output of a notebook."""
    ipython = sys.modules.get("IPython")  # a notebook's process has imported it
    shell = None if ipython is None else ipython.get_ipython()
    return ["tensorboard", "console" if getattr(shell, "kernel", None) is None else "notebook"]


def specs_from_environment() -> list[str]:
    """Return the specs in `MONITOR_SINKS`, for loggers that a framework makes and nobody passes sinks to."""
    return [spec.strip() for spec in os.environ.get(SPECS_VARIABLE, "").split(",") if spec.strip()]
