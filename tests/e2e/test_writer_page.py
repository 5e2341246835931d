"""Everything that a `SummaryWriter` adds is in TensorBoard's API, and on Visdom's page as Chromium draws it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import requests
import torch

from monitor import SummaryWriter
from tests.integrations.writer_calls import LAYOUT, figure
from tests.support.browser import FIND_WINDOW

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support.browser import Page
    from tests.support.servers import Served, VisdomServer

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore:.*torch.jit:FutureWarning")

PICTURES = ("an/image", "images", "boxes", "figure", "film")
PLOTS = {  # the types of the traces, by the title of the window
    "an/loss": {"scatter"},
    "an/group": {"scatter"},
    "new": {"scatter"},
    "histogram": {"bar"},
    "raw histogram": {"bar"},
    "precision": {"scatter"},
    "raw precision": {"scatter"},
    "shape": {"mesh3d"},
    "space": {"scatter3d"},
}


def add_every_kind(w: SummaryWriter) -> None:
    rng = np.random.default_rng(0)
    w.add_scalar("an/loss", 1.0, 1)
    w.add_scalar("new/style", 2.0, 1, new_style=True)
    w.add_scalars("an/group", {"old": 1.0, "new": 2.0}, 1)
    w.add_histogram("histogram", rng.normal(size=100), 1)
    w.add_histogram_raw("raw histogram", 0.0, 1.0, 3, 1.5, 1.25, [0.5, 1.0], [1, 2], 1)
    w.add_image("an/image", rng.random((3, 60, 80)), 1)
    w.add_images("images", rng.random((4, 1, 60, 80)), 1)
    w.add_image_with_boxes("boxes", rng.random((3, 60, 80)), np.array([[2, 2, 40, 40]]), 1)
    w.add_figure("figure", figure(), 1)
    w.add_video("film", rng.integers(0, 256, (1, 6, 3, 60, 80), np.uint8), 1)
    w.add_audio("sound", np.sin(np.arange(8000) / 3), 1, sample_rate=8000)
    w.add_text("text", "hello", 1)
    w.add_pr_curve("precision", rng.integers(0, 2, 50), rng.random(50), 1)
    true, false, precision, recall = [4, 2, 1], [3, 1, 0], [0.5, 0.7, 1.0], [1.0, 0.5, 0.25]
    w.add_pr_curve_raw("raw precision", true, false, false, true, precision, recall, 1, num_thresholds=3)
    w.add_custom_scalars(LAYOUT)
    w.add_mesh("shape", np.eye(3)[None], faces=np.array([[[0, 1, 2]]]), global_step=1)
    w.add_embedding(rng.random((20, 5)), list("ab" * 10), global_step=1, tag="space")
    w.add_graph(torch.nn.Linear(2, 3), torch.zeros(1, 2))
    w.add_hparams({"lr": 0.125}, {"accuracy": 0.5})


@pytest.mark.slow
def test_every_kind_is_shown(
    page: Page, visdom_server: VisdomServer, serve: Callable[..., Served], tmp_path: Path
) -> None:
    folder = tmp_path / "runs" / "writer"
    with SummaryWriter(folder, sinks=["tensorboard", visdom_server.spec("writer")]) as writer:
        add_every_kind(writer)

    server = serve("tensorboard", "--port", "0", "--logdir", str(folder.parent))

    def get(path: str, **arguments: Any) -> Any:
        answer = requests.get(f"{server.url}/data/plugin/{path}", arguments, timeout=20)
        answer.raise_for_status()
        return answer.json()

    assert set(get("images/tags")["writer"]) == set(PICTURES)
    assert set(get("scalars/tags")["writer"]) == {"an/loss", "new/style", "accuracy"}
    assert {run for run in get("scalars/tags") if run.startswith("writer/an")} == {
        "writer/an_group_old",
        "writer/an_group_new",
    }
    assert set(get("histograms/tags")["writer"]) == {"histogram", "raw histogram"}
    assert set(get("audio/tags")["writer"]) == {"sound"}
    assert "text/text_summary" in get("text/tags")["writer"]
    assert set(get("pr_curves/tags")["writer"]) == {"precision", "raw precision"}
    assert set(get("mesh/tags")["writer"]) == {"shape"}
    assert get("graphs/info")["writer"]["run_graph"]
    assert [entry["tensorName"] for entry in get("projector/info", run="writer")["embeddings"]] == ["space:00001"]
    assert {chart["title"] for chart in get("custom_scalars/layout")["category"][0]["chart"]} == set(LAYOUT["losses"])

    page.goto(f"{visdom_server.url}/env/writer")
    for name in PICTURES:
        page.wait(f"() => {{ const w = ({FIND_WINDOW})('{name}'); const i = w && w.querySelector('img');"
                  " return i && i.complete && i.naturalWidth > 50; }")  # fmt: skip
    page.wait(f"() => ({FIND_WINDOW})('sound')?.querySelector('audio')?.duration === 1")
    page.wait(f"() => ({FIND_WINDOW})('text')?.textContent.includes('hello')")
    for title, kinds in PLOTS.items():
        assert set(page.evaluate("p => p._fullData.map(trace => trace.type)", page.plot(title))) == kinds, title
    page.wait(f"() => ({FIND_WINDOW})('config')?.textContent.includes('0.125')")
    assert page.problems == []
