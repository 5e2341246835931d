"""What a log call takes, what it refuses, and what it makes of it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from monitor import records as r

if TYPE_CHECKING:
    from pathlib import Path

    from monitor.sinks.memory import MemorySink
from tests.support.loggers import make


class Unreadable(float):
    """A number of a class of its own."""

    def __float__(self) -> float:
        raise RuntimeError("the value is elsewhere")


@pytest.mark.parametrize(
    "value",
    [0.5, 1, True, np.float32(0.5), np.array(0.5), np.array([2]), torch.tensor(0.5, requires_grad=True),
     torch.tensor([3]), torch.tensor(0.5, dtype=torch.bfloat16), torch.tensor(True), float("inf"), 2**53],
    ids=repr,
)  # fmt: skip
def test_a_scalar_is_any_one_real_number(tmp_path: Path, sink: MemorySink, value: Any) -> None:
    with make(tmp_path, sink) as log:
        log.scalar("a", value, 3)
        log.scalars({"b": value, "c": 0.25}, np.int64(4))
    wanted = float(value) if isinstance(value, float | int) else value.item()
    assert sink.series("a") == [(3, wanted)]
    assert sink.series("b") == [(4, wanted)]
    assert sink.series("c") == [(4, 0.25)]


@pytest.mark.parametrize(
    ("tag", "value", "step", "error", "says"),
    [
        ("", 1.0, 0, ValueError, "a tag must not be empty or blank, not ''"),
        ("  ", 1.0, 0, ValueError, "a tag must not be empty"),
        (3, 1.0, 0, TypeError, "a tag must be text such as 'train/loss', not int"),
        (["a"], 1.0, 0, TypeError, "a tag must be text such as 'train/loss', not list"),
        ("\ud800", 1.0, 0, ValueError, "surrogate"),
        ("a", "high", 0, TypeError, "a: a scalar is a number or a one-element array or tensor, not str"),
        ("a", None, 0, TypeError, "not NoneType"),
        ("a", 1j, 0, TypeError, "not complex"),
        ("a", 10**400, 0, ValueError, "does not fit in a 64-bit float"),
        ("a", Unreadable(3.0), 0, ValueError, "a: Unreadable does not fit in a 64-bit float: the value is elsewhere"),
        ("a", torch.ones(3), 0, ValueError, r"a: a scalar has one element, not shape \[3\]; reduce it first"),
        ("a", np.ones((2, 2)), 0, ValueError, r"not shape \[2, 2\]"),
        ("a", torch.tensor(1j), 0, TypeError, "a: must contain real numbers, not complex64"),
        ("a", 1.0, 0.5, TypeError, "step must be an int, not 0.5 of type float"),
        ("a", 1.0, "7", TypeError, "step must be an int, not '7' of type str"),
        ("a", 1.0, True, TypeError, "step must be an int, not True of type bool"),
        ("a", 1.0, 2**63, ValueError, "step must be within 64 bits"),
    ],
)
def test_what_is_no_scalar_raises_at_the_call_and_loses_nothing(
    tmp_path: Path, sink: MemorySink, tag: Any, value: Any, step: Any, error: type[Exception], says: str
) -> None:
    with make(tmp_path, sink) as log:
        log.scalar("a", 1.0, 0)
        with pytest.raises(error, match=says) as caught:
            log.scalar(tag, value, step)
        assert "\n" not in str(caught.value)
        if not isinstance(tag, list):
            with pytest.raises(error, match=says):
                log.scalars({"a": 2.0, tag: value}, step)
        log.scalar("a", 3.0, 2)
    assert sink.series("a") == [(0, 1.0), (2, 3.0)], "all of a call or none of it"


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (lambda log: log.images("s", torch.ones(28), 0), ValueError, r"N×C×H×W .* not \[28\]"),
        (lambda log: log.images("s", torch.ones(3, 28, 4), 0), ValueError, r"\[3, 28, 4\] may be C×H×W or H×W×C"),
        (lambda log: log.images("s", torch.ones(5, 28, 28, 3), 0), ValueError, "move the channels"),
        (lambda log: log.images("s", torch.ones(5, 28, 28), 0, normalize=1), TypeError, "normalize must be True or F"),
        (lambda log: log.images("s", torch.ones(5, 2, 28, 28), 0), ValueError, r"not \[5, 2, 28, 28\]"),
        (lambda log: log.images("s", torch.ones(0, 1, 28, 28), 0), ValueError, "no empty dimension"),
        (lambda log: log.images("s", torch.ones(5, 1, 8, 8, dtype=torch.int64), 0), TypeError, "not int64"),
        (lambda log: log.images("s", "cat.png", 0), TypeError, "needs an array or a tensor, not str"),
        (lambda log: log.predictions("p", torch.ones(5, 8, 8), [1], [1, 2, 3, 4, 5], 0), ValueError,
         r"p: predicted: needs one class per sample, shape \[5\], not \[1\]"),
        (lambda log: log.predictions("p", torch.ones(1, 8, 8), [1], [0.5], 0), TypeError,
         "target: classes must be integers"),
        (lambda log: log.text("t", 7, 0), TypeError, "t: must be text, not int"),
        (lambda log: log.text("t", "\udfff", 0), ValueError, "surrogate"),
        (lambda log: log.histogram("h", [], 0), ValueError, "has no values"),
        (lambda log: log.histogram("h", ["a"], 0), TypeError, "must contain real numbers"),
        (lambda log: log.curve("c", [1, 2], [1, 2, 3], 0), ValueError, r"same shape, not \[2\] and \[3\]"),
        (lambda log: log.scalars([1.0], 0), TypeError, "a mapping of tags to values, not list"),
        (lambda log: log.progress(0.5, 1, 0, 1), TypeError, "epoch must be an int"),
    ],
)  # fmt: skip
def test_other_bad_input_raises_at_the_call(
    tmp_path: Path, sink: MemorySink, call: Any, error: type[Exception], says: str
) -> None:
    with make(tmp_path, sink) as log, pytest.raises(error, match=says):
        call(log)
    assert [type(record) for record in sink.records] == [r.Config]


def test_what_is_logged_is_the_value_at_the_call(tmp_path: Path, sink: MemorySink) -> None:
    with make(tmp_path, sink) as log:
        scalar, images, values = torch.tensor(1.0), torch.zeros(2, 1, 4, 4), np.arange(3.0)
        group = {"b": 1.0}
        log.scalar("b", 0.0, 0)
        log.scalar("a", scalar, 0)
        log.scalars(group, 1)
        log.images("i", images, 0)
        log.histogram("h", values, 0)
        log.curve("c", values, values, 0)
        log.predictions("p", images, torch.tensor([1, 2]), np.array([1, 3]), 0)
        scalar += 1
        images += 1
        values += 1
        group["b"] = 9.0
    assert sink.series("a") == [(0, 1.0)]
    assert sink.series("b") == [(0, 0.0), (1, 1.0)]
    assert sink.of(r.Images)[0].images.max() == 0
    assert sink.of(r.Histogram)[0].values.tolist() == [0, 1, 2]
    assert sink.of(r.Curve)[0].y.tolist() == [0, 1, 2]
    assert sink.of(r.Predictions)[0].target.tolist() == [1, 3]


@pytest.mark.parametrize(
    ("images", "wanted"),
    [
        (torch.tensor([0.0, 0.5, 1.0, 7.0]).reshape(1, 1, 2, 2), [0, 128, 255, 255]),
        (torch.tensor([0.0, 0.5, 1.0, float("nan")], dtype=torch.bfloat16).reshape(1, 2, 2), [0, 128, 255, 0]),
        (np.array([0, 1, 2, 255], np.uint8).reshape(1, 1, 2, 2), [0, 1, 2, 255]),
        (np.array([True, False, True, True]).reshape(1, 2, 2), [255, 0, 255, 255]),
        (torch.arange(8, dtype=torch.uint8).reshape(1, 1, 2, 4)[..., ::2], [0, 2, 4, 6]),
    ],
)
def test_images_become_uint8(tmp_path: Path, sink: MemorySink, images: Any, wanted: list[int]) -> None:
    with make(tmp_path, sink) as log:
        log.images("i", images, 0)
    (record,) = sink.of(r.Images)
    assert record.images.shape == (1, 1, 2, 2)
    assert record.images.ravel().tolist() == wanted


@pytest.mark.parametrize(
    ("shape", "wanted"),
    [
        ((5, 7), (1, 1, 5, 7)),
        ((1, 5, 7), (1, 1, 5, 7)),
        ((3, 5, 7), (1, 3, 5, 7)),
        ((4, 5, 7), (1, 4, 5, 7)),
        ((5, 7, 3), (1, 3, 5, 7)),
        ((5, 7, 1), (1, 1, 5, 7)),
        ((2, 5, 7), (2, 1, 5, 7)),
        ((9, 5, 7), (9, 1, 5, 7)),
    ],
)
@pytest.mark.parametrize("kind", [np.asarray, torch.as_tensor])
def test_one_picture_is_not_a_row_of_gray_ones(
    tmp_path: Path, sink: MemorySink, kind: Any, shape: tuple[int, ...], wanted: tuple[int, ...]
) -> None:
    values = np.arange(math.prod(shape), dtype=np.uint8).reshape(shape)
    with make(tmp_path, sink) as log:
        log.images("i", kind(values), 0)
    (record,) = sink.of(r.Images)
    assert record.images.shape == wanted
    channels_last = wanted[1] > 1 and shape[-1] == wanted[1]
    assert (record.images[0] == (values.transpose(2, 0, 1) if channels_last else values.reshape(wanted)[0])).all()


def test_values_outside_the_range_are_told_once_or_scaled(
    tmp_path: Path, sink: MemorySink, caplog: pytest.LogCaptureFixture
) -> None:
    standardized = torch.tensor([-0.4242, 0.0, 2.8215, float("inf")]).reshape(1, 1, 2, 2)
    with make(tmp_path, sink) as log:
        for step in range(3):
            log.images("clipped", standardized, step)
        log.images("scaled", standardized[..., :1, :], 0, normalize=True)
        log.images("scaled", standardized.nan_to_num(posinf=2.8215), 1, normalize=True)
        log.images("flat", torch.full((2, 2), 7.0), 0, normalize=True)
        log.images("rounded", torch.tensor([[1.0005, -0.0005]]), 0)
        log.predictions("p", standardized, torch.tensor([1]), torch.tensor([1]), 0)
        log.predictions("q", standardized, torch.tensor([1]), torch.tensor([1]), 0, normalize=True)
    told = [record.getMessage() for record in caplog.records if "clipped" in record.getMessage()]
    assert sorted(told) == [
        f"{tag}: values from -0.4242 to 2.822 are clipped to [0, 1]; normalize=True scales the lowest to black and the "
        "highest to white"
        for tag in ("clipped", "p")
    ]
    shown = {(record.tag, record.step): record.images.ravel().tolist() for record in sink.of(r.Images)}
    assert shown["clipped", 0] == [0, 0, 255, 255]
    assert shown["scaled", 0] == [0, 255]
    assert shown["scaled", 1] == [0, 33, 255, 255]
    assert shown["flat", 0] == [0, 0, 0, 0]
    assert sink.of(r.Predictions)[1].images.ravel().tolist() == [0, 33, 255, 255]
