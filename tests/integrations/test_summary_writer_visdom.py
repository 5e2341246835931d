"""What a `SummaryWriter` gets is on a Visdom page, too."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from monitor import SummaryWriter

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from tests.support.servers import VisdomServer


def test_a_page_shows_a_writer(tmp_path: Path, visdom_server: VisdomServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MONITOR_SINKS", visdom_server.spec())
    for step in range(2):  # the second writer goes on with the page of the first
        with SummaryWriter(tmp_path / "page") as writer:
            writer.add_scalar("train/loss", 1.0, step)
            writer.add_scalars("group", {"a": 1.0, "b": 2.0}, step)
            writer.add_scalar("new/style", 1.0, step, new_style=True)
            writer.add_image("image", np.zeros((3, 8, 8)), step)
            writer.add_histogram("histogram", np.arange(9.0), step)
            writer.add_text("text", "hello", step)
            writer.add_hparams({"lr": 0.125}, {"accuracy": 0.5})
    windows = visdom_server.windows("page")
    assert {"loss", "group", "new", "image", "histogram", "text"} <= set(windows)
    assert visdom_server.trace("page", "loss", "train") == [(0, 1.0), (1, 1.0)]
