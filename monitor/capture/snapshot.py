"""Copy what the loop logs, now and cheaply; read it later, on a worker.

A log call may neither encode nor wait for a GPU, and the loop may overwrite its tensors as soon as the call returns. So
the call takes a private copy on the value's own device and stream, and the worker turns it into a record. A record is
resolved once, whichever of the workers comes first.
"""

from __future__ import annotations

import sys
import threading
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from monitor.records import Record, Scalar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    import numpy as np
    from numpy.typing import NDArray


def is_tensor(value: object) -> bool:
    """Tell whether `value` is a torch tensor, without importing torch."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.Tensor)


class ArraySnapshot:
    """A private copy of an array or tensor; `nbytes` is what it holds in memory, on its own device."""

    __slots__ = ("_data", "_ready", "nbytes", "shape")

    def __init__(self, value: Any, limit: int | None = None) -> None:
        """Copy `value`, or its first `most` rows. Does not block, and does not wait for a GPU."""
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

    def numpy(self) -> NDArray[Any]:
        """Return the copy as a NumPy array; bfloat16 comes as float32. Waits for the device: for workers only."""
        if not is_tensor(self._data):
            return self._data  # type: ignore[no-any-return]
        import torch

        tensor = _to_host(self._data, self._ready) if self._ready is not None else self._data.cpu()
        if tensor.dtype == torch.bfloat16:
            tensor = tensor.float()
        return tensor.resolve_conj().resolve_neg().numpy()  # type: ignore[no-any-return]


class PendingRecord:
    """A record that a worker still has to build from copies: `build` is called once, off the training thread."""

    __slots__ = ("_build", "_error", "_lock", "_record", "kind", "nbytes")

    def __init__(self, kind: type, nbytes: int, build: Callable[[], Record]) -> None:
        self.kind = kind
        self.nbytes = nbytes
        self._build: Callable[[], Record] | None = build
        self._record: Record | None = None
        self._error: Exception | None = None
        self._lock = threading.Lock()

    def resolve(self) -> Record:
        """Return the record; raise, each time alike, what building it raised."""
        with self._lock:
            if self._build is not None:
                try:
                    self._record = self._build()
                except Exception as error:
                    self._error = error
                self._build = None
        if self._error is not None:
            raise self._error
        assert self._record is not None
        return self._record


class DeviceScalar:
    """A scalar that still lies on a GPU, cloned there on the stream that was current at the call."""

    __slots__ = ("_ready", "record", "step", "tag", "tensor", "time")
    kind = Scalar
    nbytes = 0

    def __init__(self, tag: str, tensor: Any, step: int, time: float) -> None:
        self.tag, self.step, self.time = tag, step, time
        self.tensor = tensor.detach().clone()
        self._ready = _record_event(self.tensor)
        self.record: Scalar | None = None


_device_lock = threading.Lock()  # several workers share the one copy of a flush; the training thread never takes it


def resolve_device_scalars(items: Iterable[object]) -> None:
    """Read all device scalars among `items` in one copy a device; blocks until the values are there."""
    with _device_lock:
        by_device: defaultdict[Any, list[DeviceScalar]] = defaultdict(list)
        for item in items:
            if isinstance(item, DeviceScalar) and item.record is None:
                by_device[item.tensor.device].append(item)
        for scalars in by_device.values():
            for scalar, value in zip(scalars, read_together([s.tensor for s in scalars], [s._ready for s in scalars])):
                scalar.record = Scalar(scalar.tag, value, scalar.step, scalar.time)
                scalar.tensor = None  # its device memory goes back at once


def read_together(tensors: Sequence[Any], ready: Sequence[Any]) -> list[float]:
    """Return the values of one-element tensors of one device, exactly, after one device-to-host copy.

    All floating types are exact in float64. Integers are carried as the two halves of their 64 bits, each of which is.
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
    """Mark the point on the current stream after which `tensor` is whole."""
    if tensor.device.type != "cuda":
        return None
    import torch

    event = torch.cuda.Event()  # type: ignore[no-untyped-call]
    event.record(torch.cuda.current_stream(tensor.device))
    return event


def _to_host(tensor: Any, ready: Any) -> Any:
    """Copy to the host through pinned memory and wait on an event: no call that torch counts as a synchronization."""
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
    """Turn N×H×W or N×C×H×W images into N×C×H×W uint8; floats are clipped to [0, 1], NaN is black."""
    import numpy as np

    if images.ndim == 3:
        images = images[:, None]
    if images.dtype == np.bool_:
        images = images.astype(np.uint8) * 255
    elif images.dtype != np.uint8:
        images = np.round(np.nan_to_num(np.clip(images, 0, 1).astype(np.float32), nan=0) * 255)
    return np.asarray(images, dtype=np.uint8)
