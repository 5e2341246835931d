"""Take apart the objects that hold settings, of whichever library; none of them is imported for it."""

from __future__ import annotations

import argparse
import dataclasses
import enum
import functools
import sys
import types
from collections.abc import Mapping
from typing import Any

MISSING = "???"  # how OmegaConf writes a mandatory setting that has no value yet
_NAMED = (type, types.FunctionType, types.BuiltinFunctionType, types.MethodType)


def parts_of(value: Any) -> Mapping[Any, Any] | list[Any] | None:
    """Return the parts of a container or of an object that holds settings; None for a value without parts.

    These are mappings, lists, tuples, named tuples, namespaces, dataclasses, and the objects of attrs, OmegaConf
    (resolved), and pydantic. Parts without a value are `???`. Raises what the object raises.
    """
    if value is None or isinstance(value, str | bytes | int | float | type):
        return None
    omegaconf = sys.modules.get("omegaconf")
    if isinstance(value, _class(omegaconf, "DictConfig")):
        return {key: _omegaconf_part(omegaconf, value, key) for key in value.keys()}  # noqa: SIM118 - values may miss
    if isinstance(value, _class(omegaconf, "ListConfig")):
        return [_omegaconf_part(omegaconf, value, place) for place in range(len(value))]
    if isinstance(value, Mapping):
        return value
    if isinstance(value, tuple) and isinstance(getattr(value, "_fields", None), tuple):
        return dict(zip(value._fields, value))  # type: ignore[attr-defined]
    if isinstance(value, list | tuple):
        return list(value)
    if isinstance(value, argparse.Namespace | types.SimpleNamespace):
        return vars(value)
    if dataclasses.is_dataclass(value):
        return _attributes(value, [field.name for field in dataclasses.fields(value)])
    declared = getattr(type(value), "__attrs_attrs__", None)
    if isinstance(declared, tuple):
        return _attributes(value, [attribute.name for attribute in declared])
    return _pydantic_parts(value)


def name_of(value: Any) -> str | None:
    """Return the name by which code refers to a class, a function, or a member of an enum; None for other values."""
    if isinstance(value, enum.Enum):
        return value.name or str(value)
    if isinstance(value, functools.partial):
        arguments = [*map(_text, value.args), *(f"{name}={_text(item)}" for name, item in value.keywords.items())]
        return f"partial({', '.join([_text(value.func), *arguments])})"
    if isinstance(value, _NAMED):
        module = getattr(value, "__module__", None)
        return value.__qualname__ if module in (None, "builtins") else f"{module}.{value.__qualname__}"
    return None


def _text(value: Any) -> str:
    return name_of(value) or repr(value)


def _class(module: types.ModuleType | None, name: str) -> Any:
    """Return a class of a module that may not be imported, or only in part; then one that nothing is an instance of."""
    return getattr(module, name, ()) if module is not None else ()


def _omegaconf_part(omegaconf: Any, container: Any, key: Any) -> Any:
    if omegaconf.OmegaConf.is_missing(container, key):
        return MISSING
    try:
        return container[key]
    except _class(sys.modules.get("omegaconf.errors"), "InterpolationToMissingValueError"):
        return MISSING


def _attributes(value: Any, names: list[str]) -> dict[str, Any]:
    """Return the attributes that are set."""
    return {name: getattr(value, name) for name in names if hasattr(value, name)}


def _pydantic_parts(value: Any) -> Mapping[Any, Any] | list[Any] | None:
    """Return the fields of a model of pydantic 1 or 2, without those that it excludes; None for anything else."""
    kind = type(value)
    fields = getattr(kind, "__pydantic_fields__", None)
    if fields is None and hasattr(kind, "__fields_set__"):  # a model of pydantic 1
        fields = getattr(kind, "__fields__", None)
    if not isinstance(fields, dict):
        return None
    if getattr(kind, "__pydantic_root_model__", False):
        root = value.root
        return {"root": root} if (parts := parts_of(root)) is None else parts
    extra = getattr(value, "__pydantic_extra__", None) or {}
    held = {**vars(value), **extra}
    shown = [name for name, field in fields.items() if getattr(field, "exclude", None) is not True]
    return {name: held[name] for name in [*shown, *extra] if name in held}
