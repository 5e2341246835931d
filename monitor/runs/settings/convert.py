"""Turn a configuration into settings: one level of names, joined by dots, and values as JSON holds them."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from typing import Any

from monitor.runs.jsonable import MAX_BYTES, to_jsonable
from monitor.runs.settings.masking import mask_settings
from monitor.runs.settings.objects import MISSING, parts_of

log = logging.getLogger("monitor")

ACCEPTED = "a mapping of names to values, a namespace, or an object of a dataclass, attrs, OmegaConf, or pydantic"


def to_settings(config: Any, name: str = "config") -> dict[str, Any]:
    """Return a configuration as settings: nested ones as `model.layers`, secrets as `***`, None as no settings.

    Args:
        config: as in `Logger`.
        name: what errors call it.

    Raises:
        TypeError: if it holds no settings, or a setting cannot be converted to text.
        ValueError: if two settings have the same name, or as in `to_jsonable`. Each error is one line.
    """
    nested = to_jsonable(as_mapping(config, name), name)
    settings: dict[str, Any] = {}
    paths: dict[str, str] = {}
    chars = 0
    for key, value, path in _leaves(nested, "", ""):
        chars += len(key)
        if chars > MAX_BYTES:
            raise ValueError(f"{name} is too large: more than {MAX_BYTES >> 20} MiB of full names")
        if key in settings:
            raise ValueError(f"{name} has two settings that are {key!r}: {name}{paths[key]} and {name}{path}")
        settings[key], paths[key] = value, path
    if settings.keys() != nested.keys():
        to_jsonable(settings, name)  # the full names may be too large
    return mask_settings(settings)


def as_mapping(config: Any, name: str = "config") -> Mapping[Any, Any]:
    """Return the first level of a configuration, by name; None has none. Raises `TypeError` for anything else."""
    if config is None:
        return {}
    try:
        parts = parts_of(config)
        if parts is None and not isinstance(config, type) and hasattr(config, "keys"):
            parts = {key: config[key] for key in config.keys()}  # noqa: SIM118 - it is no mapping
    except Exception as error:  # whatever a class of unknown origin raises
        reason = " ".join(str(error).split())[:200]
        raise TypeError(
            f"{name} cannot be read: {type(config).__name__} raises {type(error).__name__}: {reason}"
        ) from error
    if not isinstance(parts, Mapping):
        given = f"the class {config.__name__}" if isinstance(config, type) else type(config).__name__
        raise TypeError(f"{name} is {ACCEPTED}, not {given}")
    return parts


def read_settings(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings from a file as `to_settings` does; of two with the same name, the first one.

    They stay nested if their full names would be too large.
    """
    settings: dict[str, Any] = {}
    chars = 0
    for key, value, _ in _leaves(config, "", ""):
        chars += len(key)
        if chars > MAX_BYTES:
            return mask_settings(config)
        settings.setdefault(key, value)
    return mask_settings(settings)


def warn_of_missing(settings: Mapping[str, Any]) -> None:
    """Warn if settings of OmegaConf have no value yet."""
    names = [name for name, value in settings.items() if value == MISSING or (type(value) is list and MISSING in value)]
    if names and "omegaconf" in sys.modules:
        log.warning("settings without a value (%s) are recorded as such: %s", MISSING, ", ".join(names))


def _leaves(nested: Mapping[str, Any], prefix: str, path: str) -> Any:
    """Yield the name, the value, and the path of each setting; an empty mapping is one itself."""
    for key, value in nested.items():
        place = f"{path}[{key!r}]"
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, f"{prefix}{key}.", place)
        else:
            yield f"{prefix}{key}", value, place
