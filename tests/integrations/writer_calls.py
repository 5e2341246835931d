"""The same calls for a stock writer and for ours, and what TensorBoard's own reader finds in their files."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import STORE_EVERYTHING_SIZE_GUIDANCE, EventAccumulator

from monitor.events.files import runs_under

if TYPE_CHECKING:
    from pathlib import Path

LAYOUT = {"losses": {"both": ["Multiline", ["loss/train", "loss/test"]], "band": ["Margin", ["a", "b", "c"]]}}


def figure() -> Figure:
    """Return a small figure, the same at each call."""
    made = Figure(figsize=(2, 2))
    made.subplots().plot([0, 1], [1, 0])
    return made


def add_what_both_packages_have(w: Any) -> None:
    """Call every method that works the same way in both packages, also with tags that tensorboardX changes."""
    rng = np.random.default_rng(0)
    for step in range(3):
        w.add_scalar("loss", 1 / (step + 1), step, walltime=1000.0 + step / 4096)
        w.add_scalar("a tag with spaces", step, step)
    w.add_scalar("no step", 2)
    w.add_scalar("loss", np.float32(0.1), 3)
    w.add_scalar("array", np.array([[7.0]]), 3.9)
    w.add_scalars("group/of", {"train": 1.0, "test": np.float64(2.0)}, 1, walltime=5.0)
    w.add_scalars("group/of", {"train": 3.0}, 2)
    for bins in ("tensorflow", "auto", [-1.0, 0.0, 1.0]):
        w.add_histogram(f"histogram/{bins}"[:14], rng.normal(size=(10, 20)), 1, bins=bins)
    w.add_histogram("few bins", rng.normal(size=500).astype("float32"), 2, max_bins=20)
    w.add_histogram_raw("raw", 0.0, 1.0, 3, 1.5, 1.25, [0.5, 1.0], [1, 2], 4)
    w.add_image("image", rng.random((3, 8, 9)), 5)
    w.add_image("HWC", (rng.random((8, 9, 3)) * 255).astype("uint8"), 5, dataformats="HWC")
    w.add_images("images", rng.random((5, 1, 8, 8)), 6)
    w.add_image_with_boxes("boxes", rng.random((3, 20, 20)), np.array([[2, 2, 9, 9]]), 7, labels=["cat"])
    w.add_figure("figure", figure(), 8)
    w.add_figure("figures", [figure(), figure()], 8, close=False)
    w.add_text("text", "**bold** with ü", 10)
    w.add_pr_curve("pr", rng.integers(0, 2, 50), rng.random(50), 11)
    w.add_pr_curve("weighted pr", rng.integers(0, 2, 50), rng.random(50), 11, 30, weights=np.full(50, 2.0))
    w.add_pr_curve_raw("raw pr", *rng.random((6, 5)), global_step=12, num_thresholds=5)
    w.add_custom_scalars(LAYOUT)
    w.add_mesh("mesh", rng.random((1, 4, 3)), colors=rng.integers(0, 255, (1, 4, 3)), global_step=13)
    w.add_hparams({"lr": 0.1, "name": "sgd", "nesterov": True}, {"hparam/accuracy": 0.5})


def contents(directory: Path) -> dict[str, Any]:
    """Return what is in the event files under a directory, by the run's name and the tag; images as pixels."""
    found: dict[str, Any] = {}
    for name, run in runs_under(directory).items():
        reader = EventAccumulator(str(run), STORE_EVERYTHING_SIZE_GUIDANCE, purge_orphaned_data=False)
        reader.Reload()
        name = "" if run == directory else name
        for tag in reader.Tags()["scalars"]:
            found[f"{name}:{tag}"] = [(e.step, e.value, _known(e.wall_time)) for e in reader.Scalars(tag)]
        for tag in reader.Tags()["histograms"]:
            found[f"{name}:{tag}"] = [(e.step, e.histogram_value) for e in reader.Histograms(tag)]
        for tag in reader.Tags()["images"]:
            found[f"{name}:{tag}"] = [(e.step, _pixels(e.encoded_image_string)) for e in reader.Images(tag)]
        for tag in reader.Tags()["audio"]:
            found[f"{name}:{tag}"] = [(e.step, e.encoded_audio_string, e.sample_rate) for e in reader.Audio(tag)]
        for tag in reader.Tags()["tensors"]:
            found[f"{name}:{tag}"] = [(e.step, e.tensor_proto.SerializeToString()) for e in reader.Tensors(tag)]
        for tag, metadata in reader.summary_metadata.items():
            found[f"{name}:{tag} (metadata)"] = metadata.SerializeToString(deterministic=True)
        if reader.Tags()["graph"]:
            found[f"{name} (graph)"] = reader.Graph().SerializeToString(deterministic=True)
        found[f"{name} (metadata of runs)"] = reader.Tags()["run_metadata"]
    return found


def _known(wall_time: float) -> float | None:
    """Return a time that was passed to the call; None for the time of the call itself."""
    return wall_time if wall_time < 1e6 else None


def _pixels(png: bytes) -> tuple[tuple[int, ...], bytes]:
    pixels = np.asarray(Image.open(io.BytesIO(png)))
    return pixels.shape, pixels.tobytes()
