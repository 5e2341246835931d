"""Records of media to test sinks with."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from monitor.records import Audio, Detections, Embedding, Figure, Mesh, PRCurve, Table, Video
from monitor.render.pictures.images import encode_png
from monitor.render.pictures.media import encode_gif, encode_wav
from monitor.render.reduction.classifier_curves import precision_recall

if TYPE_CHECKING:
    from monitor.records import Record

TETRAHEDRON = np.array([[0, 1, 2], [0, 1, 3], [0, 2, 3], [1, 2, 3]])


def media_records(step: int, time: float) -> list[Record]:
    """Return a record of each kind of media."""
    rng = np.random.default_rng(step)
    picture, sound, film = _encoded(step)
    plotly = '{"data":[{"type":"bar","x":["a","b"],"y":[1,2]}],"layout":{"title":{"text":"bars"}}}'
    image = rng.integers(0, 256, (3, 20, 30), np.uint8)
    masks = np.zeros((1, 20, 30), np.uint8)
    masks[0, 5:9, 5:25] = 1
    target = np.arange(100) % 3 == 0
    counts = precision_recall(target, np.clip(rng.random(100) / 2 + target / 3, 0, 1), 16)
    labels = tuple((f"point {number}", str(number % 2)) for number in range(6))
    tiles = rng.integers(0, 256, (6, 1, 8, 8), np.uint8)
    vectors = rng.normal(size=(6, 5)).astype(np.float32)
    vertices = np.concatenate([np.zeros((1, 3)), np.eye(3)]).astype(np.float32)
    colors = np.full((4, 3), 40 + step, np.uint8)
    return [
        Figure("drawn", picture, step, time),
        Figure("bars", b"", step, time, plotly),
        Audio("sound", sound, step, time, "audio/wav", 8000, 1, 800),
        Video("film", film, 16, 12, step, time),
        Detections("boxes", image, np.array([[2.0, 2.0, 20.0, 12.0]]), ("<b>cat</b>",), masks, step, time),
        PRCurve("precision", *counts, step, time),
        Embedding("space", vectors, step, time, labels, ("name", "group"), tiles),
        Mesh("tetrahedron", vertices, TETRAHEDRON, colors, step, time),
        Table("table", ("name", "value"), (("<b>a</b> | *b*", "1.5"), ("", "-2e-05")), step, time),
    ]


@lru_cache
def _encoded(step: int) -> tuple[bytes, bytes, bytes]:
    """Return a picture, a sound, and a film, in their files' formats."""
    rng = np.random.default_rng(step)
    picture = encode_png(Image.fromarray(rng.integers(0, 256, (40, 60, 3), np.uint8))).png
    sound = encode_wav(np.sin(np.arange(800) / 9)[:, None], 8000)
    return picture, sound, encode_gif(rng.integers(0, 256, (3, 1, 12, 16), np.uint8), 10)


def hostile_media(time: float) -> dict[str, Record]:
    """Return records of media that a `Logger` accepts, each under what is odd about it."""
    markup = "[/] </script><script>alert(1)</script> $$ *x* |\n\x1b[31m"
    pixel = np.full((1, 1, 1), 255, np.uint8)
    no_masks, no_faces = np.zeros((0, 1, 1), np.uint8), np.zeros((0, 3), np.int64)
    extremes = np.array([[np.nan, np.inf, -np.inf], [3.4e38, -3.4e38, 1e-45]], np.float32)
    boxes = np.array([[np.nan, 0, 1, 1], [1e300, -1e300, 5, 5], [9, 9, -9, -9]])
    none = np.zeros((4, 2))
    return {
        "a figure without traces": Figure("hostile", b"", 0, time, '{"data":[],"layout":{}}'),
        "a figure of an unknown kind": Figure("hostile", b"", 0, time, '{"data":[{"type":"</script>","x":[{}]}]}'),
        "a figure of texts": Figure(markup, b"", 0, time, '{"data":[{"y":["<b>","$x"],"x":[null,1e300]}],"layout":{}}'),
        "a sound of silence": Audio(markup, encode_wav(np.zeros((1, 2)), 1), 0, time),
        "a film of one frame": Video(markup, encode_gif(np.zeros((1, 4, 1, 1), np.uint8), 0.01), 1, 1, 0, time),
        "boxes outside": Detections(markup, pixel, boxes, (markup, "", "x" * 10_000), no_masks, 0, time),
        "an image without boxes": Detections("hostile", pixel, boxes[:0], (), no_masks, 0, time),
        "a curve of nothing": PRCurve(markup, none, none[0], none[0], 0, time),
        "an embedding of extremes": Embedding(markup, extremes, 0, time, ((markup,), ("",))),
        "an embedding of one point": Embedding("hostile", np.zeros((1, 1), np.float32), -(2**63), time),
        "an embedding of equal points": Embedding("hostile", np.ones((3, 9), np.float32), 0, time),
        "a mesh of extremes": Mesh(markup, extremes, no_faces, np.zeros((0, 3), np.uint8), 0, time),
        "faces of other meshes": Mesh("hostile", extremes, np.array([[-1, 0, 2**40]]), no_faces.astype("u1"), 0, time),
        "an empty table": Table(markup, (), (), 0, time),
        "a table of markup": Table("hostile", (markup, ""), ((markup, "1"), ("", "x" * 1000)), 0, time),
    }
