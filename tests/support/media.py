"""A run with every kind of media, logged as a loop of one's own does it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import matplotlib.figure
import numpy as np

if TYPE_CHECKING:
    from monitor import Logger

PLOTLY = {
    "data": [{"type": "surface", "z": [[1, 2], [3, 5]]}],
    "layout": {"title": {"text": "a <b>surface</b>"}},
}
BARS = {"data": [{"type": "bar", "x": ["cat", "dog"], "y": [3, 5], "name": "counts"}], "layout": {}}


def picture(height: int = 120, width: int = 160) -> np.ndarray[Any, Any]:
    """Return a picture, 3×H×W."""
    y, x = np.mgrid[:height, :width]
    return np.stack([255 * x / width, 255 * y / height, 0 * x + 90]).astype(np.uint8)


def log_everything(log: Logger, step: int = 0) -> None:
    """Log each kind of media once."""
    rng = np.random.default_rng(step)
    figure = matplotlib.figure.Figure(figsize=(4, 3))
    axes = figure.add_subplot()
    axes.plot(np.sin(np.linspace(0, 9, 100)))
    axes.set_title(r"$\alpha$ of a sine")
    log.figure("media/drawn", figure, step)
    log.figure("media/surface", PLOTLY, step)
    log.figure("media/bars", BARS, step)
    log.audio("media/tone", np.sin(np.arange(8000) * 440 * 2 * np.pi / 8000), step, sample_rate=8000)
    frames = np.zeros((8, 3, 48, 64), np.uint8)
    for number in range(8):
        frames[number, number % 3, :, number * 8 : number * 8 + 8] = 255
    log.video("media/film", frames, step, fps=8)
    mask = np.zeros((120, 160), np.int64)
    mask[60:110, 20:90] = 1
    boxes = np.array([[20, 60, 90, 110], [100, 10, 150, 50]])
    log.detections("media/boxes", picture(), step, boxes=boxes, labels=["cat <b>0.9</b>", "dog"], masks=mask)
    transparent = np.concatenate([picture(), np.full((1, 120, 160), 90, np.uint8)])
    log.images("media/rgba", transparent[None], step)
    target = rng.random(2000) < 0.4
    scores = np.clip(rng.normal(0.3 + 0.3 * target, 0.2), 0, 1)
    log.pr_curve("media/precision", target, scores, step)
    log.roc_curve("media/roc", target, scores, step)
    classes = np.arange(300) % 3
    vectors = rng.normal(size=(300, 20)) + 4 * np.eye(20)[classes]
    log.embedding("media/space", vectors, step, labels=classes, images=rng.random((300, 1, 8, 8)))
    log.embedding("media/plane", vectors[:, :2], step, labels=[["a", "b", "c"][n] for n in classes])
    t, u = (grid.ravel() for grid in np.meshgrid(np.linspace(0, 2 * np.pi, 24), np.linspace(0, np.pi, 12)))
    sphere = np.stack([np.cos(t) * np.sin(u), np.sin(t) * np.sin(u), np.cos(u)], axis=1)
    corners = np.arange(11 * 24).reshape(11, 24)[:, :-1].ravel()
    faces = np.concatenate(
        [np.stack([corners, corners + 1, corners + 24], 1), np.stack([corners + 1, corners + 25, corners + 24], 1)]
    )
    log.mesh("media/sphere", sphere, step, faces=faces, colors=(sphere + 1) / 2)
    log.mesh("media/cloud", rng.normal(size=(500, 3)), step)
    log.table("media/table", [["<b>cat</b>", 0.91], ["dog | wolf", 0.5]], step, columns=["name", "precision"])
