"""Every sink against the contract, each kind of record read back from the real place."""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image
from rich.console import Console
from tensorboard.plugins.hparams import metadata as hparams

from monitor import Run, Sink
from monitor import records as r
from monitor.sinks.console import ConsoleSink
from monitor.sinks.memory import MemorySink
from monitor.sinks.tensorboard import TensorBoardSink
from monitor.sinks.visdom.sink import VisdomSink
from monitor.testing import check_sink
from tests.support import event_reader

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from tests.support.servers import VisdomServer


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(tmp_path / "run", {"lr": 0.01})


def test_memory_keeps_every_record(run: Run) -> None:
    sink = MemorySink()
    check_sink(lambda: sink, run, lambda records: compare(sink.records, records))
    assert sink.closed
    assert sink.series("train/loss") == [(0, 2.5), (1, 1.5)]


def compare(found: Sequence[r.Record], wanted: Sequence[r.Record]) -> None:
    assert [type(record) for record in found] == [type(record) for record in wanted]
    assert found == list(wanted)


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
        assert event_reader.text(run.path, "notes") == [x.text for x in records if isinstance(x, r.Text)]
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


def test_visdom_shows_every_kind(run: Run, visdom_server: VisdomServer) -> None:
    env = "contract"

    def read_back(records: Sequence[r.Record]) -> None:
        windows = visdom_server.windows(env)
        assert visdom_server.trace(env, "train loss", "loss") == [(0, 2.5), (1, 1.5)]
        assert visdom_server.trace(env, "test loss & accuracy", "loss") == [(0, 2.25), (1, 1.25)]
        assert visdom_server.trace(env, "test loss & accuracy", "accuracy") == [(0, 0.5), (1, 0.75)]
        assert visdom_server.trace(env, "alone", "alone") == [(0, 7.0), (1, 7.0)]
        for title in ("samples", "colored", "predictions", "confusion"):
            assert windows[title]["type"] == "image"
            assert windows[title]["content"]["src"].startswith("data:image/png;base64,")
        assert "5: f / j  wrong" in windows["predictions (labels)"]["content"]
        assert "&lt;b&gt;plain&lt;/b&gt;" in windows["notes"]["content"]
        assert sum(windows["weights/fc1"]["content"]["data"][0]["y"]) == 1000
        (curve,) = (x for x in records if isinstance(x, r.Curve) and x.step == 1)
        decision = windows["decision"]["content"]
        assert decision["data"][0]["x"] == pytest.approx(curve.x.tolist())
        assert decision["data"][0]["y"] == pytest.approx(curve.y.tolist())
        assert decision["layout"]["xaxis"]["title"]["text"] == "Hours"
        assert decision["data"][1]["mode"] == "markers"
        assert decision["data"][1]["x"] == [2.0, 5.0]
        assert decision["layout"]["shapes"][0]["y0"] == 0.5
        assert "optimizer: sgd" in windows["config"]["content"]
        assert len(windows) == 12

    check_sink(lambda: VisdomSink(port=visdom_server.port, env=env), run, read_back)


def test_the_env_is_the_runs_name_and_another_is_left_alone(run: Run, visdom_server: VisdomServer) -> None:
    import requests

    other = {"eid": "other", "win": "mine", "data": [{"type": "text", "content": "mine"}], "opts": {"title": "mine"}}
    requests.post(f"{visdom_server.url}/events", json=other, timeout=5).raise_for_status()
    check_sink(lambda: VisdomSink(port=visdom_server.port), run)
    assert set(visdom_server.envs()) == {"main", "other", "run"}
    assert visdom_server.windows("other")["mine"]["content"] == "mine"
    assert visdom_server.windows("main") == {}


def console(terminal: bool) -> tuple[Console, io.StringIO]:
    out = io.StringIO()
    return Console(file=out, force_terminal=terminal, width=120, color_system=None), out


def test_the_console_writes_a_plain_line_an_epoch(run: Run) -> None:
    to, out = console(terminal=False)
    check_sink(lambda: ConsoleSink(to), run)
    assert out.getvalue().splitlines() == [
        "notes (step 0): step 0: <b>plain</b> text & more",
        "epoch 1/2  step 1/2  train/loss 2.5  test/loss 2.25  test/accuracy 0.5  alone 7",
        "notes (step 1): step 1: <b>plain</b> text & more",
        "epoch 2/2  step 2/2  train/loss 1.5  test/loss 1.25  test/accuracy 0.75  alone 7",
    ]


def test_the_console_draws_progress_on_a_terminal(run: Run) -> None:
    to, out = console(terminal=True)
    check_sink(lambda: ConsoleSink(to), run)
    drawn = out.getvalue()
    assert re.search(r"epoch 2/2 step 2 .*━", drawn)
    assert "test/accuracy 0.75" in drawn
    assert drawn.count("\x1b[?25l") == drawn.count("\x1b[?25h"), "the cursor must come back"


def test_a_prediction_that_is_wrong_is_marked() -> None:
    from monitor.render.images import prediction_grid, prediction_labels

    images = np.full((2, 1, 28, 28), 128, np.uint8)
    record = r.Predictions("p", images, np.array([3, 3]), np.array([3, 8]), (), 0, 0.0)
    picture = np.asarray(Image.open(io.BytesIO(prediction_grid(record).png))).astype(int)
    left, right = np.array_split(picture, 2, axis=1)

    def red(part: np.ndarray) -> int:
        return int(((part[..., 0] > 180) & (part[..., 1:].max(axis=2) < 60)).sum())

    assert red(left) == 0
    assert red(right) > 100
    assert prediction_labels(record).splitlines()[1:] == ["0: 3 / 3", "1: 3 / 8  wrong"]


@pytest.mark.parametrize(
    ("break_it", "says"),
    [
        (lambda sink: setattr(sink, "accepts", frozenset()), "accepts contains no record type"),
        (lambda sink: setattr(sink, "accepts", frozenset({int})), "not record types"),
        (lambda sink: setattr(sink, "interval", 9.0), "interval"),
    ],
)
def test_the_contract_test_finds_what_breaks_it(run: Run, break_it: Callable[[Sink], None], says: str) -> None:
    def make() -> Sink:
        sink = MemorySink()
        break_it(sink)
        return sink

    with pytest.raises(AssertionError, match=says):
        check_sink(make, run)


def test_the_contract_test_finds_a_constructor_that_writes(run: Run) -> None:
    class Eager(MemorySink):
        def __init__(self) -> None:
            super().__init__()
            (run.path / "early").touch()

    with pytest.raises(AssertionError, match="constructor"):
        check_sink(Eager, run)


def test_the_console_shows_all_values_on_a_narrow_terminal(run: Run) -> None:
    shown = io.StringIO()
    sink = ConsoleSink(Console(file=shown, force_terminal=True, width=80))
    sink.open(run)
    sink.write([r.Scalar(f"group/value{n}", n / 7, 5, 0.0) for n in range(8)])
    sink.flush()
    sink.close()
    for n in range(8):
        assert f"value{n} {n / 7:.4g}" in " ".join(shown.getvalue().split())
