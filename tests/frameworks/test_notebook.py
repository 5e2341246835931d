"""Notebooks: a real kernel runs cells, and their outputs are what a frontend gets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import nbclient
import nbformat
import pytest

from monitor.sinks.notebook import PLOTLY_TYPE

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.filterwarnings("ignore")

CELLS = (
    "from monitor import Logger, compare, reopen",
    "log = Logger('runs/a', config={'lr': 0.1})",
    "for step in range(50):\n    log.scalar('train/loss', 1 / (step + 1), step)\nlog.flush()",
    "log.stats()",
    "log.close()\nlog.run",
    "compare('runs/a')",
)


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> list[list[dict[str, Any]]]:
    folder: Path = tmp_path_factory.mktemp("notebook")
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in CELLS])
    client = nbclient.NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(folder)}})
    client.execute()
    return [cell.outputs for cell in notebook.cells]


def test_a_live_logger_has_one_output_in_its_own_cell(outputs: list[list[dict[str, Any]]]) -> None:
    (output,) = outputs[1]
    figure = output["data"][PLOTLY_TYPE]
    assert figure["data"][0]["x"][-1] == 49
    assert figure["data"][0]["y"][-1] == pytest.approx(1 / 50)
    assert "train/loss" in output["data"]["text/html"]
    assert "<svg" in output["data"]["text/html"]
    assert [one for one in outputs[2] if one["output_type"] == "display_data"] == []


def test_stats_run_and_comparison_have_a_rich_display(outputs: list[list[dict[str, Any]]]) -> None:
    stats, run, comparison = (cell[-1]["data"]["text/html"] for cell in outputs[3:])
    assert "<td>tensorboard</td>" in stats
    assert "<td>notebook</td>" in stats
    assert "finished" in run
    assert "<td>lr</td><td>0.1</td>" in run
    assert comparison.startswith("<iframe sandbox=")
    assert "train/loss" in comparison
