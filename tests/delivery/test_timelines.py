"""Predictions of the same samples become a timeline, the same in every sink; it goes on where a run is resumed."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from monitor import Logger, MemorySink, reopen
from monitor.delivery.inbox import Inbox
from monitor.delivery.timelines import MAX_TAGS
from monitor.records import Predictions, Scalar
from monitor.testing import wait_until
from tests.support import event_reader

if TYPE_CHECKING:
    from pathlib import Path

RNG = np.random.default_rng(0)
IMAGES = RNG.random((5, 1, 6, 6))
TARGET = np.arange(5)
# By test: which samples are predicted correctly.
OUTCOMES = np.array([[1, 0, 0, 1, 0], [1, 1, 0, 0, 0], [0, 1, 0, 1, 0], [1, 1, 0, 0, 0]], bool)
COUNTS = [  # learned, forgotten, never learned, and events, after each test
    (2, 0, 3, 0), (3, 1, 2, 1), (3, 2, 2, 2), (3, 2, 2, 3),
]  # fmt: skip


def log_test(log: Logger, test: int, tag: str = "predictions", **changed: Any) -> None:
    arguments = {"images": IMAGES, "predicted": np.where(OUTCOMES[test], TARGET, 9), "target": TARGET}
    log.predictions(tag, step=100 * test, **{**arguments, **changed})


def of_run(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "run.json").read_text())
    return found


def curves(records: list[Any]) -> dict[str, list[tuple[int, float]]]:
    found: dict[str, list[tuple[int, float]]] = {}
    for record in records:
        if isinstance(record, Scalar):
            found.setdefault(record.tag, []).append((record.step, record.value))
    return found


EXPECTED_CURVES = {
    f"timeline/predictions/{name}": [(100 * test, float(COUNTS[test][place])) for test in range(1, 4)]
    for place, name in enumerate(("learned", "forgotten", "never_learned"))
}


def test_it_is_in_every_sink_in_run_json_and_in_no_metric(tmp_path: Path) -> None:
    first, second = MemorySink(), MemorySink()
    with Logger(tmp_path / "run", [first, "tensorboard", second]) as log:
        log.scalar("test/accuracy", 0.5, 0)
        for test in range(4):
            log_test(log, test)
    stats = log.stats().sinks.values()
    assert [(counts.logged, counts.delivered) for counts in stats] == [(6, 6)] * 3, "one record for each call"
    for sink in (first, second):
        timelines = [record.timeline for record in sink.records if isinstance(record, Predictions)]
        assert timelines[0] is None
        assert [timeline.counts()["forgetting_events"] for timeline in timelines[1:] if timeline] == [1, 2, 3]
        found = curves(sink.records)
        del found["test/accuracy"]
        assert found == EXPECTED_CURVES
    assert [id(record) for record in first.records if isinstance(record, Predictions)] == [
        id(record) for record in second.records if isinstance(record, Predictions)
    ], "it is built once"
    fields = of_run(tmp_path / "run")
    learned, forgotten, never, events = COUNTS[3]
    assert fields["timelines"] == {
        "predictions": {
            "step": 300, "tests": 4, "samples": 5, "learned": learned, "forgotten": forgotten,
            "never_learned": never, "forgetting_events": events,
        }
    }  # fmt: skip
    assert set(fields["metrics"]) == {"test/accuracy"}
    read = event_reader.read(tmp_path / "run")
    assert {tag: [(e.step, e.value) for e in read.Scalars(tag)] for tag in EXPECTED_CURVES} == EXPECTED_CURVES
    pictures = read.Images("timeline/predictions")
    assert [picture.step for picture in pictures] == [100, 200, 300]
    image = Image.open(io.BytesIO(pictures[-1].encoded_image_string))
    assert image.format == "PNG"
    assert image.size == (pictures[-1].width, pictures[-1].height)


@pytest.mark.parametrize("change", ["pictures", "classes", "order", "steps"])
def test_other_samples_make_no_timeline(tmp_path: Path, change: str) -> None:
    sink = MemorySink()
    with Logger(tmp_path / "run", [sink]) as log:
        for test in range(4):
            if change == "pictures":
                log_test(log, test, images=RNG.random((5, 1, 6, 6)))
            elif change == "classes":
                log_test(log, test, target=(TARGET + test) % 5)
            elif change == "order":
                log_test(log, test, images=np.roll(IMAGES, test, axis=0), target=np.roll(TARGET, test))
            else:
                log.predictions("predictions", IMAGES, TARGET, TARGET, 0)
    assert len(sink.records) == 5  # and the settings
    assert all(record.timeline is None for record in sink.records if isinstance(record, Predictions))
    assert "timelines" not in of_run(tmp_path / "run")


def test_samples_that_change_once_begin_a_new_timeline(tmp_path: Path) -> None:
    sink = MemorySink()
    with Logger(tmp_path / "run", [sink]) as log:
        for test in range(4):
            log_test(log, test, images=IMAGES if test < 2 else 1 - IMAGES)
    found = [record.timeline for record in sink.records if isinstance(record, Predictions)]
    assert [timeline and timeline.steps.tolist() for timeline in found] == [None, [0, 100], None, [200, 300]]


def test_a_resumed_run_goes_on_from_the_checkpoint(tmp_path: Path) -> None:
    with Logger(tmp_path / "whole", ["tensorboard"]) as log:
        for test in range(4):
            log_test(log, test)
    with Logger(tmp_path / "run", ["tensorboard"]) as log:
        for test in range(3):
            log_test(log, test)
            if test == 1:
                assert log.checkpoint("c", 100)  # includes the test at step 100
    run = reopen(tmp_path / "run", "c", 100)
    assert {tag: timeline.steps.tolist() for tag, timeline in run.timelines.items()} == {"predictions": [0, 100]}
    with Logger(run, ["tensorboard"]) as log:
        wait_until(lambda: of_run(run.path)["timelines"]["predictions"]["tests"] == 2, 20, "the counts")
        for test in (2, 3):
            log_test(log, test)
    assert of_run(run.path)["timelines"] == of_run(tmp_path / "whole")["timelines"]
    read, whole = event_reader.read(run.path), event_reader.read(tmp_path / "whole")
    for tag in ("timeline/predictions",):
        found, expected = ([(e.step, e.encoded_image_string) for e in r.Images(tag)] for r in (read, whole))
        assert found == expected
    assert {tag: [(e.step, e.value) for e in read.Scalars(tag)] for tag in EXPECTED_CURVES} == EXPECTED_CURVES


def test_a_run_that_starts_over_starts_its_timeline_over(tmp_path: Path) -> None:
    with Logger(tmp_path / "run", ["tensorboard"]) as log:
        for test in range(3):
            log_test(log, test)
    run = reopen(tmp_path / "run", "", 0)
    with Logger(run, ["tensorboard"]) as log:
        log_test(log, 0)
        log_test(log, 1)
    assert of_run(run.path)["timelines"]["predictions"]["tests"] == 2


def test_predictions_of_a_child_process_and_of_many_tags() -> None:
    """A child's records come as they are, and a tag for each test must not fill the memory."""
    inbox = Inbox()
    record = Predictions("p", (IMAGES * 255).astype(np.uint8), TARGET, TARGET, (), 0, 0.0)
    inbox.entries += [record._replace(step=step) for step in (0, 1, 2)]
    built: list[Any] = [item.resolve() for item in inbox.take()]  # type: ignore[union-attr]
    assert [record.timeline and record.timeline.tests for record in built] == [None, 2, 3]
    inbox.entries += [record._replace(tag=f"p{n}", step=step) for n in range(MAX_TAGS) for step in (0, 1)]
    timelines = [item.resolve().timeline for item in inbox.take()]  # type: ignore[union-attr]
    assert [timeline is not None for timeline in timelines] == [False, True] * (MAX_TAGS - 1) + [False, False]


def test_a_test_that_is_built_too_late_is_left_out() -> None:
    """Of a backlog, pictures may be dropped for one sink and not for another, which then builds an older one."""
    inbox = Inbox()
    record = Predictions("p", (IMAGES * 255).astype(np.uint8), TARGET, TARGET, (), 0, 0.0)
    inbox.entries += [record._replace(step=step) for step in (0, 1, 2, 3)]
    items: Any = inbox.take()
    built = {place: items[place].resolve() for place in (0, 2, 1, 3)}
    assert built[2].timeline.steps.tolist() == [0, 2]
    assert built[1].timeline is None
    assert built[3].timeline.steps.tolist() == [0, 2, 3]
