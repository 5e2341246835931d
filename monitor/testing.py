"""Helpers to test sinks: records of every kind, the contract test, and a wait with a deadline.

For example:

    def test_my_sink(tmp_path):
        check_sink(MySink, Run(tmp_path / "run"))
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import numpy as np

from monitor.records import (
    RECORD_TYPES,
    Checkpoint,
    Config,
    ConfusionMatrix,
    Curve,
    Histogram,
    Images,
    Predictions,
    Progress,
    Record,
    Scalar,
    Text,
)
from monitor.runs.status import RunStatus
from monitor.sinks.base import Sink

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from monitor.runs.run import Run


def sample_records(start: float = 1_700_000_000.0) -> list[Record]:
    """Return records of every kind, at two steps.

    Args:
        start: the time of the first record, in seconds since the epoch.
    """
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (6, 1, 28, 28), np.uint8)
    color_images = rng.integers(0, 256, (6, 3, 8, 12), np.uint8)
    x, data = np.linspace(0, 10, 50), (np.array([2.0, 5.0]), np.array([0.0, 1.0]))
    records: list[Record] = [
        Config({"lr": 0.01, "optimizer": "sgd", "nesterov": False, "hidden": [200, 200]}, start),
        Progress(0, 2, 0, 2, start),
    ]
    for step in (0, 1):
        now = start + step
        predicted, target = np.arange(6), np.array([0, 1, 2, 3, 4, 9])
        records += [
            Scalar("train/loss", 2.5 - step, step, now),
            Scalar("test/loss", 2.25 - step, step, now),
            Scalar("test/accuracy", 0.5 + step / 4, step, now),
            Scalar("alone", 7.0, step, now),
            Images("samples", images, step, now),
            Images("colored", color_images, step, now),
            Predictions("predictions", images, predicted, target, tuple("abcdefghij"), step, now),
            ConfusionMatrix("confusion", np.diag([5, 6, 7]) + step, ("a", "b"), step, now),
            Text("notes", f"step {step}: <b>plain</b> text & more", step, now),
            Histogram("weights/fc1", rng.normal(size=1000), step, now),
            Curve("decision", x, 1 / (1 + np.exp(3 - x)), step, now, "Hours", "Probability of pass", 0.5, data),
            Progress(step + 1, 2, step + 1, 2, now),
            Checkpoint(f"checkpoint-{step}.pt", step + 1, now),
        ]
    return records


def check_sink(make: Callable[[], Sink], run: Run, read_back: Callable[[Sequence[Record]], None] | None = None) -> None:
    """Check that a sink fulfills the contract of `Sink`, from its constructor to `close`. Blocks while the sink writes.

    Args:
        make: returns a new sink.
        run: passed to `Sink.open`.
        read_back: called with the records that were delivered, after `flush` and again after `close`. It should look
            them up where the sink wrote them, and raise an exception if they are not there.

    Raises:
        AssertionError: if the sink does not fulfill the contract; the message says why.
    """
    before = _files(run)
    sink = make()
    assert isinstance(sink, Sink), f"{sink!r} is not a monitor.Sink"
    assert _files(run) == before, "the constructor must not touch the disk"
    assert sink.accepts, "accepts contains no record type"
    assert sink.accepts <= RECORD_TYPES, (
        f"accepts contains types that are not record types: {sink.accepts - RECORD_TYPES}"
    )
    assert 0 < sink.interval <= sink.max_interval, "0 < interval <= max_interval must hold, in seconds"
    records = [record for record in sample_records() if type(record) in sink.accepts]
    sink.open(run)
    sink.write(records[:1])
    sink.write([])
    sink.write(records[1:])
    sink.flush()
    if read_back is not None:
        read_back(records)
    sink.flush()  # again, with nothing new
    run.status = RunStatus.FINISHED
    sink.close()
    sink.close()  # closing twice is harmless
    if read_back is not None:
        read_back(records)
    if sink.name:
        made = type(sink).from_spec(urlsplit(sink.name))
        assert isinstance(made, type(sink)), f"from_spec({sink.name!r}) makes {made!r}"


def wait_until(condition: Callable[[], object], timeout: float = 10.0, what: str = "the condition") -> None:
    """Block until `condition` returns something true, polling every 10 ms.

    Args:
        condition: called without arguments.
        timeout: seconds.
        what: describes the condition in the error message.

    Raises:
        AssertionError: if the condition does not come true in time.
    """
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not come true within {timeout} s")
        time.sleep(0.01)


def _files(run: Run) -> set[str]:
    return {str(path) for path in run.path.rglob("*")}
