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
    Restart,
    Scalar,
    Summary,
    Text,
)
from monitor.testing.media_samples import hostile_media, media_records


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
            Text("report", f"# Step {step}\n\n| a | b |\n|---|---|\n| *1* | <b>2</b> |", step, now, markdown=True),
            Histogram("weights/fc1", rng.normal(size=1000), step, now),
            Curve("decision", x, 1 / (1 + np.exp(3 - x)), step, now, "Hours", "Probability of pass", 0.5, data),
            *media_records(step, now),
            Summary("points", _point_cloud(step, now), step, now),
            Progress(step + 1, 2, step + 1, 2, now),
            Checkpoint(f"checkpoint-{step}.pt", step + 1, now),
        ]
    return records


def hostile_records(time: float = 1_700_000_000.0) -> dict[str, Record]:
    """Return records that a `Logger` accepts and that sinks have stumbled over, each under what is odd about it.

    Args:
        time: their time, in seconds since the epoch.
    """
    x = np.array([1.0, 2.0])
    nothing = np.full(3, np.nan)
    huge = np.array([1.7e308, -1.7e308, 5e-324])
    white = np.full((1, 1, 1, 1), 255, np.uint8)
    classes = np.array([7], np.int64)
    values = (np.nan, np.inf, -np.inf, -0.0, 5e-324, 1.7e308)
    tags = {
        "control characters in a tag": "bell \x07 \x00 \x1b[31mred\r\n\t",
        "markup in a tag": "[/] [red] <b>&amp;</b> $x_{ {0} %s",
        "slashes only in a tag": "//",
        "a very long tag": "long/" + "x" * 10_000,
        "other alphabets in a tag": "学習/損失 \u202e😀",
    }
    matrix = np.zeros((1, 1), np.int64)
    return {
        **{f"the value {value}": Scalar("hostile", float(value), 0, time) for value in values},
        "the smallest step": Scalar("hostile", 1.0, -(2**63), time),
        "the largest step": Scalar("hostile", 1.0, 2**63 - 1, time),
        "a time before all computers": Scalar("hostile", 1.0, 0, 0.0),
        **{name: Scalar(tag, 1.0, 0, time) for name, tag in tags.items()},
        **{f"{name} of images": Images(tag, white, 0, time) for name, tag in tags.items()},
        "an empty text": Text("hostile", "", 0, time),
        "a text of control characters": Text("hostile", "\x00\x1b[2J\r\n\u2028", 0, time),
        "a text of markup": Text("hostile", "[/] </pre><script>alert(1)</script> $$", 0, time),
        "Markdown": Text("hostile", "[a](javascript:x) ![b](//c) <script>1</script>", 0, time, markdown=True),
        "a very long text": Text("hostile", "x" * 1_000_000, 0, time),
        "a very long picture": Images("hostile", np.zeros((1, 3, 1, 4000), np.uint8), 0, time),
        "a class without a name": Predictions("hostile", white, classes, -classes, (), 0, time),
        "empty names": Predictions("hostile", white, classes * 0, classes * 0, ("", ""), 0, time),
        "a matrix without samples": ConfusionMatrix("hostile", matrix, ("[/]<b>",), 0, time),
        "a histogram of NaN": Histogram("hostile", nothing, 0, time),
        "a histogram of extremes": Histogram("hostile", huge, 0, time),
        "a histogram of one value": Histogram("hostile", x[:1], 0, time),
        "a curve of NaN": Curve("hostile", nothing, nothing, 0, time),
        "a curve of extremes": Curve("hostile", huge, huge, 0, time),
        "a curve of one point": Curve("hostile", x[:1], x[:1], 0, time, "", "$x_{", 1.7e308, (x[:1], x[:1])),
        **hostile_media(time),
        "no settings": Config({}, time),
        "odd settings": Config({"": None, "nan": np.nan, "[/]\x1b": {"a": [1, None]}, "long": "x" * 10_000}, time),
        "no epochs": Progress(0, 0, 0, 0, time),
        "a checkpoint with an odd name": Checkpoint("\n[/]<b>\x00", -1, time),
        "a restart at the smallest step": Restart(-(2**63), time),
    }


def _point_cloud(step: int, time: float) -> bytes:
    """Return the event of a mesh of three points, which TensorBoard shows in a plugin of its own."""
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary as Values
    from tensorboard.compat.proto.summary_pb2 import SummaryMetadata
    from tensorboard.plugins.mesh.plugin_data_pb2 import MeshPluginData
    from tensorboard.util.tensor_util import make_tensor_proto

    content = MeshPluginData(name="points", content_type=MeshPluginData.VERTEX, components=1, shape=[1, 3, 3])
    plugin = SummaryMetadata.PluginData(plugin_name="mesh", content=content.SerializeToString())
    points = make_tensor_proto(np.eye(3, dtype=np.float32)[None])
    value = Values.Value(tag="points_VERTEX", tensor=points, metadata=SummaryMetadata(plugin_data=plugin))
    event: bytes = Event(wall_time=time, step=step, summary=Values(value=[value])).SerializeToString()
    return event
