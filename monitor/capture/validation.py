"""Check the arguments of log calls. Each function returns the checked value; each error says what is accepted."""

from __future__ import annotations

import math
import operator
from numbers import Number
from typing import Any

from monitor.capture.snapshot import is_tensor

FLOAT_DTYPES = frozenset({"float16", "bfloat16", "float32", "float64", "float128", "longdouble"})
INTEGER_DTYPES = frozenset(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64))
CHANNELS = ([1], [3], [4])  # gray, RGB, RGBA
MIN_STEP, MAX_STEP = -(2**63), 2**63 - 1


def tag(value: Any, known_tags: set[str]) -> str:
    """Return `value` if it is text that UTF-8 can encode and not blank, and add it to `known_tags`."""
    if type(value) is str and value in known_tags:
        return value
    if not isinstance(value, str):
        raise TypeError(f"a tag must be text such as 'train/loss', not {type(value).__name__}")
    if not value.strip():
        raise ValueError(f"a tag must not be empty or blank, not {value!r}; use text such as 'train/loss'")
    checked = text(value, "a tag")
    known_tags.add(checked)
    return checked


def text(value: Any, name: str) -> str:
    """Return `value` if it is text that UTF-8 can encode."""
    if not isinstance(value, str):
        raise _error(TypeError, name, f"must be text, not {type(value).__name__}")
    try:
        plain = str.__str__(value)  # not what a subclass makes of it
        plain.encode()
    except UnicodeEncodeError as error:
        raise _error(
            ValueError, name, f"{plain!r} contains a surrogate at {error.start}, which UTF-8 cannot encode"
        ) from None
    return plain


def step(value: Any, name: str = "step") -> int:
    """Return an integer of any type as an int; it must fit in 64 bits."""
    if type(value) is int and MIN_STEP <= value <= MAX_STEP:
        return value
    try:
        if isinstance(value, bool):
            raise TypeError
        number = operator.index(value)
    except (TypeError, RuntimeError):
        raise TypeError(f"{name} must be an int, not {value!r} of type {type(value).__name__}") from None
    if not MIN_STEP <= number <= MAX_STEP:
        raise ValueError(f"{name} must be within 64 bits ({MIN_STEP} to {MAX_STEP}), not {number}")
    return number


def optional_step(value: Any) -> Any:
    """Return a step as `step` does; None stands for an automatic one, which is set before a sink gets the record."""
    return None if value is None else step(value)


def scalar(value: Any, name: str) -> Any:
    """Return a number, or the only element of an array or tensor, as a float; return a tensor on a GPU unread."""
    if is_tensor(value):
        return _read_tensor(value, name)
    shape = getattr(value, "shape", None)
    if shape is None:
        if isinstance(value, Number) and not isinstance(value, complex):
            return _to_float(value, name)
        raise _error(
            TypeError, name, f"a scalar is a number or a one-element array or tensor, not {type(value).__name__}"
        )
    if _element_count(shape) != 1:
        raise _error(
            ValueError, name, f"a scalar has one element, not shape {list(shape)}; reduce it first, as with mean()"
        )
    _check_real(value, name)
    return _to_float(value.item() if callable(getattr(value, "item", None)) else value, name)


def _read_tensor(value: Any, name: str) -> Any:
    if value.numel() != 1:
        raise _error(
            ValueError,
            name,
            f"a scalar has one element, not shape {list(value.shape)}; reduce it first, as with mean()",
        )
    if not value.is_floating_point():
        _check_real(value, name)
    if value.is_cuda:
        return value
    try:
        return float(value.item())
    except (RuntimeError, NotImplementedError) as error:
        raise _error(
            TypeError, name, f"the value of a {_dtype_name(value)} tensor on {value.device} cannot be read: {error}"
        ) from None


def images(value: Any, name: str) -> Any:
    """Return `value` as an array or tensor if its shape and dtype are those of images."""
    value = _as_array(value, name)
    shape = list(value.shape)
    if len(shape) not in (3, 4) or (len(shape) == 4 and shape[1] not in (1, 3, 4)) or 0 in shape:
        raise _error(
            ValueError,
            name,
            f"images must be N×C×H×W with 1, 3, or 4 channels, or N×H×W, with no empty dimension; not {shape}",
        )
    dtype = _dtype_name(value)
    if dtype not in ("uint8", "bool") and dtype not in FLOAT_DTYPES:
        raise _error(TypeError, name, f"images must be uint8, bool, or float in [0, 1], not {dtype}")
    return value


def picture_grid(value: Any, name: str) -> Any:
    """Return images, or one picture, as an N×C×H×W or N×H×W array or tensor, without a copy.

    Of three dimensions, a first of 1, 3, or 4 is the channels of one picture, C×H×W; a last one of that is H×W×C.
    """
    value = _as_array(value, name)
    shape = list(value.shape)
    has_channels_first, has_channels_last = shape[:1] in CHANNELS, shape[-1:] in CHANNELS
    if len(shape) == 3 and has_channels_first and has_channels_last and shape != [1, 1, 1]:
        raise _error(
            ValueError,
            name,
            f"{shape} may be C×H×W or H×W×C; put the channels first and add an axis for the one picture: 1×C×H×W",
        )
    if len(shape) == 2:
        value = value[None, None]
    elif len(shape) == 3 and has_channels_first:
        value = value[None]
    elif len(shape) == 3 and has_channels_last:
        value = (value.permute(2, 0, 1) if is_tensor(value) else value.transpose(2, 0, 1))[None]
    elif len(shape) == 4 and shape[1:2] not in CHANNELS and has_channels_last:
        raise _error(ValueError, name, f"images must be N×C×H×W; move the channels of {shape} to the second axis")
    return images(value, name)


def labels(value: Any, count: int, name: str) -> Any:
    """Return `value` as an array or tensor if it contains `count` integers, one per sample."""
    value = _as_array(value, name)
    if list(value.shape) != [count]:
        raise _error(ValueError, name, f"needs one class per sample, shape [{count}], not {list(value.shape)}")
    dtype = _dtype_name(value)
    if dtype not in INTEGER_DTYPES:
        raise _error(TypeError, name, f"classes must be integers, not {dtype}")
    return value


def numbers(value: Any, name: str) -> Any:
    """Return `value` as an array or tensor if it contains real numbers and is not empty."""
    value = _as_array(value, name)
    _check_real(value, name)
    if _element_count(value.shape) == 0:
        raise _error(ValueError, name, f"has no values: its shape is {list(value.shape)}")
    return value


def number(value: Any, name: str) -> float:
    """Return a finite real number as a float."""
    if not isinstance(value, Number) or isinstance(value, complex):
        raise _error(TypeError, name, f"must be a number, not {type(value).__name__}")
    result = _to_float(value, name)
    if not math.isfinite(result):
        raise _error(ValueError, name, f"must be finite, not {result}")
    return result


def square(value: Any, name: str) -> Any:
    """Return `value` as an array or tensor if it is a square matrix of integers and not empty."""
    value = _as_array(value, name)
    shape = list(value.shape)
    if len(shape) != 2 or shape[0] != shape[1] or shape[0] == 0:
        raise _error(ValueError, name, f"a confusion matrix must be K×K, true by predicted classes, not {shape}")
    if _dtype_name(value) not in INTEGER_DTYPES:
        raise _error(TypeError, name, f"a confusion matrix must contain integers, not {_dtype_name(value)}")
    return value


def _as_array(value: Any, name: str) -> Any:
    if is_tensor(value) and (value.device.type == "meta" or str(value.layout) != "torch.strided" or value.is_quantized):
        raise _error(TypeError, name, f"needs a dense tensor with data, not {value.layout} on {value.device}")
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        return value
    import numpy as np

    if isinstance(value, str | bytes):
        raise _error(TypeError, name, f"needs an array or a tensor, not {type(value).__name__}")
    try:
        array = np.asarray(value)
    except (TypeError, ValueError) as error:
        raise _error(TypeError, name, f"needs an array or a tensor, not {type(value).__name__}: {error}") from None
    return array


def _dtype_name(value: Any) -> str:
    return str(value.dtype).removeprefix("torch.")


def _check_real(value: Any, name: str) -> None:
    dtype = _dtype_name(value)
    if dtype not in FLOAT_DTYPES and dtype not in INTEGER_DTYPES and dtype != "bool":
        raise _error(TypeError, name, f"must contain real numbers, not {dtype}")


def _to_float(number: Any, name: str) -> float:
    try:
        return float(number)
    except Exception as error:  # whatever the methods of a class of unknown origin raise
        raise _error(ValueError, name, f"{type(number).__name__} does not fit in a 64-bit float: {error}") from None


def _element_count(shape: Any) -> int:
    count = 1
    for size in shape:
        count *= int(size)
    return count


def _error(error_type: type[Exception], name: str, reason: str) -> Exception:
    """Make an error whose message is one line, even if a tag has several."""
    return error_type(" ".join(f"{name}: {reason}".split()))
