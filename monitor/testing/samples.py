"""Records to test sinks with."""

from __future__ import annotations

import numpy as np

from monitor.records import (
    Checkpoint,
    Config,
    ConfusionMatrix,
    Curve,
    Histogram,
    Images,
    Predictions,
    Progress,
    Record,
    Scalar,
    Text,
)


def sample_records(start: float = 1_700_000_000.0) -> list[Record]:
    """Return records of every kind, at two steps.

    Args:
        start: the time of the first record, in seconds since the epoch.
    """
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (6, 1, 28, 28), np.uint8)
    color_images = rng.integers(0, 256, (6, 3, 8, 12), np.uint8)
    x, data = np.linspace(0, 10, 50), (np.array([2.0, 5.0]), np.array([0.0, 1.0]))
    records: list[Record] = [
        Config({"lr": 0.01, "optimizer": "sgd", "nesterov": False, "hidden": [200, 200]}, start),
        Progress(0, 2, 0, 2, start),
    ]
    for step in (0, 1):
        now = start + step
        predicted, target = np.arange(6), np.array([0, 1, 2, 3, 4, 9])
        records += [
            Scalar("train/loss", 2.5 - step, step, now),
            Scalar("test/loss", 2.25 - step, step, now),
            Scalar("test/accuracy", 0.5 + step / 4, step, now),
            Scalar("alone", 7.0, step, now),
            Images("samples", images, step, now),
            Images("colored", color_images, step, now),
            Predictions("predictions", images, predicted, target, tuple("abcdefghij"), step, now),
            ConfusionMatrix("confusion", np.diag([5, 6, 7]) + step, ("a", "b"), step, now),
            Text("notes", f"step {step}: <b>plain</b> text & more", step, now),
            Histogram("weights/fc1", rng.normal(size=1000), step, now),
            Curve("decision", x, 1 / (1 + np.exp(3 - x)), step, now, "Hours", "Probability of pass", 0.5, data),
            Progress(step + 1, 2, step + 1, 2, now),
            Checkpoint(f"checkpoint-{step}.pt", step + 1, now),
        ]
    return records
