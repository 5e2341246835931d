"""The scalars that `export_scalars_to_json` writes, in 24 bytes each."""

from __future__ import annotations

import math
from array import array
from typing import Any


class ExportedScalars:
    """Points by curve, until they are exported."""

    def __init__(self) -> None:
        self._columns: dict[str, array[float]] = {}  # time, step, and value of each point, one after the other
        self._on_device: dict[str, dict[int, Any]] = {}  # copies of values that are still on a GPU, by place

    def add(self, curve: str, time: float, step: Any, value: Any) -> None:
        """Add a point; `value` is a float, or a tensor of one element, which is copied on its device."""
        column = self._columns.setdefault(curve, array("d"))
        column.append(time)
        column.append(math.nan if step is None else step)
        if type(value) is not float:
            self._on_device.setdefault(curve, {})[len(column)] = value.detach().clone()
            value = math.nan
        column.append(value)

    def lists(self) -> dict[str, list[list[Any]]]:
        """Return [time, step, value] of each point, by curve; a step that was left out is None. Waits for a GPU."""
        found = {}
        for curve, column in self._columns.items():
            values = column.tolist()
            for place, value in self._on_device.get(curve, {}).items():
                values[place] = float(value.item())
            found[curve] = [
                [time, None if math.isnan(step) else int(step), value]
                for time, step, value in zip(values[::3], values[1::3], values[2::3])
            ]
        return found
