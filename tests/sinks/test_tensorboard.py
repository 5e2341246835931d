"""The TensorBoard sink against the contract, read back with TensorBoard's own reader."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pytest
from PIL import Image
from tensorboard.plugins.hparams import metadata as hparams

from monitor import Run
from monitor import records as r
from monitor.sinks.tensorboard import TensorBoardSink
from monitor.testing import check_sink
from tests.support import event_reader

if TYPE_CHECKING:
    from collections.abc import Sequence


def test_tensorboard_shows_every_kind(run: Run) -> None:
    def read_back(records: Sequence[r.Record]) -> None:
        found = event_reader.read(run.path)
        for tag in ("train/loss", "test/loss", "test/accuracy", "alone"):
            wanted = [(x.step, x.value, x.time) for x in records if isinstance(x, r.Scalar) and x.tag == tag]
            assert [(e.step, e.value, e.wall_time) for e in found.Scalars(tag)] == wanted
        for tag in ("samples", "colored", "predictions", "confusion", "decision"):
            first, second = found.Images(tag)
            assert (first.step, second.step) == (0, 1)
            assert Image.open(io.BytesIO(second.encoded_image_string)).size == (second.width, second.height)
        for tag in ("notes", "report"):
            wanted_texts = [x.text for x in records if isinstance(x, r.Text) and x.tag == tag]
            assert event_reader.text(run.path, tag) == wanted_texts
        assert "5: f / j  wrong" in event_reader.text(run.path, "predictions/labels")[1]
        assert "optimizer: sgd" in event_reader.text(run.path, "config")[0]
        for event, record in zip(found.Histograms("weights/fc1"), (x for x in records if isinstance(x, r.Histogram))):
            histogram = event.histogram_value
            assert sum(histogram.bucket) == histogram.num == len(record.values)
            assert histogram.min == record.values.min()
            assert histogram.sum == pytest.approx(record.values.sum())
        start = found.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
        values = hparams.parse_session_start_info_plugin_data(start).hparams
        assert values["lr"].number_value == 0.01
        assert values["optimizer"].string_value == "sgd"
        assert values["nesterov"].HasField("bool_value")

    check_sink(TensorBoardSink, run, read_back)
    end = event_reader.read(run.path).SummaryMetadata("_hparams_/session_end_info").plugin_data.content
    assert hparams.parse_session_end_info_plugin_data(end).status == 1  # STATUS_SUCCESS
