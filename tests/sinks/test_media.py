"""Media in TensorBoard, through its own reader and the pages' API, and in Visdom."""

from __future__ import annotations

import base64
import io
import wave
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import requests
from PIL import Image

from monitor import Logger, Run, Summary
from monitor.delivery.pipeline import Pipeline
from monitor.events.media.projector import CONFIG_NAME
from monitor.sinks.tensorboard import TensorBoardSink
from monitor.sinks.visdom.sink import VisdomSink
from monitor.testing import sample_records
from tests.support import event_reader
from tests.support.media import log_everything

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support.servers import Served, VisdomServer


@pytest.fixture
def run_path(tmp_path: Path) -> Path:
    """Return a run directory with each kind of media."""
    with Logger(tmp_path / "runs" / "media", ["tensorboard"]) as log:
        log_everything(log, 3)
    return log.run.path


def picture(encoded: bytes) -> Any:
    return Image.open(io.BytesIO(encoded))


def test_tensorboards_reader_finds_everything(run_path: Path) -> None:
    found = event_reader.read(run_path)
    tags = found.Tags()
    expected = {"drawn", "surface", "bars", "film", "boxes", "rgba", "roc"}
    assert set(tags["images"]) == {f"media/{name}" for name in expected}
    assert all(picture(found.Images(tag)[0].encoded_image_string).size[0] > 50 for tag in tags["images"])
    assert picture(found.Images("media/film")[0].encoded_image_string).n_frames == 8
    assert picture(found.Images("media/rgba")[0].encoded_image_string).mode == "RGBA"
    (sound,) = found.Audio("media/tone")
    with wave.open(io.BytesIO(sound.encoded_audio_string)) as file:
        assert (file.getframerate(), file.getnframes()) == (sound.sample_rate, sound.length_frames) == (8000, 8000)
    parts = {f"media/{name}" for name in ("sphere_VERTEX", "sphere_FACE", "sphere_COLOR", "cloud_VERTEX", "precision")}
    assert set(tags["tensors"]) == {*parts, "media/table/text_summary", "config/text_summary"}


def test_tensorboards_pages_get_everything(run_path: Path, serve: Callable[..., Served]) -> None:
    server = serve("tensorboard", "--port", "0", "--logdir", str(run_path.parent))

    def get(path: str, **arguments: Any) -> requests.Response:
        answer = requests.get(f"{server.url}/data/plugin/{path}", arguments, timeout=60)
        answer.raise_for_status()
        return answer

    def entries(plugin: str, tag: str) -> Any:
        return get(f"{plugin}/{plugin}", run="media", tag=tag, sample=0).json()

    assert set(get("images/tags").json()["media"]) == {
        f"media/{name}" for name in ("drawn", "surface", "bars", "film", "boxes", "rgba", "roc")
    }
    (film,) = entries("images", "media/film")
    shown = requests.get(f"{server.url}/data/plugin/images/individualImage?{film['query']}", timeout=60)
    assert (shown.headers["Content-Type"], shown.content[:4]) == ("image/gif", b"GIF8")
    (sound,) = entries("audio", "media/tone")
    played = requests.get(f"{server.url}/data/plugin/audio/individualAudio?{sound['query']}", timeout=60)
    assert played.content[:4] == b"RIFF"
    (curve,) = get("pr_curves/pr_curves", run="media", tag="media/precision").json()["media"]
    assert (len(curve["precision"]), curve["step"]) == (127, 3)
    assert max(curve["recall"]) == 1
    assert set(get("mesh/tags").json()["media"]) == {"media/sphere", "media/cloud"}
    faces = get("mesh/data", run="media", tag="media/sphere", content_type="FACE", sample=0, step=3).content
    assert np.frombuffer(faces, np.int32).reshape(-1, 3).max() == 24 * 12 - 1
    colors = get("mesh/data", run="media", tag="media/sphere", content_type="COLOR", sample=0, step=3).content
    assert len(colors) == 24 * 12 * 3
    (table,) = get("text/text", run="media", tag="media/table/text_summary").json()
    assert "<strong>precision</strong>" in table["text"]
    assert "&lt;b&gt;cat&lt;/b&gt;" in table["text"]
    assert "dog | wolf" in table["text"]
    assert get("projector/runs").json() == ["media"]
    info = get("projector/info", run="media").json()["embeddings"]
    shapes = {entry["tensorName"]: entry["tensorShape"] for entry in info}
    assert shapes == {"media/space:00003": [300, 20], "media/plane:00003": [300, 3]}
    tensor = get("projector/tensor", run="media", name="media/space:00003", num_rows=300).content
    assert np.frombuffer(tensor, np.float32).reshape(300, 20)[:3].argmax(axis=1).tolist() == [0, 1, 2]
    labels = get("projector/metadata", run="media", name="media/plane:00003", num_rows=300).text
    assert labels.split("\n")[:3] == ["a", "b", "c"]
    sprite = picture(get("projector/sprite_image", run="media", name="media/space:00003").content)
    assert sprite.size == (18 * 8, 18 * 8)


def test_an_embedding_waits_for_its_directory_and_is_listed_once(tmp_path: Path) -> None:
    sink, run = TensorBoardSink(), Run(tmp_path / "run")
    sink.open(run)
    (embedding, later) = (record for record in sample_records() if type(record).__name__ == "Embedding")
    blocker = run.path / "embeddings"
    blocker.touch()
    sink.write([embedding])
    with pytest.raises(OSError):
        sink.flush()
    blocker.unlink()
    sink.flush()
    sink.write([embedding, later])
    sink.close()
    assert (run.path / CONFIG_NAME).read_text().count("tensor_name") == 2
    lines = (run.path / "embeddings").glob("*/metadata.tsv").__next__().read_text().splitlines()
    assert lines[:2] == ["name\tgroup", "point 0\t0"]


def content(server: VisdomServer, title: str) -> Any:
    return server.windows("media")[f"media/{title}"]["content"]


def test_visdom_gets_everything(tmp_path: Path, visdom_server: VisdomServer) -> None:
    with Logger(tmp_path / "media", [visdom_server.spec("media")], strict=True) as log:
        log_everything(log, 3)
    windows = visdom_server.windows("media")
    assert set(windows) - {"config"} == {
        f"media/{name}"
        for name in ("drawn", "surface", "bars", "tone", "film", "boxes", "rgba", "precision", "roc", "space", "plane",
                     "sphere", "cloud", "table")
    }  # fmt: skip
    assert content(visdom_server, "drawn")["src"].startswith("data:image/png;base64,")
    assert content(visdom_server, "film")["src"].startswith("data:image/gif;base64,")
    assert content(visdom_server, "surface")["data"][0]["type"] == "surface"
    assert content(visdom_server, "surface")["layout"]["title"]["text"] == "a <b>surface</b>"
    assert '<audio controls style="width:100%" src="data:audio/wav;base64,' in content(visdom_server, "tone")
    curve = content(visdom_server, "precision")
    assert 0.5 < float(curve["layout"]["title"]["text"].rpartition(" ")[2]) < 1
    assert max(curve["data"][0]["x"]) == 1
    space = content(visdom_server, "space")
    assert [(trace["type"], trace["name"], len(trace["z"])) for trace in space["data"]] == [
        ("scatter3d", name, 100) for name in "012"
    ]
    assert "300 points, from 20 dimensions by PCA" in space["layout"]["title"]["text"]
    assert [trace["type"] for trace in content(visdom_server, "plane")["data"]] == ["scatter"] * 3
    sphere = content(visdom_server, "sphere")["data"][0]
    assert (sphere["type"], len(sphere["i"]), len(sphere["vertexcolor"])) == ("mesh3d", 11 * 23 * 2, 24 * 12)
    assert content(visdom_server, "cloud")["data"][0]["type"] == "scatter3d"
    table = content(visdom_server, "table")
    assert "&lt;b&gt;cat&lt;/b&gt;" in table
    assert "precision</th>" in table
    assert "<b>" not in table


def test_what_is_too_large_for_visdom_is_thinned_out_or_named(tmp_path: Path, visdom_server: VisdomServer) -> None:
    rng = np.random.default_rng(0)
    with Logger(tmp_path / "media", [visdom_server.spec("media")], strict=True) as log:
        log.audio("media/tone", rng.random(2**23), 0)
        log.figure("media/plotly", {"data": [{"y": rng.random(600_000)}]}, 0)
        log.embedding("media/space", rng.random((5000, 3)), 0)
        log.mesh("media/cloud", rng.random((50_000, 3)), 0)
        log.mesh("media/mesh", rng.random((3, 3)), 0, faces=np.zeros((50_000, 3), int))
        log.table("media/table", [["x"] * 40] * 1000, 0)
        assert log.flush(30)
    assert "a sound of 16,777,260 bytes is too large for this page" in content(visdom_server, "tone")
    assert "bytes is too large" in content(visdom_server, "plotly")
    assert "2,000 of 5,000 points" in content(visdom_server, "space")["layout"]["title"]["text"]
    assert "20,000 of 50,000 points" in content(visdom_server, "cloud")["layout"]["title"]["text"]
    assert "too large for its 50,000 triangles" in content(visdom_server, "mesh")["layout"]["title"]["text"]
    assert "800 more rows, 10 more columns" in content(visdom_server, "table")


def show(summaries: list[Summary], visdom_server: VisdomServer, folder: Path) -> None:
    """Deliver summaries to the page `media`."""
    sink = VisdomSink(port=visdom_server.port, env="media")
    pipeline = Pipeline([sink], Run(folder / "shown"), lambda: None)
    pipeline.inbox.extend(summaries)
    assert pipeline.close(30) == []
    assert pipeline.stats()["visdom"].delivered == len(summaries)


def test_visdom_shows_what_the_event_of_a_summary_holds(run_path: Path, visdom_server: VisdomServer) -> None:
    from monitor.events.files import event_files
    from monitor.events.framing import FrameReader

    (path,) = event_files(run_path)
    show([Summary("any", event, 3, 0.0) for event in FrameReader(path).frames()], visdom_server, run_path.parent)
    assert set(visdom_server.windows("media")) - {"config"} == {
        f"media/{name}"
        for name in ("drawn", "surface", "bars", "tone", "film", "boxes", "rgba", "precision", "roc", "sphere", "cloud",
                     "table")
    }  # fmt: skip
    assert content(visdom_server, "sphere")["data"][0]["type"] == "mesh3d"


def test_a_mesh_of_another_writer_keeps_its_parts_together(visdom_server: VisdomServer, tmp_path: Path) -> None:
    from tensorboardX.proto.event_pb2 import Event
    from tensorboardX.summary import mesh

    summary = mesh("m", np.eye(3)[None], None, np.array([[[0, 1, 2], [0, 1, 3]]]), {"camera": {}})
    event = Event(step=5, wall_time=1.0, summary=summary).SerializeToString()
    show([Summary("m", event, 5, 1.0)], visdom_server, tmp_path)
    (trace,) = visdom_server.windows("media")["m"]["content"]["data"]
    assert (trace["type"], trace["k"]) == ("mesh3d", [2])


def test_visdom_enlarges_small_images_by_whole_factors(visdom_server: VisdomServer, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    sink = VisdomSink(port=visdom_server.port, env="small")
    with Logger(tmp_path / "run", [sink], record="none") as log:
        log.images("image", rng.integers(0, 256, (1, 3, 8, 8), np.uint8), 0)
        log.video("film", rng.integers(0, 256, (3, 3, 8, 8), np.uint8), 0, fps=10)
    windows = visdom_server.windows("small")
    assert set(windows) == {"image", "film"}  # and none for settings that are not there
    for title, size, frames in (("image", 60, 1), ("film", 8, 3)):
        window = windows[title]
        assert 200 <= window["width"] < 200 + size
        assert window["height"] == window["width"] + 16
        picture = Image.open(io.BytesIO(base64.b64decode(window["content"]["src"].partition(",")[2])))
        assert (picture.width, getattr(picture, "n_frames", 1)) == (window["width"], frames)
        assert frames == 1 or picture.info["duration"] == 100
        pixels, factor = np.asarray(picture.convert("RGB")), picture.width // size
        small = pixels[::factor, ::factor]
        assert small.shape == (size, size, 3)
        assert (np.kron(small, np.ones((factor, factor, 1), np.uint8)) == pixels).all()
