"""Runs to compare."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from monitor import Logger

if TYPE_CHECKING:
    from pathlib import Path


def make(folder: Path, name: str, config: dict[str, Any], worse: float, status: str = "finished") -> None:
    """Log a run whose test accuracy is best at step 20; `worse` is added to its losses."""
    log = Logger(folder / name, ["tensorboard"], config)
    for step in range(30):
        log.scalar("train/loss", 1 / (step + 1) + worse, step)
    for step in (10, 20, 30):
        off = abs(step - 20) / 100
        log.scalars({"test/loss": 0.1 + off + worse, "test/accuracy": 1 - off - worse}, step)
        log.images("samples", np.full((1, 1, 8, 8), step * 8, np.uint8), step)
    log.close(status=status)
