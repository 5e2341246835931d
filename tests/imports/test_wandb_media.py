"""Media in W&B's logs: what their files hold becomes records; nothing outside the run is read."""

from __future__ import annotations

import io
import json
import wave
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from monitor import Audio, Figure, Histogram, Images, Mesh, Scalar, Table, Text, Video
from monitor.imports.wandb_log import WandbReader
from tests.support import foreign, hostile_events
from tests.support.wandb_logs import row, run, write

if TYPE_CHECKING:
    from pathlib import Path

    from monitor import Record

FILE = "offline-run-20261124_093012-x91lzwbh/run-x91lzwbh.wandb"


def values(path: Path, **logged: Any) -> tuple[list[Record], WandbReader]:
    """Read what was logged in one row."""
    reader = WandbReader(write(path / FILE, run(), row(3, logged, 12.5)))
    return [record for part in reader.records() for record in part], reader


def media(path: Path, name: str, content: bytes | str) -> str:
    file = path / FILE
    target = file.parent / "files" / name
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(content if isinstance(content, bytes) else content.encode())
    return name


def test_pictures(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (2, 6, 5, 3), np.uint8)
    paths = [media(tmp_path, f"media/images/p_{n}.png", foreign.png(pixels[n])) for n in range(2)]
    one = {"_type": "image-file", "path": paths[0], "width": 5, "height": 6}
    both = {"_type": "images/separated", "filenames": paths, "count": 2}
    found, reader = values(tmp_path, one=one, both=both)
    assert not reader.skipped
    for record, expected in zip(found, (pixels[:1], pixels)):
        assert isinstance(record, Images)
        assert (record.images == np.moveaxis(expected, 3, 1)).all()


def test_media_that_are_written_as_nested_items(tmp_path: Path) -> None:
    """Newer versions of W&B write one item for each part of a dict."""
    picture = media(tmp_path, "media/images/p.png", foreign.png(np.zeros((4, 3), np.uint8)))
    found, reader = values(
        tmp_path,
        **{
            "val.picture.path": picture, "val.picture._type": "image-file", "val.picture.size": 10, "val.loss": 0.5,
            "h._type": "histogram", "h.values": [1, 2],
            "h.packedBins.min": 0, "h.packedBins.size": 1, "h.packedBins.count": 2,
            "cut._type": b"{", "cut.path": picture, "odd._type": "html-file", "odd._type.path": 3,
        },
    )  # fmt: skip
    assert {record.tag: type(record) for record in found if isinstance(record, Images | Scalar | Histogram)} == {
        "val.picture": Images, "val.loss": Scalar, "h": Histogram,
    }  # fmt: skip
    assert reader.skipped == {"damaged value": 1, "damaged html-file": 1}


@pytest.mark.parametrize("path", ["../secret.png", "/etc/passwd", "media/../../secret.png", "media/none.png"])
def test_pictures_outside_the_run_and_missing_ones(tmp_path: Path, path: str) -> None:
    media(tmp_path, "../secret.png", foreign.png(np.zeros((4, 4), np.uint8)))
    found, reader = values(tmp_path, p={"_type": "image-file", "path": path})
    assert found == []
    expected = "image-file without its file" if path == "media/none.png" else "damaged image-file"
    assert reader.skipped == {expected: 1}


@pytest.mark.parametrize(
    "value",
    [
        {"_type": "image-file"},
        {"_type": "image-file", "path": 7},
        {"_type": "image-file", "path": "media/bomb.png"},
        {"_type": "image-file", "path": "media/fifo"},
        {"_type": "images/separated", "filenames": []},
        {"_type": "images/separated", "filenames": None},
        {"_type": "histogram", "values": [1, 2], "bins": [0, 1]},
        {"_type": "histogram", "values": [1, -2], "bins": [0, 1, 2]},
        {"_type": "histogram", "values": [1, 2], "bins": [0, 2, 1]},
        {"_type": "histogram", "values": [1, 2], "bins": ["NaN", 2, 1]},
        {"_type": "histogram", "values": [[1]], "bins": [0, 1]},
        {"_type": "histogram", "values": [], "bins": [0]},
        {"_type": "histogram", "values": [1], "packedBins": {"min": 0}},
        {"_type": "image-file", "path": "media/link.png"},
        {"_type": "image-file", "path": "linked/secret.png"},
        {"_type": "table-file", "path": "media/list.json"},
        {"_type": "table-file", "path": "media/ragged.json"},
        {"_type": "plotly-file", "path": "media/list.json"},
        {"_type": "plotly-file", "path": "media/deep.json"},
        {"_type": "plotly-file", "path": "media/array.json"},
        {"_type": "audio-file", "path": "media/large.wav"},
        {"_type": "audio-file", "path": ["a.wav"]},
        {"_type": "video-file", "path": "media/bomb.gif"},
        {"_type": "object3D-file", "path": "media/points.pts.json"},
        {"_type": "videos", "videos": []},
        {"_type": "videos", "videos": {"a": 1}},
        {"_type": "table-file", "path": "media/large.json"},
    ],
    ids=str,
)
def test_damaged_media(tmp_path: Path, value: dict[str, Any]) -> None:
    import os

    media(tmp_path, "media/bomb.png", hostile_events.bomb(60_000, 60_000))
    media(tmp_path, "media/bomb.gif", b"GIF89a" + b"\xff" * 100)
    media(tmp_path, "media/list.json", "[1]")
    media(tmp_path, "media/ragged.json", '{"columns": ["a"], "data": [[1, 2]]}')
    media(tmp_path, "media/deep.json", '{"data": [' + '{"a":' * 60 + "1" + "}" * 60 + "]}")
    media(tmp_path, "media/array.json", '{"data": [{"y": {"dtype": "O", "bdata": "AAAAAAAAAAA="}}]}')
    media(tmp_path, "media/large.wav", b"R" * (2**24 + 1))
    media(tmp_path, "media/points.pts.json", "[[1, 2], [3, 4]]")
    secret = media(tmp_path, "../secret.png", foreign.png(np.zeros((4, 4), np.uint8)))
    files = (tmp_path / FILE).parent / "files"
    (files / "media" / "link.png").symlink_to(files / secret)
    (files / "linked").symlink_to(files.parent)
    media(tmp_path, "media/large.json", b" " * (2**23 + 1))
    os.mkfifo((tmp_path / FILE).parent / "files" / "media" / "fifo")
    found, reader = values(tmp_path, x=value, good=1)
    assert found == [Scalar("good", 1, 3, 12.5)]
    assert reader.skipped == {f"damaged {value['_type']}": 1}


def test_histograms(tmp_path: Path) -> None:
    found, _ = values(
        tmp_path,
        plain={"_type": "histogram", "values": [1, 2], "bins": [0, 1, 3]},
        packed={"_type": "histogram", "values": [1, 2], "packedBins": {"min": -1, "size": 0.5, "count": 2}},
    )
    edges = []
    for record in found:
        assert isinstance(record, Histogram)
        assert record.buckets is not None
        assert record.buckets[0].tolist() == [1, 2]
        edges.append(record.buckets[1].tolist())
    assert edges == [[0, 1, 3], [-1, -0.5, 0]]


def test_html(tmp_path: Path) -> None:
    html = "<html><head><title>no</title></head><body><p>a &lt; b</p><script>var x = '<p>no'</script><b>bold</b> 1 < 2"
    found, _ = values(tmp_path, html={"_type": "html-file", "path": media(tmp_path, "media/html/h.html", html)})
    assert [record.text.splitlines() for record in found if isinstance(record, Text)] == [["a < b", "bold 1 < 2"]]


def test_tables(tmp_path: Path) -> None:
    rows = [[number, {"_type": "image-file", "path": "x"}] for number in range(1200)]
    for name, content in (("long", {"columns": ["id", "a|b"], "data": rows}), ("empty", {"columns": [1], "data": []})):
        media(tmp_path, f"media/table/{name}.json", json.dumps(content))
    found, reader = values(
        tmp_path,
        **{name: {"_type": "table-file", "path": f"media/table/{name}.json"} for name in ("long", "empty")},
    )
    long, empty = found
    assert isinstance(long, Table)
    assert long.columns == ("id", "a|b")
    assert long.rows[:1] == (("0", "(image-file)"),)
    assert long.rows[-2:] == (("999", "(image-file)"), ("… 200 more rows", ""))
    assert empty == Table("empty", ("1",), (), 3, 12.5)
    assert not reader.skipped


def sound() -> bytes:
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(bytes(1600))
    return out.getvalue()


def film(frames: int) -> bytes:
    out = io.BytesIO()
    pictures = [Image.new("RGB", (6, 4), (40 * number, 0, 0)) for number in range(frames)]
    pictures[0].save(out, "gif", save_all=True, append_images=pictures[1:])
    return out.getvalue()


def test_sounds_and_films(tmp_path: Path) -> None:
    wav = {"_type": "audio-file", "path": media(tmp_path, "media/audio/a.wav", sound()), "caption": "a"}
    mp3 = {"_type": "audio-file", "path": media(tmp_path, "media/audio/b.MP3", b"ID3")}
    gif = {"_type": "video-file", "path": media(tmp_path, "media/videos/v.gif", film(3))}
    still = {"_type": "video-file", "path": media(tmp_path, "media/videos/s.gif", film(1))}
    mp4 = {"_type": "video-file", "path": media(tmp_path, "media/videos/v.mp4", b"?")}
    found, reader = values(
        tmp_path, wav=wav, mp3=mp3, gif=gif, still=still, mp4=mp4,
        both={"_type": "audio", "count": 2, "audio": [wav, mp3]}, films={"_type": "videos", "videos": [gif]},
    )  # fmt: skip
    assert found[:3] == [
        Audio("wav", sound(), 3, 12.5, "audio/wav"),
        Audio("mp3", b"ID3", 3, 12.5, "audio/mpeg"),
        Video("gif", film(3), 6, 4, 3, 12.5),
    ]
    assert isinstance(found[3], Images)
    assert [(type(record), record.tag) for record in found[4:]] == [  # type: ignore[union-attr]
        (Audio, "both/0"), (Audio, "both/1"), (Video, "films"),
    ]  # fmt: skip
    assert reader.skipped == {"video-file (mp4)": 1}


def test_figures_of_plotly(tmp_path: Path) -> None:
    content = {"data": [{"type": "bar", "y": {"dtype": "i1", "bdata": "AQID"}}], "layout": {"title": {"text": "t"}}}
    plot = {"_type": "plotly-file", "path": media(tmp_path, "media/plotly/p.plotly.json", json.dumps(content))}
    found, reader = values(tmp_path, plot=plot)
    shown = '{"data":[{"type":"bar","y":[1,2,3]}],"layout":{"title":{"text":"t"}}}'
    assert found == [Figure("plot", b"", 3, 12.5, shown)]
    assert not reader.skipped


def test_clouds_of_points(tmp_path: Path) -> None:
    paths = {
        "plain": media(tmp_path, "media/object3D/a.pts.json", "[[1, 2, 3], [4, 5, 6]]"),
        "color": media(tmp_path, "media/object3D/b.pts.json", "[[1, 2, 3, 255, 0, 300]]"),
        "other": media(tmp_path, "media/object3D/c.obj", "v 1 2 3"),
    }
    found, reader = values(tmp_path, **{n: {"_type": "object3D-file", "path": path} for n, path in paths.items()})
    plain, color = found
    assert isinstance(plain, Mesh)
    assert isinstance(color, Mesh)
    assert plain.vertices.tolist() == [[1, 2, 3], [4, 5, 6]]
    assert color.colors.tolist() == [[255, 0, 255]]
    assert reader.skipped == {"object3D-file (obj)": 1}
