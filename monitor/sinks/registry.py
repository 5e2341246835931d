"""From a spec such as `visdom://127.0.0.1:8097/env` to a sink, through the entry-point group `monitor.sinks`."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from monitor.errors import MissingExtra, SpecError
from monitor.sinks.base import Sink

if TYPE_CHECKING:
    from collections.abc import Iterable

ENTRY_POINT_GROUP = "monitor.sinks"
SINK_EXTRAS = {"visdom": "training-monitor[visdom]"}


def names() -> list[str]:
    """Return the names of the installed sinks, sorted."""
    from importlib.metadata import entry_points

    return sorted({entry.name for entry in entry_points(group=ENTRY_POINT_GROUP)})


def load(name: str) -> type[Sink]:
    """Import the class of the sink `name`; raise `SpecError` where there is none, `MissingExtra` where parts lack."""
    from importlib.metadata import entry_points

    entries = entry_points(group=ENTRY_POINT_GROUP, name=name)
    if not entries:
        raise SpecError(f"unknown sink {name!r}; known sinks: {', '.join(names())}")
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
        raise SpecError(f"sink {name!r} is {cls!r}, which is no subclass of monitor.Sink")
    return cls


def make(spec: str | Sink) -> Sink:
    """Return the sink that `spec` names; a `Sink` is returned as it is."""
    if isinstance(spec, Sink):
        return spec
    if not isinstance(spec, str):
        raise TypeError(f"a sink is a spec such as 'tensorboard' or a monitor.Sink, not {type(spec).__name__}")
    try:
        parts = urlsplit(spec)
        parts.port  # noqa: B018 - reading it is what checks it
    except ValueError as error:
        raise SpecError(f"sink {spec!r}: {error}; accepted: name or name://host:port/env") from None
    name = parts.scheme or parts.path
    if parts.scheme and not spec.startswith(f"{parts.scheme}://"):
        raise SpecError(f"sink {spec!r}: accepted: name or name://host:port/env")
    return load(name).from_spec(parts)


def make_all(specs: Iterable[str | Sink]) -> list[Sink]:
    """Make the sinks in their order."""
    return [make(spec) for spec in specs]
