"""Turn settings and other values of unknown types into what JSON holds, so that `run.json` can be read back."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from monitor.runs.run_schema import MAX_DEPTH, MAX_FILE_BYTES, MAX_NUMBER
from monitor.runs.settings.objects import name_of, parts_of

MAX_BYTES = MAX_FILE_BYTES // 2  # of one value in the file; the rest is for the other fields
MAX_NESTING = MAX_DEPTH - 2  # of lists and objects in a setting: the file and its `config` are two levels
MAX_PATH_PARTS, MAX_PART_CHARS, MAX_REASON_CHARS = 6, 40, 120  # in an error


def to_jsonable(value: Any, name: str = "value") -> Any:
    r"""Return `value` as JSON holds it: numbers, text, lists, and objects stay, anything else becomes text.

    Namespaces, named tuples, dataclasses, and the objects of attrs, OmegaConf, and pydantic become objects. A class, a
    function, or a member of an enum becomes its name, unless that member is itself a text or a number. NaN, infinity,
    and integers that fit no float become text. An array or tensor of one element becomes its element. In text and in
    keys, surrogates, which UTF-8 does not have, are written as `\ud800`. `value` is not changed.

    Raises:
        TypeError: if converting a part of it to text fails.
        ValueError: if a part contains itself, is nested more than 30 levels deep, or is larger than 8 MiB as JSON; or
            if two keys of an object are the same as text. Each error is one line that starts with the path of the
            part, such as `config['model']['layers']`; `name` is the first part of it.
    """
    try:
        return _Converter(name).convert(value, ())
    except _Refused as refused:
        raise refused.kind(str(refused)) from refused.__cause__


class _Converter:
    """Converts one value; `path` is the keys and indices from there to a part of it."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._bytes_left = MAX_BYTES
        self._parents: list[int] = []  # the ids of the containers around the part

    def convert(self, value: Any, path: tuple[Any, ...]) -> Any:
        """Return a part of the value as JSON holds it."""
        try:
            parts = parts_of(value)
            if isinstance(parts, Mapping):
                items: Any = list(parts.items())
            elif isinstance(parts, list):
                items = parts
            elif isinstance(value, set | frozenset):
                items = list(value)
            else:
                return self._convert_single(value, path)
        except _Refused:
            raise
        except Exception as error:  # whatever the methods of a class of unknown origin raise
            raise self._error(TypeError, path, f"cannot be stored: {_reason(error, value)}") from error
        if id(value) in self._parents:
            raise self._error(ValueError, path, "contains itself")
        if len(self._parents) >= MAX_NESTING:
            raise self._error(ValueError, path, f"is nested more than {MAX_NESTING} levels deep")
        self._parents.append(id(value))
        if isinstance(parts, Mapping):
            converted: Any = self._convert_items(items, path)
        else:
            converted = [self.convert(item, (*path, index)) for index, item in enumerate(items)]
            if isinstance(value, set | frozenset):
                converted.sort(key=json.dumps)  # sets have no order, and that of texts differs between processes
        self._parents.pop()
        return converted

    def _convert_items(self, items: list[tuple[Any, Any]], path: tuple[Any, ...]) -> dict[str, Any]:
        """Return the items of a mapping, with text as keys."""
        keys: dict[str, Any] = {}
        converted = {}
        for key, item in items:
            try:
                text = _plain_text(key if isinstance(key, str) else str(key))
            except Exception as error:
                reason = f"has a key that cannot be stored: {_reason(error, key)}"
                raise self._error(TypeError, path, reason) from error
            if text in keys:
                both = f"{_short(keys[text])} and {_short(key)}"
                raise self._error(ValueError, path, f"has two keys that are the same as text: {both}")
            keys[text] = key
            self._count(text, (*path, text))
            converted[text] = self.convert(item, (*path, text))
        return converted

    def _convert_single(self, value: Any, path: tuple[Any, ...]) -> Any:
        """Return a value that is no container: of a basic type, or the only element of an array, or its text."""
        if isinstance(value, str):
            return self._count(_plain_text(value), path)
        if value is None or isinstance(value, bool):
            return self._count(value, path)
        if isinstance(value, int | float):
            return self._count(_plain_number(value), path)
        named = name_of(value)
        element = None if named else _only_element(value)
        if isinstance(element, str | bool | int | float):
            return self._convert_single(element, path)
        is_bytes = isinstance(value, bytes | bytearray)
        return self._count(_plain_text(named or (repr(value) if is_bytes else str(value))), path)

    def _count(self, value: Any, path: tuple[Any, ...]) -> Any:
        """Return a value that has no parts, if there is still room for it."""
        self._bytes_left -= 2 * len(self._parents) + _json_size(value)
        if self._bytes_left < 0:
            raise self._error(ValueError, path[:1], f"is too large: more than {MAX_BYTES >> 20} MiB")
        return value

    def _error(self, kind: type[Exception], path: tuple[Any, ...], problem: str) -> _Refused:
        parts = [f"[{_short(part)}]" for part in path]
        if len(parts) > MAX_PATH_PARTS:
            parts = [*parts[: MAX_PATH_PARTS // 2], "…", *parts[-MAX_PATH_PARTS // 2 :]]
        return _Refused(kind, f"{self._name}{''.join(parts)} {problem}")


class _Refused(Exception):
    """An error of this module, on its way out: it is not taken for one of a value's own methods.

    Attributes:
        kind: what is raised in the end.
    """

    def __init__(self, kind: type[Exception], message: str) -> None:
        super().__init__(message)
        self.kind = kind


def _only_element(value: Any) -> Any:
    """Return the only element of an array or tensor; None for anything else."""
    item, numel = getattr(value, "item", None), getattr(value, "numel", None)
    count = numel() if callable(numel) else getattr(value, "size", None)
    if not callable(item) or not isinstance(count, int) or count != 1:
        return None
    try:
        return item()
    except Exception:  # a tensor without data
        return None


def _json_size(value: Any) -> int:
    """Return about how many bytes a value without parts takes in a file, with its separators."""
    if isinstance(value, str):
        is_plain = value.isascii() and value.isprintable()
        return 6 + (len(value) if is_plain else len(json.dumps(value, ensure_ascii=False).encode()))
    return 30 if not isinstance(value, int) or abs(value) < 2**63 else 320


def _plain_text(text: str) -> str:
    """Return text, of any subclass, as UTF-8 holds it."""
    return str.encode(text, "utf-8", "backslashreplace").decode()


def _plain_number(number: Any) -> Any:
    """Return an int or a float, of any subclass, as such; as text if a float cannot hold it."""
    if isinstance(number, int):
        whole = int(number)
        return whole if abs(whole) <= MAX_NUMBER else str(whole)
    real = float(number)
    return real if math.isfinite(real) else str(real)


def _reason(error: Exception, value: Any) -> str:
    """Say in one line what converting a value raised."""
    try:
        text = _plain_text(" ".join(str(error).split()))[:MAX_REASON_CHARS]
    except Exception:  # an error whose own text fails
        text = ""
    return f"{type(value).__name__} raises {type(error).__name__}" + (f": {text}" if text else "")


def _short(part: Any) -> str:
    try:
        text = ascii(part)
    except Exception:
        return f"<{type(part).__name__}>"
    return text if len(text) <= MAX_PART_CHARS else f"{text[:MAX_PART_CHARS]}…"
