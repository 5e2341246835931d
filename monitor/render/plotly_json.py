"""Write figures of Plotly as JSON that every release of plotly.js reads, and read them."""

from __future__ import annotations

import base64
import json
import math
from typing import Any

MAX_DEPTH = 50


def encode_figure(figure: Any) -> str:
    """Return the `data` and `layout` of a figure as JSON: arrays as lists, NaN and infinity as null.

    Plotly 6 encodes arrays as base64, which the plotly.js of Visdom does not know. Other things become text. Raises
    `ValueError` if something contains itself.
    """
    content = {"data": list(figure["data"]), "layout": figure.get("layout") or {}}
    return json.dumps(_plain(content, 0), allow_nan=False, separators=(",", ":"))


def decode_figure(content: str) -> tuple[list[Any], dict[str, Any]]:
    """Return the `data` and `layout` of a figure. Raises `ValueError` for JSON that is no figure."""
    figure = json.loads(content)
    data, layout = (figure.get("data"), figure.get("layout", {})) if isinstance(figure, dict) else (None, None)
    if not isinstance(data, list) or not isinstance(layout, dict) or not all(isinstance(trace, dict) for trace in data):
        raise ValueError("this is not a figure of Plotly")
    return data, layout


def _plain(value: Any, depth: int) -> Any:
    """Return what JSON holds."""
    if depth > MAX_DEPTH:
        raise ValueError(f"a figure is nested more than {MAX_DEPTH} levels deep")
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        if value.keys() >= {"dtype", "bdata"}:
            return _plain(_decode_array(value), depth)
        return {str(key): _plain(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item, depth + 1) for item in value]
    if callable(getattr(value, "tolist", None)):  # an array or a number of NumPy, or a column of pandas
        return _plain(_to_list(value), depth)
    if callable(getattr(value, "isoformat", None)):
        return value.isoformat()
    if callable(getattr(value, "to_plotly_json", None)):
        return _plain(value.to_plotly_json(), depth + 1)
    return str(value)


def _to_list(value: Any) -> Any:
    """Return what an array holds, float32 with its own digits and not those of a float64."""
    if str(getattr(value, "dtype", "")) == "float32" and value.ndim == 1:
        return [float(text) for text in value.astype(str)]
    return value.tolist()


def _decode_array(encoded: dict[str, Any]) -> Any:
    """Return the array that Plotly 6 writes as base64."""
    import numpy as np

    data = encoded["bdata"]
    array = np.frombuffer(base64.b64decode(data) if isinstance(data, str) else data, np.dtype(encoded["dtype"]))
    shape = encoded.get("shape")
    if isinstance(shape, str):
        shape = [int(size) for size in shape.split(",")]
    return array if shape is None else array.reshape(shape)
