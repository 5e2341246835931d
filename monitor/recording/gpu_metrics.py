"""Read what the GPUs do, through NVML, if its package and a GPU are there."""

from __future__ import annotations

import importlib
import logging
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

log = logging.getLogger("monitor")

GIB = 2**30
READINGS: dict[str, Callable[[Any, Any], float]] = {  # by chart, from NVML and the handle of a GPU
    "gpu_percent": lambda nvml, gpu: nvml.nvmlDeviceGetUtilizationRates(gpu).gpu,
    "gpu_memory_gib": lambda nvml, gpu: nvml.nvmlDeviceGetMemoryInfo(gpu).used / GIB,
    "gpu_temperature_c": lambda nvml, gpu: nvml.nvmlDeviceGetTemperature(gpu, nvml.NVML_TEMPERATURE_GPU),
    "gpu_power_w": lambda nvml, gpu: nvml.nvmlDeviceGetPowerUsage(gpu) / 1000,
}


class GpuMetrics:
    """The NVIDIA GPUs that this process may use: those in `CUDA_VISIBLE_DEVICES`, or all.

    Attributes:
        count: how many there are; 0 without NVML.
    """

    def __init__(self) -> None:
        """Load NVML. Without it, or without a GPU, nothing is read and nothing is reported."""
        self._gpus: dict[str, Any] = {}  # handles by the name of the curve
        self._missing: set[tuple[str, str]] = set()  # what a GPU does not have
        self._nvml: Any = None
        try:
            nvml = importlib.import_module("pynvml")
            nvml.nvmlInit()
        except Exception as error:  # not installed, no driver, or another version of it
            log.debug("GPUs are not watched: %s", error)
            return
        self._nvml = nvml
        try:
            self._gpus = self._find()
        except Exception as error:
            log.warning("system metrics: the GPUs are not watched: %s", " ".join(str(error).split()))
            self.close()

    @property
    def count(self) -> int:
        """How many GPUs are read."""
        return len(self._gpus)

    def read(self) -> dict[str, float]:
        """Return the values by chart and GPU. What a GPU does not support is left out.

        Raises what NVML raises, if it raises on each value: the driver is gone.
        """
        nvml, failure = self._nvml, None
        values: dict[str, float] = {}
        for name, gpu in self._gpus.items():
            for chart, reading in READINGS.items():
                if (chart, name) in self._missing:
                    continue
                try:
                    values[f"{chart}/{name}"] = float(reading(nvml, gpu))
                except nvml.NVMLError as error:
                    if getattr(error, "value", None) == nvml.NVML_ERROR_NOT_SUPPORTED:
                        self._missing.add((chart, name))
                    else:
                        failure = error
        if failure is not None and not values:
            raise failure
        return values

    def close(self) -> None:
        """Release NVML."""
        nvml, self._nvml, self._gpus = self._nvml, None, {}
        if nvml is not None:
            try:
                nvml.nvmlShutdown()
            except Exception as error:
                log.debug("NVML: %s", error)

    def _find(self) -> dict[str, Any]:
        """Return the handles of the GPUs by their numbers in NVML's order, as `nvidia-smi` shows them."""
        nvml = self._nvml
        handles = {str(number): nvml.nvmlDeviceGetHandleByIndex(number) for number in range(nvml.nvmlDeviceGetCount())}
        visible = os.environ.get("CUDA_VISIBLE_DEVICES")
        if visible is None:
            return handles
        chosen: dict[str, Any] = {}
        for part in visible.split(","):
            wanted = part.strip()
            if wanted.startswith("GPU-"):  # the first characters are enough
                wanted = next(
                    (n for n, gpu in handles.items() if _text(nvml.nvmlDeviceGetUUID(gpu)).startswith(wanted)), ""
                )
            if wanted not in handles:  # CUDA stops there too
                break
            chosen[wanted] = handles[wanted]
        return chosen


def _text(value: str | bytes) -> str:
    """Return what old versions of NVML's package return as bytes."""
    return value.decode() if isinstance(value, bytes) else value
