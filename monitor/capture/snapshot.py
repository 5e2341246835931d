"""Copy arrays and tensors during a log call; read the copies later, on a worker thread.

A log call must not wait for a GPU, and the loop may overwrite its tensors as soon as the call returns. So the call
makes a private copy on the value's own device and stream, and a worker turns it into a record. Each record is built
once, by the first worker that needs it.
"""

from __future__ import annotations

import sys
import threading
from collections import defaultdict
from typing import TYPE_CHECKING, Any, NamedTuple

from monitor.records import Record, Scalar, Summary

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    import numpy as np
    from numpy.typing import NDArray


def is_tensor(value: object) -> bool:
    """Tell whether `value` is a torch tensor, without importing torch."""
    # Another thread may be in the middle of importing torch: then it has no `Tensor` yet, and there are no tensors.
    kind = getattr(sys.modules.get("torch"), "Tensor", None)
    return kind is not None and isinstance(value, kind)


class ArraySnapshot:
    """A private copy of an array or tensor, on its own device.

    Attributes:
        nbytes: bytes of memory.
        shape: the shape of the copy.
    """

    __slots__ = ("_data", "_ready", "nbytes", "shape")

    def __init__(self, value: Any, limit: int | None = None) -> None:
        """Copy `value`, or its first `limit` rows. Does not wait for a GPU."""
        self._ready: Any = None
        if is_tensor(value):
            value = value.detach()
            self._data = (value if limit is None else value[:limit]).clone()
            if self._data.device.type == "cuda":
                self._ready = _record_event(self._data)
            self.nbytes = self._data.numel() * self._data.element_size()
        else:
            import numpy as np

            array = np.asarray(value)
            self._data = np.array(array if limit is None else array[:limit], copy=True)
            self.nbytes = self._data.nbytes
        self.shape = tuple(self._data.shape)

    @property
    def is_on_host(self) -> bool:
        """Whether the values can be read without waiting for a device."""
        return not is_tensor(self._data) or self._data.device.type == "cpu"

    def numpy(self) -> NDArray[Any]:
        """Return the copy as a NumPy array, bfloat16 as float32. Blocks until the device is done; for workers only."""
        if not is_tensor(self._data):
            return self._data  # type: ignore[no-any-return]
        import torch

        tensor = _to_host(self._data, self._ready) if self._ready is not None else self._data.cpu()
        if tensor.dtype == torch.bfloat16:
            tensor = tensor.float()
        return tensor.resolve_conj().resolve_neg().numpy()  # type: ignore[no-any-return]


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
        self._build: Callable[[], Record] | None = build
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
                    record = self._with_step(self._build())
                    self._record = record if self.complete is None else self.complete(record)
                except Exception as error:
                    self._error = error
                self._build = None
        if self._error is not None:
            raise self._error
        assert self._record is not None
        return self._record

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
        self.ready = _record_event(self.tensor)
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
    pairs = _to_host(torch.stack(halves), None).tolist()
    return [
        high if tensor.is_floating_point() else float((int(high) << 32) | int(low))
        for tensor, (high, low) in zip(tensors, pairs)
    ]


def _record_event(tensor: Any) -> Any:
    """Return a CUDA event on the current stream after which `tensor` is complete; None on other devices."""
    if tensor.device.type != "cuda":
        return None
    import torch

    event = torch.cuda.Event()  # type: ignore[no-untyped-call]
    event.record(torch.cuda.current_stream(tensor.device))
    return event


def _to_host(tensor: Any, ready: Any) -> Any:
    """Copy to the host through pinned memory and wait for an event; `torch.cuda.set_sync_debug_mode` allows both."""
    if tensor.device.type != "cuda":
        return tensor.cpu()
    import torch

    with torch.cuda.device(tensor.device):
        if ready is not None:
            ready.wait()
        host = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
        host.copy_(tensor, non_blocking=True)
        done = torch.cuda.Event()  # type: ignore[no-untyped-call]
        done.record()
        done.synchronize()
    return host


def to_uint8(images: NDArray[Any]) -> NDArray[np.uint8]:
    """Convert N×H×W or N×C×H×W images to N×C×H×W uint8; floats are clipped to [0, 1], and NaN becomes black."""
    import numpy as np

    if images.ndim == 3:
        images = images[:, None]
    if images.dtype == np.bool_:
        images = images.astype(np.uint8) * 255
    elif images.dtype != np.uint8:
        images = np.round(np.nan_to_num(np.clip(images, 0, 1).astype(np.float32), nan=0) * 255)
    return np.asarray(images, dtype=np.uint8)


def value_range(images: NDArray[Any]) -> tuple[float, float]:
    """Return the lowest and the highest finite value; 0 and 1 if there is none."""
    import numpy as np

    finite = images[np.isfinite(images)] if images.dtype.kind == "f" else images
    return (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
