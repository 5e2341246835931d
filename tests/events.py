"""Read event files back with TensorBoard's own reader."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator


def read(run: Path) -> Any:
    """Return TensorBoard's accumulator over all event files of a run, with nothing sampled away."""
    found = EventAccumulator(str(run), size_guidance={"scalars": 0, "images": 0, "histograms": 0, "tensors": 0})
    return found.Reload()


def series(run: Path, tag: str) -> list[tuple[int, float]]:
    return [(event.step, event.value) for event in read(run).Scalars(tag)]


def text(run: Path, tag: str) -> list[str]:
    return [event.tensor_proto.string_val[0].decode() for event in read(run).Tensors(f"{tag}/text_summary")]
