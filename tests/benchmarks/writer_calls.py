"""What each call of a `SummaryWriter` costs the training thread: ours, PyTorch's, and tensorboardX's, in turns.

`python -m tests.benchmarks.writer_calls` prints the table in docs/integrations.md. First, the calls come as fast as a
loop makes them, so the time has also what the writer's threads take of the interpreter meanwhile. Then each call
follows a step of a training, which leaves the caches full of other data.
"""

from __future__ import annotations

import logging
import tempfile
import time
import warnings
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorboardX
import torch
import torch.utils.tensorboard

import monitor
from tests.benchmarks.measure import interleaved

if TYPE_CHECKING:
    from collections.abc import Callable

KINDS: dict[str, Any] = {
    "ours": monitor.SummaryWriter,
    "torch": torch.utils.tensorboard.SummaryWriter,
    "tensorboardX": tensorboardX.SummaryWriter,
}
CALLS, FEW_CALLS, STEPS, REPEATS = 300, 20, 60, 5
LARGE_CALLS = 100  # of 600 kB each; beyond 128 MiB, a loop that only logs waits for the disk


def calls() -> dict[str, tuple[Callable[[Any, int], Any], int]]:
    """Return each kind of call, with how many of them are timed together."""
    rng = np.random.default_rng(0)
    torch.manual_seed(0)
    zero_dimensions, matrix = torch.tensor(0.5), torch.rand(100, 32)
    values, weights = torch.randn(10_000), torch.randn(200, 784)
    picture, pictures = torch.rand(3, 64, 64), torch.rand(16, 3, 32, 32)
    boxes, sound, vertices = np.array([[5, 5, 30, 30.0]]), torch.rand(1, 22_050) * 2 - 1, torch.rand(1, 500, 3)
    labels, scores = rng.integers(0, 2, 1000), rng.random(1000)
    moments = {"min": 0, "max": 4, "num": 10, "sum": 20.0, "sum_squares": 60.0}
    buckets = {"bucket_limits": [1.0, 2.0, 3.0, 4.0], "bucket_counts": [1, 2, 3, 4]}
    counts = [[3, 2, 1], [3, 2, 1], [0, 1, 2], [0, 1, 2], [0.5, 0.5, 0.5], [1, 0.6, 0.3]]
    group = {"x": 1.0, "y": 2.0, "z": 3.0}
    layout = {"c": {"l": ["Multiline", ["a"]]}}
    return {
        "`add_scalar` of a float": (lambda w, i: w.add_scalar("a", 0.5, i), CALLS),
        "`add_scalar` of a tensor": (lambda w, i: w.add_scalar("t", zero_dimensions, i), CALLS),
        "`add_scalars` of three": (lambda w, i: w.add_scalars("g", group, i), CALLS),
        "`add_tensor`, 100×32": (lambda w, i: w.add_tensor("m", matrix, i), CALLS),
        "`add_histogram` of 10,000 values": (lambda w, i: w.add_histogram("h", values, i), CALLS),
        "`add_histogram` of 156,800 values": (lambda w, i: w.add_histogram("w", weights, i), LARGE_CALLS),
        "`add_image`, 3×64×64": (lambda w, i: w.add_image("i", picture, i), CALLS),
        "`add_images`, 16×3×32×32": (lambda w, i: w.add_images("is", pictures, i), CALLS),
        "`add_image_with_boxes`, the same picture": (
            lambda w, i: w.add_image_with_boxes("b", picture, boxes, i),
            CALLS,
        ),
        "`add_audio` of a second, 22 kHz": (lambda w, i: w.add_audio("s", sound, i, sample_rate=22_050), CALLS),
        "`add_pr_curve` of 1,000 values": (lambda w, i: w.add_pr_curve("p", labels, scores, i), CALLS),
        "`add_mesh` of 500 points": (lambda w, i: w.add_mesh("v", vertices, global_step=i), CALLS),
        "`add_embedding`, 100×32": (lambda w, i: w.add_embedding(matrix, global_step=i, tag="e"), FEW_CALLS),
        "`add_text`": (lambda w, i: w.add_text("x", "hello **world**", i), CALLS),
        "`add_hparams`": (lambda w, _: w.add_hparams({"lr": 0.1}, {"acc": 0.5}), FEW_CALLS),
        "`add_histogram_raw`": (lambda w, i: w.add_histogram_raw("r", **moments, **buckets, global_step=i), CALLS),
        "`add_pr_curve_raw`": (lambda w, i: w.add_pr_curve_raw("q", *counts, i, num_thresholds=3), CALLS),
        "`add_custom_scalars`": (lambda w, _: w.add_custom_scalars(layout), CALLS),
    }


def timed_with(kind: Any, folder: Path, call: Callable[[Any, int], Any], count: int) -> Callable[[], float]:
    """Return a way that measures the seconds a call of a new writer, after its first one."""

    def way() -> float:
        writer = kind(tempfile.mkdtemp(dir=folder))
        try:
            call(writer, 0)
            writer.flush()
            began = time.perf_counter()
            for step in range(1, count + 1):
                call(writer, step)
            return (time.perf_counter() - began) / count
        finally:
            writer.close()

    return way


def timed_between_steps(kind: Any, folder: Path, call: Callable[[Any, int], Any]) -> Callable[[], float]:
    """Return a way that measures the median of the seconds a call of a new writer, each after a step of a training."""
    net = torch.nn.Sequential(torch.nn.Linear(784, 256), torch.nn.ReLU(), torch.nn.Linear(256, 10))
    optimizer = torch.optim.SGD(net.parameters(), 0.01)
    images, labels = torch.rand(128, 784), torch.randint(0, 10, (128,))

    def train() -> None:
        optimizer.zero_grad()
        loss: Any = torch.nn.functional.cross_entropy(net(images), labels)
        loss.backward()
        optimizer.step()

    def way() -> float:
        writer, seconds = kind(tempfile.mkdtemp(dir=folder)), []
        try:
            call(writer, 0)
            writer.flush()
            for step in range(1, STEPS + 1):
                train()
                began = time.perf_counter()
                call(writer, step)
                seconds.append(time.perf_counter() - began)
        finally:
            writer.close()
        return median(seconds)

    return way


def table() -> str:
    """Measure all calls; return the rows."""
    lines = [
        "| call | ours | of PyTorch | | of tensorboardX | | between steps: ours | of PyTorch | |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    with tempfile.TemporaryDirectory() as name:
        for what, (call, count) in calls().items():
            has = {kind: own for kind, own in KINDS.items() if kind != "tensorboardX" or has_call(what)}
            ways = {kind: timed_with(own, Path(name), call, count) for kind, own in has.items()}
            found = interleaved(ways, REPEATS)
            cells = [f"{found['ours'] * 1e6:.1f}"]
            for kind in ("torch", "tensorboardX"):
                seconds = found.get(kind)
                cells += ["–", ""] if seconds is None else [f"{seconds * 1e6:.0f}", f"{seconds / found['ours']:.0f} ×"]
            ways = {kind: timed_between_steps(KINDS[kind], Path(name), call) for kind in ("ours", "torch")}
            found = interleaved(ways, REPEATS)
            ours, stock = found["ours"], found["torch"]
            cells += [f"{ours * 1e6:.1f}", f"{stock * 1e6:.0f}", f"{stock / ours:.1f} ×"]
            lines.append(f"| {what} | {' | '.join(cells)} |")
            print(lines[-1], flush=True)
    return "\n".join(lines)


def has_call(what: str) -> bool:
    """Tell whether tensorboardX can do it here: its sounds need another package."""
    return "add_tensor" not in what and "add_audio" not in what


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    table()
