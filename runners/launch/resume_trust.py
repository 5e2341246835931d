"""Options of a resumed run that reach outside it: hosts and paths that its checkpoint must not decide alone.

A run folder may come from somebody else. Such an option counts only if the command line gives it again, or the user
accepts it.
"""

from __future__ import annotations

import sys
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

import click
from click.core import ParameterSource

from monitor.errors import DataError
from monitor.machine.network import is_this_machine
from monitor.render.text.escaping import escape_control_chars
from monitor.runs.jsonable import to_jsonable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from runners.launch.options import RunOptions

LOCAL_SINKS = ("tensorboard", "console", "memory")  # they write into the run, or nowhere
OUTSIDE_OPTIONS = {"sinks": "--sink", "data_dir": "--data-dir", "mnist_mirror": "--mnist-mirror", "csv": "--csv"}
MAX_VALUE_CHARS = 200


class _Option(NamedTuple):
    """An option as the command line takes it, and one value of it."""

    name: str
    value: str

    def __str__(self) -> str:
        return f"{self.name} {escape_control_chars(self.value, MAX_VALUE_CHARS)!r}"


def is_given(name: str) -> bool:
    """Tell whether the command line gives an option."""
    source = click.get_current_context().get_parameter_source(name)
    return source is ParameterSource.COMMANDLINE


def confirm_outside_options(options: RunOptions, run: Path, saved: Mapping[str, Any]) -> None:
    """Ask on a terminal whether to use the saved options that reach outside the run; refuse them elsewhere.

    Nothing is asked about options that the command line gives again, that have their default, or that
    `--trust-options` accepts. Raises `DataError` if they are not accepted.
    """
    outside = _outside_options(options, run, saved)
    if not outside or options.trust_options:
        return
    named = ", ".join(map(str, outside))
    if sys.stdin.isatty() and sys.stderr.isatty():
        click.echo(f"The checkpoint of the run {escape_control_chars(str(run))!r} reaches outside the run:", err=True)
        for option in outside:
            click.echo(f"  {option}", err=True)
        if click.confirm("Use these options?", err=True):
            return
    raise DataError(
        f"the checkpoint of the run {str(run)!r} asks for {named}, outside the run; give each again to use it, "
        "another value to change it, or --trust-options to accept them all"
    )


def _outside_options(options: RunOptions, run: Path, saved: Mapping[str, Any]) -> list[_Option]:
    """Return the saved values that reach outside the run and that nobody gave or confirmed."""
    known = {field.name for field in fields(options)}
    found = []
    for name, flag in OUTSIDE_OPTIONS.items():
        value = saved.get(name)
        if name not in known or value is None or is_given(name) or value == to_jsonable(getattr(options, name)):
            continue
        if name == "sinks":
            found += [_Option(flag, spec) for spec in value if not _is_local_sink(spec)]
        elif name == "mnist_mirror" or not _is_inside(Path(value), run):
            found.append(_Option(flag, value))
    return found


def _is_local_sink(spec: str) -> bool:
    """Tell whether a sink stays on this machine; a third party's may go anywhere."""
    if spec in LOCAL_SINKS or spec == "visdom":
        return True
    try:
        parts = urlsplit(spec)
        return parts.scheme == "visdom" and is_this_machine(parts.hostname or "")
    except ValueError:
        return False


def _is_inside(path: Path, run: Path) -> bool:
    return path.resolve().is_relative_to(run.resolve())
