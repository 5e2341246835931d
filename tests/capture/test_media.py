"""Log calls for media: what the records hold, what is refused, and that later changes reach nothing."""

from __future__ import annotations

import io
import wave
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.metrics import precision_recall_curve, roc_auc_score, roc_curve

from monitor import Audio, Curve, Detections, Embedding, Images, Logger, Mesh, PRCurve, Table, Video
from monitor.sinks.memory import MemorySink
from tests.support import event_reader

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.mark.parametrize("shape", [(100,), (100, 1), (1, 100), (100, 2), (2, 100)])
def test_a_sound_of_any_layout(shape: tuple[int, ...], logged: Callable[..., Any]) -> None:
    channels = min(shape) if len(shape) == 2 else 1
    samples = torch.linspace(-2, 2, 100 * channels, dtype=torch.float64).reshape(shape)
    record = logged(Audio, lambda log: log.audio("a", samples, 1, sample_rate=8000))
    with wave.open(io.BytesIO(record.encoded)) as file:
        assert (file.getnchannels(), file.getframerate(), file.getnframes()) == (channels, 8000, 100)
        found = np.frombuffer(file.readframes(100), "<i2").reshape(100, channels)
    array = samples.numpy()
    expected = array.reshape(-1, 1) if array.ndim == 1 else array if shape[0] == 100 else array.T
    assert np.abs(found / 32767 - np.clip(expected, -1, 1)).max() < 1e-4
    assert record[4:] == ("audio/wav", 8000, channels, 100)


def test_a_sound_of_integers_is_kept(logged: Callable[..., Any]) -> None:
    samples = np.array([0, 32767, -32768], np.int16)
    record = logged(Audio, lambda log: log.audio("a", samples, 1))
    assert record.encoded.endswith(samples.tobytes())


def test_a_film_keeps_its_frames_and_its_pace(logged: Callable[..., Any]) -> None:
    frames = np.zeros((3, 3, 10, 20), np.uint8)
    for number in range(3):
        frames[number, number] = 255
    record = logged(Video, lambda log: log.video("v", torch.from_numpy(frames), 0, fps=5))
    with Image.open(io.BytesIO(record.gif)) as film:
        assert (film.size, film.n_frames, film.info["duration"]) == ((20, 10), 3, 200)  # type: ignore[attr-defined]
        for number in range(3):
            film.seek(number)
            assert film.convert("RGB").getpixel((5, 5)) == tuple(frames[number, :, 5, 5])
    assert (record.width, record.height) == (20, 10)


def test_boxes_and_masks(logged: Callable[..., Any]) -> None:
    image = torch.rand(3, 20, 30)
    boxes = torch.tensor([[1.0, 2.0, 10.0, 12.0], [0, 0, 5, 5]])
    classes = np.zeros((20, 30), np.int64)
    classes[:5], classes[10:] = 2, 7

    def call(log: Logger) -> None:
        log.detections("d", image, 4, boxes=boxes, labels=["a", "b"], masks=classes)
        boxes.zero_()
        classes[:] = 0

    record = logged(Detections, call)
    assert record.image.shape == (3, 20, 30)
    assert record.boxes.tolist() == [[1, 2, 10, 12], [0, 0, 5, 5]]
    assert record.labels == ("a", "b")
    assert [mask.sum() for mask in record.masks] == [5 * 30, 10 * 30]
    alone = logged(Detections, lambda log: log.detections("d", np.zeros((20, 30), bool), 0))
    assert (alone.image.shape, alone.boxes.shape, alone.masks.shape) == ((1, 20, 30), (0, 4), (0, 20, 30))


def test_pictures_may_be_transparent(logged: Callable[..., Any]) -> None:
    record = logged(Images, lambda log: log.images("i", np.full((2, 4, 5, 5), 0.5), 0))
    assert record.images.shape == (2, 4, 5, 5)


def classifier() -> tuple[Any, Any]:
    rng = np.random.default_rng(0)
    target = rng.random(500) < 0.3
    return target, np.clip(rng.normal(0.35 + target * 0.3, 0.2), 0, 1)


def test_precision_and_recall_are_those_of_scikit_learn(logged: Callable[..., Any]) -> None:
    target, scores = classifier()
    scores = np.floor(scores * 126) / 126  # on the thresholds
    record = logged(PRCurve, lambda log: log.pr_curve("p", torch.from_numpy(target), torch.from_numpy(scores), 1))
    precision, recall, thresholds = precision_recall_curve(target, scores)
    for expected_precision, expected_recall, threshold in zip(precision, recall, thresholds):
        place = round(threshold * 126)
        assert record.precision[place] == pytest.approx(expected_precision)
        assert record.recall[place] == pytest.approx(expected_recall)
    assert (record.counts.sum(axis=0) == 500).all()


def test_tensorboardx_counts_the_same(logged: Callable[..., Any]) -> None:
    from tensorboardX.summary import compute_curve

    target, scores = classifier()
    record = logged(PRCurve, lambda log: log.pr_curve("p", target, scores, 1, thresholds=50))
    found = np.concatenate([record.counts, [record.precision], [record.recall]])
    assert np.allclose(found, compute_curve(target, scores, 50))


def test_the_roc_curve_is_that_of_scikit_learn(logged: Callable[..., Any]) -> None:
    target, scores = classifier()
    scores = np.round(scores, 2)  # with equal ones
    record = logged(Curve, lambda log: log.roc_curve("r", target, scores * 100, 1))
    x, y, _ = roc_curve(target, scores, drop_intermediate=False)
    assert np.allclose(record.x, x)
    assert np.allclose(record.y, y)
    assert f"{roc_auc_score(target, scores):.4f}" in record.y_title
    many = np.random.default_rng(1).random(50_000)
    long = logged(Curve, lambda log: log.roc_curve("r", many > 0.5, many * 0.1 + many.round() * 0.02, 1))
    assert len(long.x) <= 1000
    assert (long.x[0], long.y[0], long.x[-1], long.y[-1]) == (0, 0, 1, 1)


def test_an_embedding_with_labels_and_pictures(logged: Callable[..., Any]) -> None:
    vectors, labels = torch.rand(5, 8), torch.arange(5)
    record = logged(Embedding, lambda log: log.embedding("e", vectors, 2, labels=labels, images=torch.rand(5, 1, 4, 4)))
    assert np.array_equal(record.vectors, vectors.numpy())
    assert record.labels == (("0",), ("1",), ("2",), ("3",), ("4",))
    assert record.images.shape == (5, 1, 4, 4)
    rows = [("a", 1), ("b", 2.5)]
    other = logged(Embedding, lambda log: log.embedding("e", [[1, 2], [3, 4]], 2, labels=rows, columns=["name", "n"]))
    assert (other.labels, other.columns, other.images) == ((("a", "1"), ("b", "2.5")), ("name", "n"), None)
    large = logged(Embedding, lambda log: log.embedding("e", np.zeros((10_001, 2)), 2, labels=["x"] * 10_001))
    assert len(large.vectors) == len(large.labels) == 10_000


def test_a_mesh_and_a_cloud_of_points(logged: Callable[..., Any]) -> None:
    vertices, faces = torch.rand(1, 4, 3), torch.tensor([[[0, 1, 2], [1, 2, 3]]])
    record = logged(Mesh, lambda log: log.mesh("m", vertices, 0, faces=faces, colors=torch.ones(1, 4, 3)))
    assert np.array_equal(record.vertices, vertices[0].numpy())
    assert record.faces.tolist() == [[0, 1, 2], [1, 2, 3]]
    assert record.colors.tolist() == [[255] * 3] * 4
    cloud = logged(Mesh, lambda log: log.mesh("m", np.zeros((7, 3)), 0))
    assert (cloud.faces.shape, cloud.colors.shape) == ((0, 3), (0, 3))


def test_tables_of_lists_mappings_arrays_and_data_frames(logged: Callable[..., Any]) -> None:
    class Frame:  # as pandas has it
        columns = ("a", "b")

        def to_dict(self) -> None: ...

        def head(self, _count: int) -> Frame:
            return self

        def itertuples(self, **_: Any) -> list[tuple[Any, ...]]:
            return [(1, 2.5), (None, "x")]

    cells = (("1", "2.5"), ("", "x"))
    for rows in (
        Frame(),
        [[1, 2.5], [None, "x"]],
        [{"a": 1, "b": 2.5}, {"b": "x"}],
        iter([(np.int8(1), 2.5), ("", "x")]),
    ):
        columns = () if isinstance(rows, Frame) else ("a", "b")
        record = logged(Table, lambda log, rows=rows, columns=columns: log.table("t", rows, 0, columns=columns))
        assert (record.columns, record.rows) == (("a", "b"), cells)
    numbers = logged(Table, lambda log: log.table("t", np.arange(4000).reshape(2000, 2), 0))
    assert len(numbers.rows) == 1000
    assert numbers.rows[-1] == ("1998", "1999")


def test_the_graph_of_a_model_changes_neither_it_nor_the_random_numbers(tmp_path: Path) -> None:
    from tensorboard.compat.proto.graph_pb2 import GraphDef

    model = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.BatchNorm1d(3), torch.nn.Dropout(), torch.nn.ReLU())
    inputs = torch.rand(2, 4)
    before, random_state = {name: value.clone() for name, value in model.state_dict().items()}, torch.get_rng_state()
    with Logger(tmp_path / "run", ["tensorboard"], strict=True) as log:
        log.graph(model, inputs)
    assert model.training
    assert torch.equal(torch.get_rng_state(), random_state)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    nodes = {node.op for node in GraphDef.FromString(event_reader.read(log.run.path).Graph().SerializeToString()).node}
    assert any("linear" in operation for operation in nodes)


def test_what_has_no_graph(tmp_path: Path) -> None:
    class Odd(torch.nn.Module):
        def forward(self, _: torch.Tensor) -> torch.Tensor:
            raise RuntimeError("no\nway")

    with Logger(tmp_path / "run", [MemorySink()]) as log:
        with pytest.raises(TypeError, match=r"needs a torch\.nn\.Module, not int"):
            log.graph(3, torch.rand(2))
        with pytest.raises(ValueError, match="the model cannot be traced: no way"):
            log.graph(Odd(), torch.rand(2))
