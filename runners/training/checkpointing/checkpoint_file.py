"""Read a checkpoint file of unknown origin: bounded by its size, without running code, every field of its type."""

from __future__ import annotations

import hashlib
import io
import math
import zipfile
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch

from monitor.machine.files import open_regular
from monitor.runs.jsonable import to_jsonable

if TYPE_CHECKING:
    from pathlib import Path

CHECKPOINT_FORMAT = 1
DIGEST_CHARS = 16  # of the SHA-256 checksum, in the file's name
REQUIRED_KEYS = ("format", "config", "options", "data", "at", "model", "optimizer", "scheduler", "random")
COUNTS = ("epoch", "first", "step", "tested", "waited")  # in `at`
MAX_COUNT = 2**62


def digest(data: bytes | memoryview) -> str:
    """Return the checksum that a checkpoint has in its name."""
    return hashlib.sha256(data).hexdigest()[:DIGEST_CHARS]


def read_checkpoint(file: Path) -> dict[str, Any]:
    """Return the contents of a checkpoint, its config, options, and data as JSON holds them.

    Raises `OSError` for a file that cannot be read, and many kinds of exceptions for one that is damaged or is not what
    its name says.
    """
    with open_regular(file) as opened:
        data = opened.read()
    if not file.stem.endswith(digest(data)):
        raise ValueError("its checksum is not the one in its name")
    _check_archive(data)
    contents = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    missing = [key for key in REQUIRED_KEYS if key not in contents]
    if missing or contents["format"] != CHECKPOINT_FORMAT:
        raise ValueError(f"it has another format: {', '.join(missing) or contents['format']}")
    for key in ("config", "options", "data"):
        contents[key] = to_jsonable(contents[key], key)
    problem = _problem(contents)
    if problem:
        raise ValueError(problem)
    _check_tensors(contents, 0, set())
    return dict(contents)


def _check_archive(data: bytes) -> None:
    """Check that an archive holds no more than its size: PyTorch stores its parts without compression."""
    if not data.startswith(b"PK"):
        return  # an older format, whose parts are not compressed
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        parts = archive.infolist()
    if any(part.compress_type != zipfile.ZIP_STORED for part in parts):
        raise ValueError("a part of it is compressed")
    if sum(part.file_size for part in parts) > len(data):
        raise ValueError("its parts overlap")


def _problem(contents: Mapping[str, Any]) -> str | None:
    """Return which field has the wrong type, or None."""
    at = contents["at"]
    is_right = {
        "config": isinstance(contents["config"], dict),
        "options": isinstance(contents["options"], dict),
        "data": isinstance(contents["data"], list),
        "at": isinstance(at, dict) and all(_is_count(at.get(key)) for key in COUNTS) and _is_number(at.get("best")),
        "model": isinstance(contents["model"], Mapping)
        and all(isinstance(k, str) and isinstance(v, torch.Tensor) for k, v in contents["model"].items()),
        "optimizer": isinstance(contents["optimizer"], Mapping),
        "scheduler": isinstance(contents["scheduler"], Mapping | None),
        "random": isinstance(contents["random"], list) and all(map(_is_random_state, contents["random"])),
    }
    wrong = next((key for key, right in is_right.items() if not right), None)
    if wrong is None:
        is_best = _is_metrics(at.get("best_test", {})) and _is_count(at.get("best_step", 0))  # not in older ones
        wrong = None if _is_metrics(at.get("newest")) and is_best else "at"
    return None if wrong is None else f"its field {wrong!r} is not what a checkpoint has there"


def _is_random_state(value: Any) -> bool:
    if not isinstance(value, dict) or not isinstance(value.get("numpy"), list | tuple) or len(value["numpy"]) < 2:
        return False
    tensors = [value.get("torch"), value["numpy"][1]]
    is_flat = all(isinstance(tensor, torch.Tensor) and tensor.ndim == 1 for tensor in tensors)
    return is_flat and isinstance(value.get("cuda"), list) and isinstance(value.get("python"), tuple | list)


def _is_metrics(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(k, str) and _is_number(v) for k, v in value.items())


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and -1 <= value < MAX_COUNT


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _check_tensors(value: Any, depth: int, seen: set[int]) -> None:
    """Check that no tensor claims more elements than are stored, so that a copy of it is not larger."""
    if isinstance(value, torch.Tensor):
        stored = value.untyped_storage().nbytes() if value.layout is torch.strided else 0
        if math.prod(value.shape) * value.element_size() > stored:
            raise ValueError("a tensor has more elements than are stored")
    elif isinstance(value, Mapping | list | tuple):
        if id(value) in seen:
            return
        seen.add(id(value))
        if depth > 30:
            raise ValueError("it is nested too deeply")
        for item in value.values() if isinstance(value, Mapping) else value:
            _check_tensors(item, depth + 1, seen)
