"""Scalars that lie on a GPU: exact, and read by a worker in one copy. What needs no GPU is tested without one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch

from monitor import Logger, Run
from monitor import records as r
from monitor.capture.pending import DeviceScalar, read_together, resolve_device_scalars
from monitor.delivery.pipeline import Pipeline
from monitor.sinks.memory import MemorySink

if TYPE_CHECKING:
    from pathlib import Path

cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
DTYPES = [
    torch.float16,
    torch.bfloat16,
    torch.float32,
    torch.float64,
    torch.int8,
    torch.uint8,
    torch.int64,
    torch.bool,
]
VALUES = [0.0, 1.0, -1.5, 0.1, 3.0e4, 2.0**-14, float("inf"), float("-inf")]


def exact(tensors: list[torch.Tensor]) -> list[float]:
    return [float(tensor.item()) for tensor in tensors]


def samples(device: str) -> list[torch.Tensor]:
    found = [torch.tensor(value, dtype=kind) for kind in DTYPES[:4] for value in VALUES]
    found += [torch.tensor(value, dtype=torch.int64) for value in (0, -1, 2**53 - 1, 2**62, -(2**63), 2**63 - 1)]
    found += [torch.tensor(value).to(kind) for kind in DTYPES[4:] for value in (0, 1, 100)]
    found += [torch.tensor([[2.5]], requires_grad=True)]
    return [tensor.to(device) for tensor in found]


def test_values_of_every_kind_are_read_exactly_and_together() -> None:
    tensors = samples("cpu")
    assert read_together(tensors, [None] * len(tensors)) == exact(tensors)


def test_what_is_read_is_the_value_at_the_call_and_only_once() -> None:
    tensor = torch.tensor(1.0)
    items = [DeviceScalar("a", tensor, step, 0.5) for step in range(3)]
    tensor += 1
    resolve_device_scalars([*items, "something else"])
    first = [item.record for item in items]
    resolve_device_scalars(items)
    assert first == [r.Scalar("a", 1.0, step, 0.5) for step in range(3)]
    assert all(one is two for one, two in zip(first, (item.record for item in items)))
    assert all(item.tensor is None for item in items), "the device's memory goes back"


def test_they_go_through_the_pipeline_in_order(tmp_path: Path) -> None:
    sinks = [MemorySink(), MemorySink()]
    pipeline = Pipeline(sinks, Run(tmp_path / "run"), lambda: None)
    for step in range(100):
        pipeline.inbox.append(("a", float(step), step, 0.0))
        pipeline.inbox.append(DeviceScalar("a", torch.tensor(step + 0.5), step, 0.0))
    assert pipeline.close(10) == []
    for sink in sinks:
        assert [value for _, value in sink.series("a")] == [half / 2 for half in range(200)]


@cuda
def test_a_thousand_steps_cost_no_synchronization(tmp_path: Path) -> None:
    sink = MemorySink()
    base = torch.rand(4, 1000, device="cuda")
    wanted = base.cpu().tolist()
    with Logger(tmp_path / "run", [sink, "tensorboard"]) as log:
        torch.cuda.set_sync_debug_mode("error")
        try:
            for step in range(1000):
                log.scalars({f"t{n}": base[n, step] for n in range(4)}, step)
            assert log.flush(30)
        finally:
            torch.cuda.set_sync_debug_mode("default")
    for n in range(4):
        assert sink.series(f"t{n}") == list(enumerate(wanted[n]))


@cuda
def test_streams_and_overwritten_tensors(tmp_path: Path) -> None:
    sink = MemorySink()
    stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    with Logger(tmp_path / "run", [sink]) as log:
        with torch.cuda.stream(stream):
            value = torch.zeros((), device="cuda")
            big = torch.rand(2000, 2000, device="cuda")
            for step in range(50):
                big = big @ big / big.norm()  # keeps the stream busy
                value += 1
                log.scalar("a", value, step)
                log.histogram("h", big[:2], step)
                value.mul_(1)
        log.images("i", torch.ones(2, 3, 8, 8, device="cuda"), 0)
    assert sink.series("a") == [(step, step + 1.0) for step in range(50)]
    assert sink.of(r.Images)[0].images.min() == 255
    assert len(sink.of(r.Histogram)) == 50


@cuda
def test_values_on_a_gpu_are_exact() -> None:
    tensors = samples("cuda")
    assert read_together(tensors, [None] * len(tensors)) == exact(tensors)
