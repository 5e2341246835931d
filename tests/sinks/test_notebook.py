"""The notebook sink without a notebook: what it would show."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from monitor import Logger, Run
from monitor.sinks.notebook import PLOTLY_TYPE, NotebookSink

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_the_output_has_the_curves_and_the_progress(tmp_path: Path) -> None:
    shown: list[dict[str, Any]] = []
    with Logger(tmp_path / "run", [NotebookSink(shown.append)], {"lr": 1}) as log:
        for step in range(100):
            log.scalar("train/<b>", step / 10, step)
            log.scalars({"train/loss": 1.0, "test/loss": 2.0}, step)
        log.scalar("test/nothing", float("nan"), 3)
        log.scalar("system/cpu_percent/machine", 50.0, 1)
        log.progress(1, 2, 100, 200)
    last = shown[-1]
    assert last["text/plain"] == "run · epoch 1 of 2 · step 100 of 200"
    assert "train/&lt;b&gt;" in last["text/html"]
    assert "<b>run" in last["text/html"]
    assert "system/" not in last["text/html"]
    titles = [note["text"] for note in last[PLOTLY_TYPE]["layout"]["annotations"]]
    assert "<b>train/&lt;b&gt;</b>" in titles
    assert any("nan at step 3" in title for title in titles)
    assert any(title.startswith("<b>loss</b>") and "train" in title and "test" in title for title in titles)
    (line,) = [trace for trace in last[PLOTLY_TYPE]["data"] if trace["name"] == "train" and trace["y"][-1] == 9.9]
    assert (line["x"][-1], line["y"][-1]) == (99, 9.9)


def test_elsewhere_it_says_so_and_shows_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, logger="monitor"):
        log = Logger(Run(tmp_path / "run"), ["notebook"])
    log.scalar("a", 1.0, 0)
    log.close()
    messages = [record.message for record in caplog.records]
    assert messages.count("notebook: this process is no notebook's, so nothing is shown") == 1


def test_tables_for_a_notebook(tmp_path: Path) -> None:
    log = Logger(tmp_path / "run", ["tensorboard"], {"lr": "<script>"})
    log.scalar("test/loss", 0.5, 7)
    log.close()
    assert "<td>tensorboard</td><td>2</td><td>2</td>" in log.stats()._repr_html_()
    table = log.run._repr_html_()
    assert "<td>lr</td><td>&lt;script&gt;</td>" in table
    assert "<td>test/loss</td><td>0.5</td><td>7</td><td>0.5</td><td>7</td>" in table
    assert "finished" in table
