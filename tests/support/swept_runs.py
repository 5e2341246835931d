"""Runs of a sweep, written as its trials write them, but without the time that hundreds of loggers take."""

from __future__ import annotations

import json
import math
import random
from typing import TYPE_CHECKING, Any

from monitor.runs.processes import process
from tests.support import foreign

if TYPE_CHECKING:
    from pathlib import Path

METRIC = "test/accuracy"
START = "2026-11-29T12:{:02}:{:02}.000+00:00"


def write_trial(
    logdir: Path,
    trial: int,
    curve: list[float],
    values: dict[str, Any],
    status: str = "finished",
    name: str = "search",
    **fields: Any,
) -> Path:
    """Write a run that has logged `curve`; return its directory."""
    path = logdir / f"{name}-{trial}"
    foreign.write(
        path / f"events.out.tfevents.1.{trial}",
        *(foreign.event(step, foreign.scalar(METRIC, value, named=not step)) for step, value in enumerate(curve)),
    )
    best = max(curve)
    entry = {"last": curve[-1], "step": len(curve) - 1, "best": best, "best_step": curve.index(best), "goal": "max"}
    start = START.format(trial // 60 % 60, trial % 60)
    content = {
        "name": path.name, "status": status, "start": start, "end": None if status == "running" else start,
        "config": {**values, "seed": 0}, "metrics": {METRIC: entry}, "process": process.identity(),
        "progress": {"step": len(curve) - 1}, "heartbeat": start,
        "command": ["monitor", "train", "mlp", *(f"--{key}={value}" for key, value in values.items())],
        "sweep": {"name": name, "trial": trial, "metric": METRIC, "goal": "max", "values": values},
        **fields,
    }  # fmt: skip
    (path / "run.json").write_text(json.dumps(content))
    return path


def write_sweep(logdir: Path, count: int, running: int = 2, name: str = "search") -> None:
    """Write many trials: the last ones are running, and of the others those that are bad early are pruned."""
    chance = random.Random(3)
    for trial in range(count):
        rate, optimizer = 10 ** chance.uniform(-4, 0), chance.choice(["sgd", "adam", "rmsprop"])
        values = {"lr": rate, "optimizer": optimizer, "hidden": chance.choice([50, 100, 200])}
        top = 0.98 - 0.08 * (math.log10(rate) + 2) ** 2 - 0.02 * (optimizer == "sgd")
        curve = [top * (1 - math.exp(-(step + 1) / 6)) + chance.gauss(0, 0.004) for step in range(40)]
        status = "running" if trial >= count - running else "pruned" if curve[9] < 0.65 else "finished"
        length = {"pruned": 10, "running": 20}.get(status, 40)
        write_trial(logdir, trial, curve[:length], values, status, name)
