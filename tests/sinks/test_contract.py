"""Every sink of ours fulfills the contract, and the contract test finds sinks that break it, naming the rule."""

from __future__ import annotations

import io
from collections import defaultdict
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from rich.console import Console

from monitor import Scalar, records
from monitor.metrics import is_best_value
from monitor.render.charts.grouping import place_of
from monitor.sinks.console import ConsoleSink
from monitor.sinks.memory import MemorySink
from monitor.sinks.tensorboard import TensorBoardSink
from monitor.sinks.visdom.sink import VisdomSink
from monitor.testing import SinkContract
from tests.support import event_reader

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from monitor import Record, Sink
    from tests.support.servers import VisdomServer


PICTURES = (
    records.Images,
    records.Predictions,
    records.ConfusionMatrix,
    records.Curve,
    records.Figure,
    records.Video,
    records.Detections,
)


def series_of(found: Sequence[Record]) -> dict[str, list[tuple[int, float]]]:
    """Return the points of each scalar."""
    series = defaultdict(list)
    for record in found:
        if isinstance(record, Scalar):
            series[record.tag].append((record.step, record.value))
    return dict(series)


class TestMemory(SinkContract):
    """The memory sink keeps the records themselves."""

    def make_sink(self) -> Sink:
        self.sink = MemorySink()
        return self.sink

    def read_back(self, records: Sequence[Record]) -> None:
        assert self.sink.records == list(records)


class TestTensorBoard(SinkContract):
    """What TensorBoard's own reader finds."""

    def make_sink(self) -> Sink:
        return TensorBoardSink()

    def read_back(self, records_: Sequence[Record]) -> None:
        found = event_reader.read(self.run.path)
        tags = found.Tags()
        scalars = {
            tag: [(event.step, event.value) for event in found.Scalars(tag)]
            for tag in tags["scalars"]
            if not is_best_value(tag)
        }
        assert scalars == series_of(records_)
        steps: dict[str, list[int]] = defaultdict(list)
        for record in records_:
            if isinstance(record, PICTURES):
                steps[record.tag].append(record.step)
        assert {tag: [event.step for event in found.Images(tag)] for tag in tags["images"]} == steps
        texts: dict[str, list[str]] = defaultdict(list)
        for record in records_:
            if isinstance(record, records.Text):
                texts[record.tag].append(record.text)
        assert {tag: event_reader.text(self.run.path, tag) for tag in texts} == texts
        histograms = [record.step for record in records_ if isinstance(record, records.Histogram)]
        assert [event.step for tag in tags["histograms"] for event in found.Histograms(tag)] == histograms
        sounds = [record.encoded for record in records_ if isinstance(record, records.Audio)]
        assert [event.encoded_audio_string for tag in tags["audio"] for event in found.Audio(tag)] == sounds
        for kind, name in (
            (records.PRCurve, "precision"),
            (records.Mesh, "tetrahedron_FACE"),
            (records.Table, "table/text_summary"),
        ):
            logged = [record.step for record in records_ if isinstance(record, kind)]
            assert ([event.step for event in found.Tensors(name)] if name in tags["tensors"] else []) == logged
        embeddings = list((self.run.path / "embeddings").glob("*/tensors.tsv"))
        assert len(embeddings) == sum(isinstance(record, records.Embedding) for record in records_)
        settings = any(isinstance(record, records.Config) for record in records_)
        assert ("config/text_summary" in tags["tensors"]) == settings


class TestVisdom(SinkContract):
    """What a real Visdom server has."""

    @pytest.fixture(autouse=True)
    def _server(self, request: pytest.FixtureRequest, visdom_server: VisdomServer) -> None:
        stops = "os_error" in request.function.__name__
        self.server: VisdomServer = request.getfixturevalue("own_visdom_server") if stops else visdom_server

    def make_sink(self) -> Sink:
        return VisdomSink(port=self.server.port, env="contract")

    @contextmanager
    def broken_destination(self) -> Iterator[None]:
        self.server.stop()
        try:
            yield
        finally:
            self.server.start()

    def read_back(self, records_: Sequence[Record]) -> None:
        windows = self.server.windows("contract")
        titles = set()
        for tag, points in series_of(records_).items():
            chart, curve, _ = place_of(tag)
            titles.add(chart)
            assert self.server.trace("contract", chart, curve) == points
        for record in records_:
            if isinstance(record, records.Config):
                titles |= {"config"} if record.values else set()
            elif not isinstance(record, Scalar | records.Restart | records.Progress):
                titles.add(record.tag)  # type: ignore[union-attr]
            if isinstance(record, records.Predictions):
                titles.add(f"{record.tag} (labels)")
        assert set(windows) == titles


class TestConsole(SinkContract):
    """The console, which nobody reads back here."""

    def make_sink(self) -> Sink:
        return ConsoleSink(Console(file=io.StringIO(), width=120))


class TestConsoleOnATerminal(SinkContract):
    """The same, with a progress bar."""

    def make_sink(self) -> Sink:
        return ConsoleSink(Console(file=io.StringIO(), force_terminal=True, width=80))
