"""Event files of ours and of others are read back as records, whole or torn."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.tensor_pb2 import TensorProto

from monitor import Run
from monitor.events.files import runs_under
from monitor.events.reading.reader import EventReader, read_history, read_scalars
from monitor.records import Config, ConfusionMatrix, Histogram, Images, PRCurve, Restart, Scalar, Summary, Text
from monitor.sinks.tensorboard import TensorBoardSink
from monitor.testing import sample_records
from tests.support import event_reader, foreign

if TYPE_CHECKING:
    from pathlib import Path

from tests.support.records import everything, points


def test_our_own_files_come_back(tmp_path: Path) -> None:
    run = Run(tmp_path / "a")
    sink = TensorBoardSink()
    sink.open(run)
    sink.write([record for record in sample_records() if type(record) in sink.accepts])
    sink.close()
    found, reader = everything(run.path)
    assert points(found, "train/loss") == [(0, 2.5), (1, 1.5)]
    assert not any(isinstance(record, Scalar) and record.tag.endswith("/best") for record in found)
    (config,) = (record for record in found if isinstance(record, Config))
    assert config.values == {"lr": 0.01, "optimizer": "sgd", "nesterov": False, "hidden": "[200, 200]"}
    assert {record.tag for record in found if isinstance(record, Images)} == {
        "samples", "colored", "predictions", "decision", "drawn", "bars", "boxes",
    }  # fmt: skip
    matrices = [record for record in found if isinstance(record, ConfusionMatrix)]
    assert [(m.step, m.names, np.diag(m.counts).tolist()) for m in matrices] == [
        (0, ("a", "b"), [5, 6, 7]), (1, ("a", "b"), [6, 7, 8]),
    ]  # fmt: skip
    only = [r for records in EventReader(run.path, kinds=frozenset({Images})).records() for r in records]
    assert "confusion" in {record.tag for record in only if isinstance(record, Images)}, "a picture like any other"
    assert [(r.step, r.text) for r in found if isinstance(r, Text) and r.tag == "notes"][1] == (
        1, "step 1: <b>plain</b> text & more",
    )  # fmt: skip
    (histogram, _) = (record for record in found if isinstance(record, Histogram))
    assert histogram.buckets is not None
    assert histogram.buckets[0].sum() == 1000
    assert dict(reader.skipped) == {"custom_scalars": 1}
    assert (reader.damaged, reader.torn) == (0, 0)


def test_files_of_torchs_writer(tmp_path: Path) -> None:
    from torch.utils.tensorboard import SummaryWriter

    rng = np.random.default_rng(0)
    picture = rng.integers(0, 256, (3, 8, 9), np.uint8)
    with SummaryWriter(str(tmp_path / "torch")) as writer:
        for step in range(3):
            writer.add_scalar("loss", 1 / (step + 1), step)
        writer.add_scalar("new", 0.25, 1, new_style=True)
        writer.add_image("picture", picture, 2)
        writer.add_text("note", "hello", 2)
        values = rng.normal(size=500)
        writer.add_histogram("weights", values, 2)
        writer.add_pr_curve("curve", rng.integers(0, 2, 50), rng.random(50), 1)
    found, reader = everything(tmp_path / "torch")
    assert points(found, "loss") == [(0, 1.0), (1, 0.5), (2, pytest.approx(1 / 3))]
    assert points(found, "new") == [(1, 0.25)]
    (image,) = (record for record in found if isinstance(record, Images))
    assert np.array_equal(image.images[0], picture)
    assert [(r.tag, r.text, r.step) for r in found if isinstance(r, Text)] == [("note", "hello", 2)]
    (histogram,) = (record for record in found if isinstance(record, Histogram))
    assert histogram.buckets is not None
    counts, edges = histogram.buckets
    assert counts.sum() == 500
    assert edges[0] == pytest.approx(values.min())
    assert edges[-1] == pytest.approx(values.max())
    middles = (edges[:-1] + edges[1:]) / 2
    assert (counts * middles).sum() / 500 == pytest.approx(values.mean(), abs=0.05)
    (curve,) = (record for record in found if isinstance(record, PRCurve))
    assert (curve.tag, curve.step, curve.counts.shape) == ("curve", 1, (4, 127))
    assert dict(reader.skipped) == {}


def test_files_of_tensorflows_and_jaxs_writers(tmp_path: Path) -> None:
    gray, colors = np.arange(20, dtype=np.uint8).reshape(4, 5), np.arange(60, dtype=np.uint8).reshape(4, 5, 3)
    broken = TensorProto(dtype=foreign.STRING, string_val=[b"x"] * 3)
    buckets = np.array([[0, 1, 5], [1, 2, 7], [2, 4, 1]])
    foreign.write(
        tmp_path / "tf" / "events.out.tfevents.1.host.v2",
        foreign.event(1, foreign.scalar("loss", 0.5)),
        foreign.event(
            2,
            foreign.scalar("loss", 0.25, named=False),
            foreign.scalar("wide", 1e-300, "double"),
        ),
        foreign.event(3, foreign.scalar("half", 0.125, "half"), foreign.simple("plain", float("nan"))),
        foreign.event(3, foreign.text("notes", "first", "sécond"), foreign.images("gray", gray, gray)),
        foreign.event(4, foreign.images("colors", colors), foreign.histogram("h", buckets)),
        foreign.event(5, foreign.old_histogram("old")),
        foreign.event(
            5,
            foreign.tensor("audio", "audio", TensorProto(dtype=foreign.STRING)),
        ),
        foreign.event(
            5,
            foreign.tensor("mesh", "mesh", TensorProto(dtype=foreign.FLOAT)),
        ),
        foreign.event(5, foreign.tensor("broken", "images", broken)),
        Event(wall_time=1.0, graph_def=b"\x0a\x00"),
    )
    found, reader = everything(tmp_path / "tf")
    assert points(found, "loss") == [(1, 0.5), (2, 0.25)]
    assert points(found, "wide") == [(2, 1e-300)]
    assert points(found, "half") == [(3, 0.125)]
    assert np.isnan(points(found, "plain")[0][1])
    assert [r.text for r in found if isinstance(r, Text)] == ["first\nsécond"]
    pictures = {r.tag: r.images for r in found if isinstance(r, Images)}
    assert np.array_equal(pictures["gray"], np.stack([gray[None]] * 2))
    assert np.array_equal(pictures["colors"][0], np.moveaxis(colors, 2, 0))
    histograms = {r.tag: r.buckets for r in found if isinstance(r, Histogram)}
    assert [list(part) for part in histograms["h"] or ()] == [[5, 7, 1], [0, 1, 2, 4]]
    assert [list(part) for part in histograms["old"] or ()] == [[2, 3, 1], [0.5, 1, 2, 2.5]]
    (graph,) = (record for record in found if isinstance(record, Summary))
    assert Event.FromString(graph.event).graph_def == b"\x0a\x00"
    assert dict(reader.skipped) == {"audio": 1, "mesh": 1, "images": 1}


def test_a_torn_end_a_damaged_event_and_a_damaged_length(tmp_path: Path) -> None:
    all_five = [foreign.event(n, foreign.simple("a", n)) for n in range(1, 6)]
    shorter = foreign.write(tmp_path / "b" / "tfevents", *all_five[:-1]).stat().st_size
    file = foreign.write(tmp_path / "a" / "tfevents", *all_five)
    whole = file.read_bytes()
    size = len(whole) - shorter
    file.write_bytes(whole[:-3])
    found, reader = everything(tmp_path / "a")
    assert points(found, "a") == [(n, n) for n in range(1, 5)]
    assert reader.torn == size - 3
    file.write_bytes(whole)  # the rest comes: the same reader goes on
    assert [r.step for records in reader.records() for r in records if isinstance(r, Scalar)] == [5]
    assert reader.torn == 0
    broken = bytearray(whole)
    broken[-3 * size + 14] ^= 0xFF  # in the data of the third event
    file.write_bytes(broken)
    found, reader = everything(tmp_path / "a")
    assert [step for step, _ in points(found, "a")] == [1, 2, 4, 5]
    assert reader.damaged == 1
    broken[-2 * size] ^= 0xFF  # the length of the fourth
    file.write_bytes(broken)
    found, reader = everything(tmp_path / "a")
    assert [step for step, _ in points(found, "a")] == [1, 2]
    assert reader.damaged == 2


def test_history_leaves_out_what_restarts_supersede_as_tensorboard_does(tmp_path: Path) -> None:
    run = tmp_path / "a"

    def value(step: int, number: float) -> Event:
        return foreign.event(step, foreign.simple("a", number))

    foreign.write(run / "tfevents.1", *(value(n, 1) for n in range(10)))
    foreign.write(run / "tfevents.2", foreign.restart(6), *(value(n, 2) for n in range(6, 9)))
    foreign.write(run / "tfevents.3", foreign.restart(4), value(4, 3), foreign.restart(5), value(5, 4))
    kept = [(n, 1.0) for n in range(4)] + [(4, 3.0), (5, 4.0)]
    assert read_scalars(run, ["a", "none"]) == {"a": kept, "none": []}
    assert event_reader.series(run, "a") == kept
    assert sum(isinstance(r, Restart) for r in everything(run)[0]) == 3
    assert [len(records) for records in read_history(run, lambda tag: tag == "b")] == []


def test_a_tree_of_runs(tmp_path: Path) -> None:
    for name in ("b/deep/one", "a", "."):
        foreign.write(tmp_path / "logs" / name / "x.tfevents", foreign.event(0, foreign.simple("a", 1)))
    assert list(runs_under(tmp_path / "logs")) == ["logs", "a", "b/deep/one"]
    assert list(runs_under(tmp_path / "logs" / "a" / "x.tfevents")) == ["a"]
