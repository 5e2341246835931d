"""What a log call leaves to the workers: records that must still be built, and scalars that are still on a GPU.

Each record is built once, by the first worker that needs it.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from typing import TYPE_CHECKING, Any, NamedTuple

from monitor.capture.snapshot import record_event, to_host
from monitor.records import Record, Scalar, Summary

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence


class PendingRecord:
    """A record that a worker still has to build from copies.

    Attributes:
        kind: the type of the record.
        tag: its tag.
        nbytes: bytes of memory that the copies take.
        step: its step; None until an automatic one is set, and where the record knows its own.
        complete: returns the record with what follows from earlier ones; None if nothing does.
    """

    __slots__ = ("_build", "_error", "_lock", "_record", "complete", "kind", "nbytes", "step", "tag")

    def __init__(self, kind: type, tag: str, nbytes: int, build: Callable[[], Record], step: int | None = None) -> None:
        """Make the record with `build`, which is called once, on a worker thread."""
        self.kind, self.tag, self.step = kind, tag, step
        self.nbytes = nbytes
        self.complete: Callable[[Record], Record] | None = None
        self._build: Callable[..., Any] | None = build
        self._record: Record | None = None
        self._error: Exception | None = None
        self._lock = threading.Lock()

    @property
    def held_bytes(self) -> int:
        """Bytes of memory that it takes now: those of the copies, or of the summary that was built of them."""
        return len(self._record.event) if isinstance(self._record, Summary) else self.nbytes

    def resolve(self) -> Record:
        """Return the record. If building it raised an exception, raise that one, on every call."""
        with self._lock:
            if self._build is not None:
                try:
                    record = self._with_step(self._built())
                    self._record = record if self.complete is None else self.complete(record)
                except Exception as error:
                    self._error = error
                self._build = None
        if self._error is not None:
            raise self._error
        assert self._record is not None
        return self._record

    def _built(self) -> Record:
        assert self._build is not None
        return self._build()  # type: ignore[no-any-return]

    def _with_step(self, record: Any) -> Record:
        return record._replace(step=self.step) if record.step is None else record  # type: ignore[no-any-return]


class DeviceScalar:
    """A scalar that is still on a GPU, cloned there on the stream that was current at the call.

    Attributes:
        step: its step; None until an automatic one is set.
        tensor: the clone; None after it was read.
        ready: a CUDA event after which the clone is complete; None on other devices.
        record: the record, after it was read.
    """

    __slots__ = ("ready", "record", "step", "tag", "tensor", "time")
    kind = Scalar
    nbytes = 0

    def __init__(self, tag: str, tensor: Any, step: Any, time: float) -> None:
        self.tag, self.step, self.time = tag, step, time
        self.tensor = tensor.detach().clone()
        self.ready = record_event(self.tensor)
        self.record: Scalar | None = None


class PendingScalars(NamedTuple):
    """Scalars of one call without a step, of which some are still on a GPU.

    Attributes:
        values: those that are not, by tag.
        on_device: the others.
        time: seconds since the epoch.
    """

    values: dict[str, float]
    on_device: list[DeviceScalar]
    time: float

    @property
    def tags(self) -> tuple[str, ...]:
        """The tags of all of them."""
        return (*self.values, *(scalar.tag for scalar in self.on_device))


_device_lock = threading.Lock()  # for workers that resolve the same scalars; the training thread never takes it


def resolve_device_scalars(items: Iterable[object]) -> None:
    """Read all device scalars among `items`, with one copy per device. Blocks until the values are on the host."""
    with _device_lock:
        by_device: defaultdict[Any, list[DeviceScalar]] = defaultdict(list)
        for item in items:
            if isinstance(item, DeviceScalar) and item.record is None:
                by_device[item.tensor.device].append(item)
        for scalars in by_device.values():
            for scalar, value in zip(scalars, read_together([s.tensor for s in scalars], [s.ready for s in scalars])):
                scalar.record = Scalar(scalar.tag, value, scalar.step, scalar.time)
                scalar.tensor = None  # free its device memory


def read_together(tensors: Sequence[Any], ready: Sequence[Any]) -> list[float]:
    """Return the exact values of one-element tensors of one device, with one copy to the host. Blocks.

    A float of any dtype is exact in float64. An int64 is not, so integers are copied as two halves of 32 bits.

    Args:
        tensors: the tensors.
        ready: for each tensor, the CUDA event to wait for, or None.
    """
    import torch

    for event in ready:
        if event is not None:
            event.wait()
    widened = [t.reshape(()).to(torch.float64 if t.is_floating_point() else torch.int64) for t in tensors]
    halves = [
        torch.stack((w, torch.zeros_like(w)))
        if w.is_floating_point()
        else torch.stack(((w >> 32).double(), (w & 0xFFFFFFFF).double()))
        for w in widened
    ]
    pairs = to_host(torch.stack(halves), None).tolist()
    return [
        high if tensor.is_floating_point() else float((int(high) << 32) | int(low))
        for tensor, (high, low) in zip(tensors, pairs)
    ]
