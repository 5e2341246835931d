"""What reads an index first shows what the event files have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from monitor import ScalarBlock, read
from monitor.comparison.event_data import read_others
from monitor.comparison.views.dashboard_view import ComparisonView
from monitor.events.framing import frame
from monitor.events.index.index_update import update_index
from monitor.events.index.run_index import INDEX_FILE, load_index
from monitor.events.reading.reader import read_history
from monitor.events.scalars.encoding import encode_scalars
from monitor.records import RECORD_TYPES, Scalar
from monitor.sinks import registry
from monitor.sinks.base import DashboardSink
from tests.support import foreign

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.servers import VisdomServer

TAGS = ("train/loss", "test/loss")
OTHERS = RECORD_TYPES - {Scalar}


def scalars(start: int, stop: int) -> bytes:
    steps = np.arange(start, stop)
    values = np.random.default_rng(start).normal(size=2 * len(steps))
    group = np.zeros(len(steps), np.int32)
    return encode_scalars(ScalarBlock([TAGS], group, steps, 1.7e9 + steps / 50, values))


def others(step: int) -> bytes:
    picture = foreign.images("samples", np.full((8, 8, 3), step % 251, np.uint8))
    events = foreign.event(step, foreign.text("notes/text_summary", f"at {step}")), foreign.event(step, picture)
    return b"".join(frame(event.SerializeToString()) for event in events)


def make_run(folder: Path, *parts: bytes) -> Path:
    folder.mkdir(parents=True)
    (folder / "events.out.tfevents.1").write_bytes(b"".join(parts))
    return folder


def records(batches: Any) -> list[str]:
    return [repr(record)[:2000] for batch in batches for record in batch if not isinstance(record, Scalar)]


def test_pictures_and_texts_are_read_from_their_parts(tmp_path: Path) -> None:
    end = 200_000  # 13 MB
    run = make_run(tmp_path / "run", others(0), scalars(0, 90_000), others(90_000), scalars(90_000, end), others(end))
    (run / "events.out.tfevents.2").write_bytes(scalars(end, end + 50_000))
    (run / "events.out.tfevents.3").write_bytes(others(end + 50_000) + scalars(end + 50_000, end + 60_000))
    without = records(read_others(run, OTHERS))
    assert len(without) == 8
    update_index(run)
    index = load_index(run)
    assert index is not None
    assert index.others is not None
    assert 0 < sum(stop - start for _, start, stop in index.others) < 5 * 2**20
    assert records(read_others(run, OTHERS)) == without == records(read_history(run, kinds=OTHERS))
    with (run / "events.out.tfevents.3").open("ab") as file:
        file.write(scalars(end + 60_000, end + 90_000) + others(end + 90_000))
    assert records(read_others(run, OTHERS)) == records(read_history(run, kinds=OTHERS))
    update_index(run)
    assert records(read_others(run, OTHERS)) == records(read_history(run, kinds=OTHERS))

    restart = frame(foreign.restart(100_000).SerializeToString())
    (run / "events.out.tfevents.4").write_bytes(restart + others(150_000) + scalars(100_000, 250_000))
    update_index(run)
    assert records(read_others(run, OTHERS)) == records(read_history(run, kinds=OTHERS))


def test_steps_that_recur_are_read_from_all_parts_once(tmp_path: Path) -> None:
    parts = [scalars(number % 2 * 10**6, number % 2 * 10**6 + 15_000) for number in range(6)]
    run = make_run(tmp_path / "run", *parts)
    (stored,) = read(run)
    without = stored.scalars("train/loss", 0, 20_000)
    update_index(run)
    found = stored.scalars("train/loss", 0, 20_000)
    assert len(found.steps) == 3 * 15_000
    for column, expected in zip(found, without):
        np.testing.assert_array_equal(column, expected)


@pytest.mark.usefixtures("assets")
def test_a_comparison_on_a_dashboard(tmp_path: Path, visdom_server: VisdomServer) -> None:
    runs = {name: make_run(tmp_path / name, scalars(start, start + 60_000)) for name, start in (("a", 0), ("b", 7))}

    def shown(env: str) -> Any:
        sink = registry.make(visdom_server.spec(env))
        assert isinstance(sink, DashboardSink)
        view = ComparisonView(sink, TAGS)
        view.update(runs)
        first = visdom_server.windows(env)
        with (runs["a"] / "events.out.tfevents.1").open("ab") as file:
            file.write(added)
        view.update(runs)
        sink.close()
        return [
            {title: [(line["name"], line["x"], line["y"]) for line in window["content"]["data"]]
             for title, window in windows.items()}
            for windows in (first, visdom_server.windows(env))
        ]  # fmt: skip

    added = b""
    without = shown("without")
    for run in runs.values():
        update_index(run)
        assert (run / INDEX_FILE).exists()
    assert shown("with") == without
    assert len(without[0]) == 2
    added = scalars(60_000, 61_000)
    _, more = shown("more")
    for run in runs.values():
        (run / INDEX_FILE).unlink()
    added = b""
    assert shown("again")[1] == more != without[1]
