"""Copy arrays and tensors during a log call; read the copies later, on a worker thread.

A log call must not wait for a GPU, and the loop may overwrite its tensors as soon as the call returns. So the call
makes a private copy on the value's own device and stream, and a worker turns it into a record.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from monitor.capture.arena import Arena, Part

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

ARENA_FROM_BYTES = 4096  # a smaller copy costs less elsewhere
arena = Arena()  # for the copies of all loggers


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

    __slots__ = ("_data", "_dtype", "_ready", "nbytes", "shape")

    def __init__(self, value: Any, limit: int | None = None) -> None:
        """Copy `value`, or its first `limit` rows. Does not wait for a GPU."""
        self._ready: Any = None
        self._data: Any = None
        if is_tensor(value):
            value = value if limit is None else value[:limit]
            self.nbytes = value.numel() * value.element_size()
            if self.nbytes >= ARENA_FROM_BYTES:
                self._data = self._lent_copy(_as_array(value))
            if self._data is None:
                self._data = value.detach().clone()
                if self._data.device.type == "cuda":
                    self._ready = record_event(self._data)
        else:
            import numpy as np

            value = np.asarray(value)
            value = value if limit is None else value[:limit]
            self.nbytes = value.nbytes
            if self.nbytes >= ARENA_FROM_BYTES:
                self._data = self._lent_copy(value)
            if self._data is None:
                self._data = np.array(value, copy=True)
        self.shape = tuple(value.shape)

    def _lent_copy(self, array: Any) -> Part | None:
        """Copy an array into lent memory; return None if there is no room, or it is not one block of plain numbers."""
        if array is None or array.dtype.hasobject:
            return None
        try:
            content = memoryview(array).cast("B")
        except (TypeError, ValueError):
            return None
        self._dtype = array.dtype
        return arena.copy(content)

    @property
    def is_on_host(self) -> bool:
        """Whether the values can be read without waiting for a device."""
        return not is_tensor(self._data) or self._data.device.type == "cpu"

    def numpy(self) -> NDArray[Any]:
        """Return the copy as a NumPy array, bfloat16 as float32. Blocks until the device is done; for workers only."""
        if isinstance(self._data, Part):
            return self._data.array(self._dtype, self.shape)
        if not is_tensor(self._data):
            return self._data  # type: ignore[no-any-return]
        import torch

        tensor = to_host(self._data, self._ready) if self._ready is not None else self._data.cpu()
        if tensor.dtype == torch.bfloat16:
            tensor = tensor.float()
        return tensor.resolve_conj().resolve_neg().numpy()  # type: ignore[no-any-return]


def _as_array(tensor: Any) -> Any:
    """Return a tensor on the host as an array of the same memory; None if NumPy has no array of its kind."""
    torch = sys.modules["torch"]
    if tensor.device.type != "cpu" or type(tensor) not in (torch.Tensor, torch.nn.Parameter):
        return None
    try:
        return tensor.data.numpy()  # `detach` lets go of the interpreter's lock
    except (RuntimeError, TypeError):
        return None


def record_event(tensor: Any) -> Any:
    """Return a CUDA event on the current stream after which `tensor` is complete; None on other devices."""
    if tensor.device.type != "cuda":
        return None
    import torch

    event = torch.cuda.Event()  # type: ignore[no-untyped-call]
    event.record(torch.cuda.current_stream(tensor.device))
    return event


def to_host(tensor: Any, ready: Any) -> Any:
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
