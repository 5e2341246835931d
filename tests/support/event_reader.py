"""Read event files back with TensorBoard's own reader."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

if TYPE_CHECKING:
    from pathlib import Path


def read(run: Path) -> Any:
    """Return TensorBoard's accumulator over all event files of a run, with nothing sampled away."""
    found = EventAccumulator(str(run), size_guidance={"scalars": 0, "images": 0, "histograms": 0, "tensors": 0})
    with np.errstate(all="ignore"):  # its own sums over huge values
        return found.Reload()


def series(run: Path, tag: str) -> list[tuple[int, float]]:
    """Return the points of a scalar, none where there is no such tag."""
    found = read(run)
    return [(event.step, event.value) for event in found.Scalars(tag)] if tag in found.Tags()["scalars"] else []


def text(run: Path, tag: str) -> list[str]:
    """Return the texts of a tag."""
    return [event.tensor_proto.string_val[0].decode() for event in read(run).Tensors(f"{tag}/text_summary")]
