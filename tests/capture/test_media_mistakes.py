"""Media that are refused: at the call, in one line, with nothing logged."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from monitor import Logger
from monitor.capture.snapshot import ArraySnapshot
from monitor.records import Curve, Table
from monitor.sinks.memory import MemorySink

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


MISTAKES: dict[str, tuple[Callable[[Logger], None], type[Exception], str]] = {
    "figure": (lambda log: log.figure("x", [1], 0), TypeError, "must be one of Matplotlib or Plotly, not list"),
    "sound shape": (lambda log: log.audio("x", np.zeros((9, 5)), 0), ValueError, "T×C, or C×T with 1 or 2 channels"),
    "sound dtype": (lambda log: log.audio("x", np.zeros(9, np.int32), 0), TypeError, "float in .* or int16, not int32"),
    "sample rate": (lambda log: log.audio("x", np.zeros(9), 0, sample_rate=0), ValueError, "sample_rate"),
    "frames": (lambda log: log.video("x", np.zeros((2, 2, 5, 5)), 0), ValueError, "3, or 4 channels"),
    "fps": (lambda log: log.video("x", np.zeros((2, 1, 5, 5)), 0, fps=0), ValueError, "fps must be"),
    "two images": (lambda log: log.detections("x", np.zeros((2, 3, 5, 5)), 0), ValueError, "needs one image"),
    "boxes": (lambda log: log.detections("x", np.zeros((5, 5)), 0, boxes=[[1, 2, 3]]), ValueError, "must be N×4"),
    "labels": (lambda log: log.detections("x", np.zeros((5, 5)), 0, labels=["a"]), ValueError, "one label per box"),
    "masks": (lambda log: log.detections("x", np.zeros((5, 5)), 0, masks=np.ones((4, 5), int)), ValueError, "be H"),
    "soft masks": (lambda log: log.detections("x", np.zeros((5, 5)), 0, masks=np.ones((5, 5))), TypeError, "float64"),
    "classes": (lambda log: log.pr_curve("x", [0, 1], [0.5], 0), ValueError, "must have the same shape"),
    "thresholds": (lambda log: log.pr_curve("x", [0, 1], [0.5, 1], 0, thresholds=128), ValueError, "from 2 to 127"),
    "PR target": (lambda log: log.pr_curve("x", [0, 2], [0.5, 1], 0), ValueError, "target: .* 0 or 1, not 2"),
    "PR scores": (lambda log: log.pr_curve("x", [0, 1], [0.5, 1.5], 0), ValueError, r"in \[0, 1\], not 1.5"),
    "PR NaN": (lambda log: log.pr_curve("x", [0, 1], [0.5, math.nan], 0), ValueError, r"in \[0, 1\], not nan"),
    "ROC target": (lambda log: log.roc_curve("x", torch.tensor([0, 3]), [0.5, 9], 0), ValueError, "or 1, not 3"),
    "ROC scores": (lambda log: log.roc_curve("x", [0, 1], [0.5, math.inf], 0), ValueError, "finite, not inf"),
    "NaN box": (lambda log: log.detections("x", np.zeros((5, 5)), 0, boxes=[[0, 0, 1, math.nan]]), ValueError, "row 0"),
    "NaN vector": (lambda log: log.embedding("x", [[1.0], [math.nan]], 0), ValueError, "finite; row 1 has NaN"),
    "inf vector": (lambda log: log.embedding("x", torch.tensor([[math.inf]]), 0), ValueError, "finite; row 0"),
    "no vertex": (lambda log: log.mesh("x", np.zeros((1, 3)), 0, faces=[[0, 1, 2]]), ValueError, "0 to 0, not 1"),
    "one below": (lambda log: log.mesh("x", np.zeros((3, 3)), 0, faces=[[0, -1, 2]]), ValueError, "0 to 2, not -1"),
    "vectors": (lambda log: log.embedding("x", [1.0, 2.0], 0), ValueError, "one row per point"),
    "point labels": (lambda log: log.embedding("x", [[1.0]], 0, labels=["a", "b"]), ValueError, "per point, 1"),
    "vertices": (lambda log: log.mesh("x", np.zeros((4, 2)), 0), ValueError, "vertices: must be N×3"),
    "faces": (lambda log: log.mesh("x", np.zeros((4, 3)), 0, faces=np.zeros((1, 3))), TypeError, "must be integers"),
    "colors": (lambda log: log.mesh("x", np.zeros((4, 3)), 0, colors=np.zeros((1, 3))), ValueError, "color per vertex"),
    "ragged": (lambda log: log.table("x", [[1], [1, 2]], 0), ValueError, "one length"),
    "flat": (lambda log: log.table("x", [1, 2], 0), TypeError, "a row of a table must be a list of cells, not int"),
    "cell": (lambda log: log.table("x", [[object()]], 0), TypeError, "must be text or a number, not object"),
    "columns": (lambda log: log.table("x", {"a": [1], "b": [1, 2]}, 0), ValueError, "all columns .* one length"),
    "a column": (lambda log: log.table("x", {"a": "text"}, 0), TypeError, "column 'a' .* list of cells, not str"),
    "no column": (lambda log: log.table("x", {"a": [1]}, 0, columns=["b"]), ValueError, "has no column 'b'"),
    "tensor": (lambda log: log.table("x", torch.zeros(2, 2), 0), TypeError, r"convert it with tolist\(\)"),
}  # fmt: skip


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_raises_at_the_call_and_logs_nothing(name: str, tmp_path: Path) -> None:
    call, kind, message = MISTAKES[name]
    sink = MemorySink()
    with Logger(tmp_path / "run", [sink]) as log:
        with pytest.raises(kind, match=message) as raised:
            call(log)
        assert "\n" not in str(raised.value)
    assert [record for record in sink.records if hasattr(record, "tag")] == []


@pytest.mark.parametrize("name", ["PR scores", "ROC target", "NaN box", "NaN vector", "no vertex"])
def test_values_on_a_device_cost_only_their_record(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing waits for a GPU, so a worker makes the check."""
    monkeypatch.setattr(ArraySnapshot, "is_on_host", False)
    call, _, message = MISTAKES[name]
    sink = MemorySink()
    with Logger(tmp_path / "run", [sink]) as log:
        call(log)
        log.scalar("a", 1.0, 0)
        assert log.flush()
        assert log.stats().sinks["memory"].failed == 1
    assert sink.series("a") == [(0, 1.0)]
    assert re.search(message, caplog.text)


def test_an_roc_curve_of_one_class_says_that_it_has_no_area(tmp_path: Path) -> None:
    sink = MemorySink()
    with Logger(tmp_path / "run", [sink]) as log:
        log.roc_curve("r", [1, 1], [0.5, 0.7], 0)
    (curve,) = sink.of(Curve)
    assert curve.y_title == "true positive rate (area undefined: only one class occurs)"


def test_a_mapping_of_columns_is_a_table(tmp_path: Path) -> None:
    sink = MemorySink()
    with Logger(tmp_path / "run", [sink]) as log:
        log.table("t", {"a": [1, 2], "b": np.array(["x", "y"])}, 0)
        log.table("t", {"a": (1, 2), "b": "not chosen"}, 1, columns=["a"])
        log.table("t", {}, 2)
    tables = [(table.columns, table.rows) for table in sink.of(Table)]
    assert tables == [(("a", "b"), (("1", "x"), ("2", "y"))), (("a",), (("1",), ("2",))), ((), ())]
