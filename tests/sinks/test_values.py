"""Whatever is logged either raises at the call, saying why, or reads back equal in every sink that takes it."""

from __future__ import annotations

import io
import math
import os
import tempfile
from contextlib import contextmanager
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson
import pytest
import torch
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from monitor import Logger
from monitor import records as r
from monitor.sinks.memory import MemorySink
from monitor.sinks.tensorboard import TensorBoardSink
from monitor.sinks.visdom.sink import VisdomSink
from tests.support import event_reader

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

EXAMPLES = int(os.environ.get("MONITOR_FUZZ", "300"))  # `make fuzz` sets it
BATCH = 25  # of one example: what is dear is a logger, not a value
fuzz = settings(
    max_examples=max(1, EXAMPLES // BATCH), deadline=None, suppress_health_check=list(HealthCheck), derandomize=True
)

NUMPY = [np.dtype(code) for code in "?bhilqBHILQefdg"]
TORCH = [
    torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64, torch.uint16, torch.uint32, torch.uint64,
    torch.bool,
    torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.float8_e4m3fn, torch.float8_e5m2,
]  # fmt: skip

floats = st.floats(allow_nan=True, allow_infinity=True, allow_subnormal=True)
plain_numbers = st.one_of(
    floats,
    st.integers(),
    st.integers(-(2**70), 2**70),
    st.integers(10**300, 10**320),
    st.booleans(),
    st.decimals(),
    st.fractions(),
)
numpy_scalars = st.sampled_from(NUMPY).flatmap(hnp.from_dtype).map(np.asarray)
torch_kinds = st.sampled_from(TORCH)
torch_scalars = st.builds(lambda value, kind: torch.tensor(value).to(kind), st.floats(-200, 200), torch_kinds)
odd = st.one_of(
    st.complex_numbers(),
    st.text(max_size=3),
    st.none(),
    st.builds(torch.zeros, st.lists(st.integers(0, 3), max_size=3)),
    st.just(torch.tensor(1 + 1j)),
    st.just(torch.empty((), device="meta")),
    st.just(np.datetime64("2026-01-01")),
    st.lists(floats, max_size=2),
)
values = st.one_of(plain_numbers, numpy_scalars, torch_scalars, odd)
odd_tags = ["a/b", "", " ", "\ud800", "\x00", "config"]
tags = st.one_of(st.text(max_size=20), st.text(st.characters(), max_size=5), st.sampled_from(odd_tags))
steps = st.one_of(
    st.integers(-(2**63), 2**63 - 1), st.integers(), st.integers(0, 5), st.floats(), st.none(), st.booleans()
)


class Watch:
    """A logger on real sinks, and what it took."""

    def __init__(self, folder: Path) -> None:
        self.memory = MemorySink()
        self.log = Logger(folder / "run", [self.memory, TensorBoardSink(), Undelivered()])
        self.accepted: list[tuple[Any, ...]] = []
        self.refused: list[str] = []

    def call(self, name: str, *arguments: Any) -> bool:
        try:
            getattr(self.log, name)(*arguments)
        except (TypeError, ValueError) as error:
            self.refused.append(str(error))
            return False
        self.accepted.append((name, *arguments))
        return True


class Undelivered(VisdomSink):
    """Visdom's sink, drawing every window and writing strict JSON, without a server."""

    def flush(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            self.save(Path(folder))
            (file,) = Path(folder).glob("*.json")
            orjson.loads(file.read_bytes())


@contextmanager
def watch() -> Iterator[Watch]:
    """Make a logger; at the end no sink may have failed on anything that it took."""
    with tempfile.TemporaryDirectory() as folder:
        watched = Watch(Path(folder))
        yield watched
        assert watched.log.close(timeout=60), watched.log.stats()
        assert all(why and "\n" not in why for why in watched.refused)
        for name, s in watched.log.stats().sinks.items():
            assert (s.failed, s.dropped, s.pending) == (0, 0, 0), (name, s.last_error)


def as_float(value: Any) -> float:
    """Say what a value is, on a way of its own."""
    if isinstance(value, torch.Tensor):
        return value.double().item() if value.dtype.is_floating_point else float(int(value.item()))
    return float(value)


def is_step(found: int, given: Any) -> bool:
    """Tell whether a record has the step that a call gave, or any that can be counted if it gave none."""
    return found >= 0 if given is None else found == int(given)


def same(one: float, two: float) -> bool:
    return one == two or (math.isnan(one) and math.isnan(two))


@fuzz
@given(st.lists(st.tuples(tags, values, steps), min_size=1, max_size=BATCH))
@example([("a", 5e-324, -(2**63)), ("a", 1.7e308, 2**63 - 1), ("a", float("nan"), 0), ("a", -0.0, -1)])
def test_scalars(calls: list[tuple[Any, Any, Any]]) -> None:
    with watch() as watched:
        for call in calls:
            watched.call("scalar", *call)
        for tag, value, step in calls:
            watched.call("scalars", {"one": 1.0, tag: value}, step)
        watched.log.close()
        wanted = []
        for name, *arguments in watched.accepted:
            if name == "scalar":
                wanted.append((arguments[0], as_float(arguments[1]), arguments[2]))
            else:
                wanted += [(tag, as_float(value), arguments[1]) for tag, value in arguments[0].items()]
        kept = watched.memory.of(r.Scalar)
        assert len(kept) == len(wanted)
        for record, (tag, value, step) in zip(kept, wanted):
            assert record.tag == tag
            assert is_step(record.step, step)
            assert same(record.value, value)
        found = event_reader.read(watched.log.run.path)
        for tag in {tag for tag, _, _ in wanted}:
            points = [(record.step, record.value) for record in kept if record.tag == tag]
            read = [(event.step, event.value) for event in found.Scalars(tag)]
            assert [step for step, _ in read] == [step for step, _ in points]
            with np.errstate(over="ignore"):
                assert all(same(value, float(np.float32(point))) for (_, value), (_, point) in zip(read, points))


CHANNELS = (1, 3, 4)
shapes = hnp.array_shapes(min_dims=0, max_dims=5, min_side=0, max_side=6)
sizes = st.tuples(st.integers(1, 4), st.sampled_from([1, 2, 3]), st.integers(1, 40), st.integers(1, 40))


@st.composite
def pictures(draw: Callable[[Any], Any]) -> Any:
    kind = np.dtype(draw(st.sampled_from("?Befdlg")))
    array = np.asarray(draw(hnp.arrays(kind, draw(st.one_of(shapes, sizes, sizes)), fill=hnp.from_dtype(kind))))
    form = draw(st.sampled_from(["as it is", "reversed", "tensor", "bfloat16", "requires grad", "channels last"]))
    if array.ndim == 0:
        return array
    if form == "reversed":
        return array[..., ::-1]
    if form == "as it is" or array.dtype.char == "g":
        return array
    tensor = torch.from_numpy(array)
    if form == "bfloat16":
        return tensor.to(torch.bfloat16)
    if form == "requires grad":
        return tensor.float().requires_grad_()
    return tensor.permute(*reversed(range(tensor.ndim))) if form == "channels last" else tensor


@fuzz
@given(st.lists(st.tuples(tags, pictures(), st.integers(0, 9)), min_size=1, max_size=BATCH // 5))
@example([("a", np.array([[[1, 1, 0]], [[1, 1, 1]]], np.uint8), 0)])
def test_images(calls: list[tuple[Any, Any, Any]]) -> None:
    with watch() as watched:
        taken = [call for call in calls if watched.call("images", *call)]
        watched.log.close()
        kept = watched.memory.of(r.Images)
        assert len(kept) == len(taken)
        for record, (tag, images, step) in zip(kept, taken):
            assert (record.tag, record.step) == (tag, step)
            array = images.detach().double().numpy() if isinstance(images, torch.Tensor) else np.asarray(images)
            if getattr(images, "dtype", None) not in (np.uint8, torch.uint8):
                array = np.round(np.nan_to_num(np.clip(array, 0, 1).astype(np.float32), nan=0) * 255)
            if array.ndim == 3 and array.shape[0] not in CHANNELS and array.shape[2] in CHANNELS:  # H×W×C
                array = np.moveaxis(array, 2, 0)
            assert np.array_equal(record.images.reshape(array.shape), array.astype(np.uint8))
        found = event_reader.read(watched.log.run.path)
        for tag in {tag for tag, _, _ in taken}:
            for event in found.Images(tag):
                assert Image.open(io.BytesIO(event.encoded_image_string)).size == (event.width, event.height)


@fuzz
@given(st.lists(st.tuples(tags, st.text(st.characters(), max_size=60), steps), min_size=1, max_size=BATCH))
@example([("a", "a negative step", -2), ("a", "and the next", None)])
@example([("a", "\x00 and \r\n and \u202e", 0), ("b", "\ud800", 0), ("config", "clash", 0)])
def test_text(calls: list[tuple[Any, Any, Any]]) -> None:
    with watch() as watched:
        taken = [call for call in calls if watched.call("text", *call)]
        watched.log.close()
        kept = watched.memory.of(r.Text)
        assert [(x.tag, x.text) for x in kept] == [(tag, text) for tag, text, _ in taken]
        assert all(is_step(record.step, step) for record, (_, _, step) in zip(kept, taken))
        for tag in {tag for tag, _, _ in taken} - {"config"}:
            assert event_reader.text(watched.log.run.path, tag) == [text for name, text, _ in taken if name == tag]


numbers = st.one_of(
    hnp.arrays(st.sampled_from(NUMPY), shapes),
    hnp.arrays(np.float64, st.integers(1, 60), elements=floats),
    st.lists(st.one_of(floats, st.text(max_size=1)), max_size=5),
    st.builds(lambda kind, n: torch.arange(n).to(kind), st.sampled_from(TORCH), st.integers(0, 5)),
    st.sampled_from([torch.ones(3, device="meta"), torch.eye(2).to_sparse(), torch.ones(2) * 1j, np.array([None])]),
    st.just([1.0, 1.0 + 2**-52]),
)


@fuzz
@given(
    st.lists(st.tuples(tags, numbers, numbers, st.text(st.characters(), max_size=8)), min_size=1, max_size=BATCH // 5)
)
@example([("h", [1e308, -1e308], [5e-324, 0.0], "$x_{")])
def test_histograms_and_curves(calls: list[tuple[Any, ...]]) -> None:
    with watch() as watched:
        for tag, x, y, title in calls:
            watched.call("histogram", tag, x, 0)
            watched.call("curve", f"c{tag}", x, y, 0, title, title)
            watched.call("curve", f"d{tag}", x, x, 0)
        watched.log.close()
        taken = [arguments for name, *arguments in watched.accepted if name == "histogram"]
        kept = watched.memory.of(r.Histogram)
        assert len(kept) == len(taken)
        for record, (tag, x, _) in zip(kept, taken):
            assert record.tag == tag
            wanted = x.detach().double().numpy() if isinstance(x, torch.Tensor) else np.asarray(x).astype(np.float64)
            assert np.array_equal(record.values, wanted.ravel(), equal_nan=True)
        found = event_reader.read(watched.log.run.path)
        for record in kept:
            finite = int(np.isfinite(record.values).sum())
            if finite:
                assert finite in [int(event.histogram_value.num) for event in found.Histograms(record.tag)]


@pytest.mark.parametrize("bad", [Decimal("sNaN"), Fraction(10**400), 10**400, object(), [1.0], "1", b"1", 1j])
def test_what_is_no_number_says_so(tmp_path: Path, bad: Any) -> None:
    sink = MemorySink()
    with Logger(tmp_path / "run", [sink]) as log, pytest.raises((TypeError, ValueError), match=r"^loss: "):
        log.scalar("loss", bad, 0)
    assert sink.of(r.Scalar) == []
