"""The counts of a timeline, against a count by hand; its bounds, its picture, and its chart."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from monitor.prediction_timeline import FORGOTTEN, MAX_TESTS, PredictionTimeline, first_test, identity
from monitor.render.charts.timeline import timeline_chart
from monitor.render.reduction.prediction_timeline import COLORS, read_timeline, timeline_image

IMAGES = np.random.default_rng(0).integers(0, 256, (7, 1, 8, 8), np.uint8)


def timeline_of(correct: np.ndarray) -> PredictionTimeline:
    """Return the timeline of T×N outcomes; test `t` is at step `10 * t`."""
    samples = correct.shape[1]
    images, target = IMAGES[:1].repeat(samples, axis=0), np.arange(samples)
    timeline = None
    for test, outcome in enumerate(correct):
        predicted = np.where(outcome, target, target + 1 + test)
        if timeline is None:
            timeline = first_test(identity(images, target), 0, predicted, target, ())
        else:
            timeline = timeline.with_test(10 * test, predicted, ())
    assert timeline is not None
    return timeline


def counted_by_hand(correct: np.ndarray) -> dict[str, int]:
    """Count as Toneva et al. define it, sample by sample and test by test."""
    events = [0] * correct.shape[1]
    learned = [False] * correct.shape[1]
    for sample in range(correct.shape[1]):
        for test in range(len(correct)):
            if correct[test][sample]:
                learned[sample] = True
            elif test and correct[test - 1][sample]:
                events[sample] += 1
    return {
        "step": 10 * (len(correct) - 1),
        "tests": len(correct),
        "samples": correct.shape[1],
        "learned": sum(learned),
        "forgotten": sum(count > 0 for count in events),
        "never_learned": sum(not known for known in learned),
        "forgetting_events": sum(events),
    }


@given(hnp.arrays(bool, st.tuples(st.integers(1, 230), st.integers(1, 6))))
@settings(max_examples=60, deadline=None)
def test_the_counts_are_those_of_a_count_by_hand(correct: np.ndarray) -> None:
    timeline = timeline_of(correct)
    assert timeline.counts() == counted_by_hand(correct)
    forgettings = [int(timeline.forgettings[sample]) for sample in timeline.order()]
    assert forgettings == sorted(forgettings, reverse=True)
    assert sorted(timeline.order()) == list(range(correct.shape[1]))
    kept = timeline.numbers.tolist()
    assert timeline.steps.tolist() == [10 * number for number in kept]
    assert ((timeline.states == 1) == correct[kept]).all()
    for row, number in enumerate(kept):
        was_right = correct[number - 1] if number else np.zeros(correct.shape[1], bool)
        assert ((timeline.states[row] == FORGOTTEN) == (was_right & ~correct[number])).all()


@pytest.mark.parametrize("tests", [MAX_TESTS, MAX_TESTS + 1, 3 * MAX_TESTS + 7])
def test_it_is_bounded_with_the_first_the_newest_and_an_even_choice(tests: int) -> None:
    timeline = timeline_of(np.ones((tests, 2), bool))
    kept = timeline.numbers.tolist()
    assert len(kept) == MAX_TESTS
    assert (kept[0], kept[-1]) == (0, tests - 1)
    assert np.diff(kept)[:-1].max() <= 3 * np.diff(kept)[:-1].min()
    assert timeline.tests == tests


def test_other_pictures_classes_or_orders_are_other_samples() -> None:
    target = np.arange(7)
    changed = IMAGES.copy()
    changed[3, 0, 2, 2] ^= 1
    found = [
        identity(IMAGES, target),
        identity(changed, target),
        identity(IMAGES[::-1], target),
        identity(IMAGES.reshape(7, 1, 4, 16), target),
        identity(IMAGES, target[::-1]),
        identity(IMAGES[:6], target[:6]),
    ]
    assert len(set(found)) == len(found)
    assert identity(IMAGES.copy(), target.copy()) == found[0]


def test_the_picture_holds_the_timeline() -> None:
    correct = np.random.default_rng(1).random((12, 7)) < 0.6
    timeline = timeline_of(correct)
    drawn = timeline_image(timeline)
    found = read_timeline(drawn.png)
    assert found is not None
    for name, value in timeline._asdict().items():
        assert np.array_equal(getattr(found, name), value), name
    image = Image.open(io.BytesIO(drawn.png)).convert("RGB")
    assert image.size == (drawn.width, drawn.height)
    colors = {f"#{r:02x}{g:02x}{b:02x}" for _, (r, g, b) in image.getcolors(10**6) or ()}  # type: ignore[misc]
    assert colors >= set(COLORS.values())


def test_a_picture_of_another_program_holds_none() -> None:
    png = timeline_image(timeline_of(np.ones((2, 3), bool))).png
    plain = io.BytesIO()
    Image.new("RGB", (9, 9)).save(plain, "PNG")
    start = png.index(b"zTXt")
    damaged = png[: start + 40] + bytes(60) + png[start + 100 :]
    assert [read_timeline(data) for data in (b"", plain.getvalue(), png[:80], damaged)] == [None] * 4


def test_the_largest_timeline_fits_into_a_picture() -> None:
    """The reader of PNG files takes at most 1 MiB of text."""
    target = np.full(256, 2**62)
    timeline = first_test("x", 0, target, target, ())
    for test in range(1, MAX_TESTS + 1):
        timeline = timeline.with_test(test, target + test, ("n" * 10**6,))
    found = read_timeline(timeline_image(timeline).png)
    assert found is not None
    assert np.array_equal(found.predicted, timeline.predicted)


def test_the_chart_escapes_names_and_has_a_picture_for_each_row() -> None:
    target = np.arange(7)
    names = ("<b>%{x}</b>", *"bcdefg")
    timeline = first_test("x", 0, target, target, names).with_test(1, target * 0, names)
    chart = timeline_chart(timeline, IMAGES)
    trace, pictures = chart["data"][0], chart["layout"]["meta"]["timeline"]
    assert trace["y"][-1] == "0: &lt;b&gt;%{x}&lt;/b&gt;"
    assert trace["y"][0] == "1: b ×1"
    assert trace["text"][0] == ["b, right", "&lt;b&gt;%{x}&lt;/b&gt;, wrong: forgotten"]
    assert pictures["samples"] == [1, 2, 3, 4, 5, 6, 0]
    assert pictures["width"] == pictures["height"] == 8
    sheet = np.asarray(Image.open(io.BytesIO(base64.b64decode(pictures["source"].partition(",")[2]))))
    for row, sample in enumerate(pictures["samples"]):
        assert (sheet[:, row * 8 : row * 8 + 8, 0] == IMAGES[sample, 0]).all()
