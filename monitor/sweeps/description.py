"""A sweep described in a TOML file: the settings of the command line, and the space as a table."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from monitor.errors import SpaceError
from monitor.suggestions import hint
from monitor.sweeps.space import from_value

if TYPE_CHECKING:
    from pathlib import Path

TYPES: dict[str, type] = {
    "runner": str,
    "script": str,
    "module": str,
    "arguments": list,
    "set": dict,
    "metric": str,
    "value": str,
    "goal": str,
    "trials": int,
    "sampler": str,
    "engine": str,
    "seed": int,
    "retries": int,
    "name": str,
    "sinks": list,
    "prune": str,
}
WORDS = {str: "a text", list: "a list of texts", dict: "a table", int: "an int"}


def read_description(path: Path) -> dict[str, Any]:
    """Return the settings in a TOML file, `set` as a list of dimensions. Raises `SpaceError`."""
    try:
        fields = _load(path)
    except (OSError, ValueError) as error:
        raise SpaceError(f"{str(path)!r} cannot be read: {error}") from error
    for name, value in fields.items():
        if name not in TYPES:
            raise SpaceError(f"{str(path)!r} has {name!r}, which is no setting{hint(name, TYPES, 'settings')}")
        is_right = isinstance(value, TYPES[name]) and not isinstance(value, bool)
        if isinstance(value, list):
            is_right = all(isinstance(item, str) for item in value)
        if not is_right:
            raise SpaceError(f"{str(path)!r} has {name} = {value!r}; it is {WORDS[TYPES[name]]}")
    kinds = [kind for kind in ("runner", "script", "module") if kind in fields]
    if len(kinds) != 1:
        raise SpaceError(f"{str(path)!r} names {len(kinds)} programs; accepted: one of runner, script, and module")
    fields["set"] = [from_value(option, value) for option, value in fields.get("set", {}).items()]
    return fields


def _load(path: Path) -> dict[str, Any]:
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib  # of the extra `sweep`

    fields: dict[str, Any] = tomllib.loads(path.read_text("utf-8"))
    return fields
