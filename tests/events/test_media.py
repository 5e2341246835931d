"""Media in event files: our own, those of torch's and tensorboardX's writers, and files that promise too much."""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary as Values
from tensorboard.compat.proto.tensor_pb2 import TensorProto

from monitor import Audio, Embedding, Images, Logger, MemorySink, Mesh, PRCurve, Record, Run, Summary, Table, Video
from monitor.delivery.replay import Replay
from monitor.events.media.markdown_cells import from_rows, to_markdown, to_plain, to_rows
from monitor.events.media.projector import CONFIG_NAME
from monitor.imports.sources import open_source
from tests.support import foreign
from tests.support.media import log_everything
from tests.support.records import everything

if TYPE_CHECKING:
    from pathlib import Path


def of(records: list[Record], kind: type, tag: str) -> Any:
    (found,) = (record for record in records if isinstance(record, kind) and getattr(record, "tag", None) == tag)
    return found


@pytest.fixture
def logged(tmp_path: Path) -> tuple[Path, MemorySink]:
    memory = MemorySink()
    with Logger(tmp_path / "run", ["tensorboard", memory]) as log:
        log_everything(log, 3)
    return log.run.path, memory


def test_our_own_media_come_back(logged: tuple[Path, MemorySink]) -> None:
    path, memory = logged
    found, reader = everything(path)
    assert dict(reader.skipped) == {}
    for kind, tag in ((Audio, "tone"), (Video, "film"), (Table, "table")):
        assert of(found, kind, f"media/{tag}") == of(memory.records, kind, f"media/{tag}")
    curve, expected = (of(records, PRCurve, "media/precision") for records in (found, memory.records))
    assert np.allclose(curve.counts, expected.counts)
    assert np.allclose([curve.precision, curve.recall], [expected.precision, expected.recall])
    for tag in ("sphere", "cloud"):
        mesh, expected = (of(records, Mesh, f"media/{tag}") for records in (found, memory.records))
        for ours, theirs in zip(mesh[1:4], expected[1:4]):
            assert ours.dtype == theirs.dtype
            assert np.array_equal(ours, theirs)
    for tag in ("space", "plane"):
        embedding, expected = (of(records, Embedding, f"media/{tag}") for records in (found, memory.records))
        assert np.allclose(embedding.vectors, expected.vectors, rtol=1e-6)
        assert (embedding.labels, embedding.step) == (expected.labels, 3)
    assert of(found, Images, "media/rgba").images.shape[1] == 4


def test_replay_delivers_media(logged: tuple[Path, MemorySink], tmp_path: Path) -> None:
    memory = MemorySink()
    replay = Replay("run", open_source(logged[0], "run"), [memory], Run(tmp_path / "copy"))
    replay.forward()
    assert replay.close() == []
    for part in ("2 meshes", "2 embeddings", "1 sound", "1 film", "1 PR curve", "1 table"):
        assert part in replay.summary()
    assert len(memory.of(Mesh)) == 2


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # tensorboardX multiplies memory that it has not filled
@pytest.mark.parametrize("package", ["torch", "tensorboardX"])
def test_files_of_other_writers(package: str, tmp_path: Path) -> None:
    writers = import_module({"torch": "torch.utils.tensorboard"}.get(package, package))
    rng = np.random.default_rng(0)
    vertices, faces = rng.random((2, 4, 3)).astype(np.float32), np.array([[[0, 1, 2]]] * 2)
    with writers.SummaryWriter(str(tmp_path / "run")) as writer:
        writer.add_pr_curve("curve", rng.integers(0, 2, 50), rng.random(50), 1)
        writer.add_mesh("mesh", vertices, faces=faces, global_step=2)
        writer.add_mesh("cloud", vertices[:1], colors=np.full((1, 4, 3), 9), global_step=2)
        writer.add_image("rgba", rng.integers(0, 256, (4, 8, 9), np.uint8), 2)
        writer.add_embedding(rng.random((5, 3)), list("abcde"), torch.rand(5, 3, 8, 8), 7, "points")
        writer.add_embedding(rng.random((5, 3)), [["a", 1]] * 5, None, 8, "more", metadata_header=["x", "y"])
    found, reader = everything(tmp_path / "run")
    assert dict(reader.skipped) == {}
    curve = of(found, PRCurve, "curve")
    assert (curve.counts.shape, curve.counts[:, 0].sum()) == ((4, 127), 50)
    for number in range(2):
        mesh = of(found, Mesh, f"mesh/{number}")
        assert np.array_equal(mesh.vertices, vertices[number])
        assert (mesh.faces.tolist(), len(mesh.colors)) == ([[0, 1, 2]], 0)
    assert of(found, Mesh, "cloud").colors.tolist() == [[9] * 3] * 4
    assert of(found, Images, "rgba").images.shape == (1, 4, 8, 9)
    points = of(found, Embedding, "points")
    assert (points.vectors.shape, points.labels, points.step) == ((5, 3), tuple((name,) for name in "abcde"), 7)
    more = of(found, Embedding, "more")
    assert (more.labels[0], more.columns) == (("a", "1"), ("x", "y"))


def test_tensorflows_sounds_and_tables(tmp_path: Path) -> None:
    clips = TensorProto(
        dtype=foreign.STRING, tensor_shape=foreign.shape(2, 2), string_val=[b"RIFF1", b"label", b"RIFF2", b""]
    )
    cells = TensorProto(dtype=foreign.STRING, tensor_shape=foreign.shape(2, 2), string_val=[b"a", b"b", b"*c*", b"d"])
    audio = Values.Audio(
        sample_rate=8000, num_channels=1, length_frames=5, encoded_audio_string=b"x", content_type="<b>"
    )
    foreign.write(
        tmp_path / "run" / "tfevents",
        foreign.event(1, foreign.tensor("clips", "audio", clips)),
        foreign.event(2, foreign.tensor("t/text_summary", "text", cells)),
        foreign.event(3, Values.Value(tag="old", audio=audio)),
        Event(step=4, wall_time=1.0, graph_def=b"\x0a\x00"),
    )
    found, reader = everything(tmp_path / "run")
    assert dict(reader.skipped) == {}
    assert [of(found, Audio, f"clips/{n}").encoded for n in range(2)] == [b"RIFF1", b"RIFF2"]
    table = of(found, Table, "t")
    assert (table.columns, table.rows) == ((), (("a", "b"), ("*c*", "d")))
    assert of(found, Audio, "old")[1:] == (b"x", 3, 1003.0, "audio/wav", 8000, 1, 5)
    graph = of(found, Summary, "graph")
    assert Event.FromString(graph.event).graph_def == b"\x0a\x00"


@pytest.mark.filterwarnings("ignore:html5lib's sanitizer:DeprecationWarning")
@pytest.mark.parametrize("cell", ["plain", "-1.5e-05", "*b* `c` <b>&amp;</b> | [x](y) \\ #", "1. one", "- x", "~~x~~"])
def test_cells_survive_markdown(cell: str) -> None:
    import html
    import re

    from tensorboard.plugin_util import markdown_to_safe_html

    assert to_plain(to_markdown(cell)) == cell
    shown = re.sub(r"</?p>|<!--.*?-->", "", str(markdown_to_safe_html(to_markdown(cell)))).strip()
    assert html.unescape(shown) == cell


def test_the_names_of_columns_come_back() -> None:
    assert from_rows(to_rows(("a*", ""), (("1", "2"),))) == (("a*", ""), (("1", "2"),))
    assert from_rows(to_rows((), (("1", "2"),))) == ((), (("1", "2"),))


def promised(plugin: str, tag: str, sizes: list[int], **held: Any) -> Any:
    return foreign.tensor(tag, plugin, TensorProto(tensor_shape=foreign.shape(*sizes), **held))


def test_what_promises_too_much_is_skipped(tmp_path: Path) -> None:
    floats = {"dtype": foreign.FLOAT, "float_val": [1.0]}
    values = [
        promised("pr_curves", "a", [6, 2**28], **floats),
        promised("pr_curves", "b", [6, 3], dtype=foreign.FLOAT, float_val=[-1.0] * 18),
        promised("pr_curves", "c", [5, 3], **floats),
        promised("mesh", "d_VERTEX", [1, 2**28, 3], **floats),
        promised("mesh", "e", [1, 1, 3], **floats),
        promised("mesh", "f_VERTEX", [3], **floats),
        promised("text", "g", [2**20, 2**20], dtype=foreign.STRING, string_val=[b"x"]),
        promised("text", "h", [0, 3], dtype=foreign.STRING),
        promised("audio", "i", [1, 2], dtype=foreign.STRING, string_val=[b"", b""]),
        Values.Value(tag="j", audio=Values.Audio()),
        Values.Value(tag="k", image=Values.Image(encoded_image_string=b"GIF89a\xff\xff\xff\xff\x00\x00\x00")),
    ]
    foreign.write(tmp_path / "run" / "tfevents", *(foreign.event(1, value) for value in values))
    found, reader = everything(tmp_path / "run")
    assert found == []
    assert dict(reader.skipped) == {"pr_curves": 3, "mesh": 3, "text": 2, "audio": 2, "image": 1}


def test_faces_and_colors_without_vertices_are_no_mesh(tmp_path: Path) -> None:
    nan = promised("mesh", "m_COLOR", [1, 1, 3], dtype=foreign.FLOAT, float_val=[float("nan")] * 3)
    far = promised("mesh", "m_FACE", [1, 1, 3], dtype=foreign.FLOAT, float_val=[1e30, -1e30, float("inf")])
    point = promised("mesh", "m_VERTEX", [1, 1, 3], dtype=foreign.FLOAT, float_val=[0.0] * 3)
    foreign.write(tmp_path / "run" / "tfevents", foreign.event(1, nan, far), foreign.event(2, nan, far, point))
    (mesh,), _ = everything(tmp_path / "run")
    assert isinstance(mesh, Mesh)
    assert (mesh.step, mesh.colors.tolist()) == (2, [[0, 0, 0]])
    assert mesh.faces.tolist() == [[2**62, -1, 2**62]]


EMBEDDING = 'embeddings {{\n  tensor_name: "{0}:1"\n  tensor_path: "{1}"\n}}\n'


def test_embeddings_are_read_from_the_run_alone_and_bounded(tmp_path: Path) -> None:
    run = tmp_path / "run"
    foreign.write(run / "tfevents", foreign.event(1, foreign.simple("a", 1)))
    (tmp_path / "secret.tsv").write_text("1\t2\n")
    (run / "link.tsv").symlink_to(tmp_path / "secret.tsv")
    (run / "good.tsv").write_text("1\t2\n3\t4\n")
    (run / "long.tsv").write_text("1\t" * 2**20)
    (run / "many.tsv").write_text("1\t2\n" * 20_000)
    (run / "text.tsv").write_text("a\tb\n")
    (run / "ragged.tsv").write_text("1\t2\n3\n")
    os.mkfifo(run / "fifo.tsv")
    paths = ["../secret.tsv", str(tmp_path / "secret.tsv"), "link.tsv", "good.tsv", "long.tsv", "many.tsv", "text.tsv"]
    paths += ["ragged.tsv", "fifo.tsv", "none.tsv", ""]
    (run / CONFIG_NAME).write_text("".join(EMBEDDING.format(f"t{n}", path) for n, path in enumerate(paths)))
    found, reader = everything(run)
    embeddings = {record.tag: record.vectors.shape for record in found if isinstance(record, Embedding)}
    assert embeddings == {"t3": (2, 2), "t5": (10_000, 2)}
    assert dict(reader.skipped) == {"projector": 8}


def test_embeddings_that_are_added_later_are_read_once(tmp_path: Path) -> None:
    run = tmp_path / "run"
    foreign.write(run / "tfevents", foreign.event(1, foreign.simple("a", 1)))
    (run / "a.tsv").write_text("1\t2\n")
    (run / CONFIG_NAME).write_text(EMBEDDING.format("a", "a.tsv") + "embeddings {\n  tensor_na")
    found, reader = everything(run)
    assert len(found) == 1
    (run / CONFIG_NAME).write_text(EMBEDDING.format("a", "a.tsv") + EMBEDDING.format("b:2", "a.tsv"))
    tags = [record.tag for records in reader.records() for record in records if isinstance(record, Embedding)]
    assert tags == ["a", "b:2"]
    assert list(reader.records()) == []


def test_a_damaged_list_of_embeddings_hides_nothing_else(tmp_path: Path) -> None:
    for content in ("embeddings { tensor_path: 3 }", "x" * (2**22 + 1), "embeddings {" * 50_000):
        foreign.write(tmp_path / "run" / "tfevents", foreign.event(1, foreign.simple("a", 1)))
        (tmp_path / "run" / CONFIG_NAME).write_text(content)
        found, reader = everything(tmp_path / "run")
        assert len(found) == 1
        assert dict(reader.skipped) == {"projector": 1}
