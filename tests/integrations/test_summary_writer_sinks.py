"""What other sinks and alerts get from a `SummaryWriter`."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from monitor import (
    Config,
    Embedding,
    Histogram,
    Images,
    MemorySink,
    Scalar,
    SummaryWriter,
    Text,
    Video,
)
from monitor.integrations.writer.flavors import TensorBoardXSummaryWriter, TorchSummaryWriter
from monitor.integrations.writer.summaries import films
from monitor.runs.listing import load
from tests.support import event_reader

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from monitor import Record


def points(path: Path, tag: str = "loss") -> list[tuple[int, float]]:
    return event_reader.series(path, tag)


def values(sink: MemorySink) -> dict[str, float]:
    return {record.tag: record.value for record in sink.records if isinstance(record, Scalar)}


def test_other_sinks(tmp_path: Path) -> None:
    sink = MemorySink()
    with SummaryWriter(tmp_path, sinks=["tensorboard", sink]) as writer:
        writer.add_scalar("loss", 1.0, 1)
        writer.add_scalars("group", {"a": 2.0, "b": 3.0}, 1)
        writer.add_scalar("loss/new", 4.0, 1, new_style=True)
        writer.add_hparams({"lr": 0.1}, {"accuracy": 5.0})
    scalars = values(sink)
    assert scalars == {"loss": 1.0, "group/a": 2.0, "group/b": 3.0, "loss/new": 4.0, "accuracy": 5.0}
    assert load(tmp_path).config == {"lr": 0.1}
    assert points(tmp_path / "group_a", "group") == [(1, 2.0)]


def test_sinks_that_show_pictures_get_what_the_summaries_hold(tmp_path: Path) -> None:
    class Pictures(MemorySink):
        accepts = frozenset({Scalar, Images, Text, Histogram, Config})

    sink = Pictures()
    with SummaryWriter(tmp_path, sinks=["tensorboard", sink]) as writer:
        writer.add_image("image", np.zeros((3, 4, 4)), 1)
        writer.add_histogram("histogram", np.arange(9.0), 2)
        writer.add_text("text", "hello", 3)
        writer.add_scalar("new", 4.0, 4, new_style=True)
        writer.add_mesh("mesh", np.zeros((1, 4, 3)))  # there is no record for it
        writer.add_hparams({"lr": 0.1}, {})
    assert [(record.tag, record.step) for record in sink.of(Images)] == [("image", 1)]
    assert [(record.tag, record.step) for record in sink.of(Histogram)] == [("histogram", 2)]
    assert [(record.tag, record.text) for record in sink.of(Text)] == [("text", "hello")]
    assert sink.series("new") == [(4, 4.0)]
    assert [record.values for record in sink.of(Config)] == [{}, {"lr": 0.1}]
    assert sink.accepts == {Scalar, Images, Text, Histogram, Config}


def test_pages_show_what_is_in_the_directory(tmp_path: Path) -> None:
    class Page(MemorySink):
        def recall(self, records: Sequence[Record]) -> None:
            self.records.extend(records)

    for step in range(2):
        sink = Page()
        with SummaryWriter(tmp_path, sinks=["tensorboard", sink]) as writer:
            writer.add_scalar("loss", 1.0, step)
    assert sink.series("loss") == [(0, 1.0), (1, 1.0)]


def test_alerts(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with SummaryWriter(tmp_path, alerts=["loss > 2"]) as writer:
        writer.add_scalar("loss", 3.0, 1)
    assert [alert["rule"] for alert in load(tmp_path).fields["alerts"]] == ["loss > 2"]
    assert "loss > 2" in caplog.text
    assert event_reader.read(tmp_path).Tags()["tensors"] == []  # the files are what the stock class would write


def test_sinks_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setenv("MONITOR_SINKS", "console,tensorboard")
    with SummaryWriter(tmp_path) as writer:
        writer.add_text("note", "seen on the console", 1)
    assert "seen on the console" in capsys.readouterr().out + capsys.readouterr().err
    assert event_reader.text(tmp_path, "note") == ["seen on the console"]
    fields = json.loads((tmp_path / "run.json").read_text())
    assert set(fields["logged"]) == {"tensorboard", "console"}


def test_curves_of_one_name_stay_apart(tmp_path: Path) -> None:
    sink = MemorySink()
    with SummaryWriter(tmp_path, sinks=["tensorboard", sink]) as writer:
        writer.add_scalars("loss", {"train": 1.0}, 1)
        writer.add_scalar("loss/train", 2.0, 1)
        writer.add_scalar("", 3.0, 1)
    assert sorted(values(sink).values()) == [1.0, 2.0, 3.0]
    assert points(tmp_path / "loss_train") == [(1, 1.0)]
    assert points(tmp_path, "loss/train") == [(1, 2.0)]
    assert points(tmp_path, "") == [(1, 3.0)]


def test_sinks_that_read_no_files_get_embeddings_as_records(tmp_path: Path) -> None:
    sink = MemorySink()
    vectors, names = np.arange(12.0).reshape(4, 3), ["a", "b", "a", "b"]
    with SummaryWriter(tmp_path, sinks=["tensorboard", sink]) as writer:
        writer.add_embedding(vectors, names, np.full((4, 3, 5, 5), 0.5), global_step=2, tag="space")
        writer.add_embedding(vectors, [[n, 1] for n in names], metadata_header=["name", "count"], tag="columns")
        writer.add_embedding(vectors, np.arange(4), tag="numbers")
        writer.add_embedding(np.zeros((0, 3)), tag="none")
        vectors[:] = 0
        writer.flush()  # on a busy machine, the worker loads the package longer than `close` waits
    space, columns, numbers = sink.of(Embedding)
    assert (space.tag, space.step, space.vectors.tolist()) == ("space", 2, np.arange(12.0).reshape(4, 3).tolist())
    assert space.labels == (("a",), ("b",), ("a",), ("b",))
    assert space.images is not None
    assert (space.images.shape, int(space.images[0, 0, 0, 0])) == ((4, 3, 5, 5), 128)
    assert (columns.columns, columns.labels[1]) == (("name", "count"), ("b", "1"))
    assert numbers.labels == (("0",), ("1",), ("2",), ("3",))
    assert (tmp_path / "00002" / "space" / "tensors.tsv").read_text().count("\n") == 4
    assert not (tmp_path / "embeddings").exists()  # the files are there once


@pytest.mark.parametrize("writer_class", [SummaryWriter, TorchSummaryWriter, TensorBoardXSummaryWriter])
def test_films_need_no_moviepy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, writer_class: type[SummaryWriter]
) -> None:
    monkeypatch.setattr(films, "is_moviepy_there", lambda: False)

    class Films(MemorySink):
        accepts = frozenset({Video})

    sink, frames = Films(), np.zeros((3, 4, 3, 6, 8)) + np.arange(4)[:, None, None, None] / 10
    frames[1, 2] = 1.0  # the third frame of the second film, which is on the right of the first one
    with writer_class(tmp_path, sinks=["tensorboard", sink]) as writer:
        writer.add_video("film", frames, 5, fps=10)
        frames[:] = 0.5
        with pytest.raises(AssertionError):
            writer.add_video("flat", np.zeros((4, 3, 6, 8)))
    [film] = sink.of(Video)
    assert (film.tag, film.step, film.width, film.height) == ("film", 5, 24, 6)
    gif: Any = Image.open(io.BytesIO(film.gif))
    assert (gif.n_frames, gif.info["duration"]) == (4, 100)
    gif.seek(2)
    bright = np.asarray(gif.convert("L")) > 200
    assert bright[:, 8:16].all()
    assert not bright[:, :8].any()
    [event] = event_reader.read(tmp_path).Images("film")
    assert event.encoded_image_string == film.gif
