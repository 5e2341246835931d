"""A bounded series looks like the whole one."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from monitor.render.reduction.downsampling import DownsampledSeries


def test_a_short_series_is_kept_whole() -> None:
    series = DownsampledSeries()
    for step in range(256):
        series.add(step, step / 7)
    assert series.points() == (list(range(256)), [step / 7 for step in range(256)])


def test_an_outlier_among_a_million_points_stays() -> None:
    series = DownsampledSeries(100)
    for step in range(1_000_000):
        series.add(step, 1e6 if step == 77_777 else math.sin(step))
    steps, values = series.points()
    assert len(steps) <= 400
    assert (77_777, 1e6) in list(zip(steps, values))
    assert (steps[0], steps[-1]) == (0, 999_999)
    assert steps == sorted(steps)


def test_nan_and_infinity_are_gaps() -> None:
    series = DownsampledSeries()
    for step, value in enumerate([1.0, math.nan, 2.0, math.inf, 3.0]):
        series.add(step, value)
    assert series.points() == ([0, 1, 2, 3, 4], [1.0, None, 2.0, None, 3.0])
    assert series.first_non_finite is not None
    assert series.first_non_finite[0] == 1
    assert math.isnan(series.first_non_finite[1])


@given(st.lists(st.floats(allow_nan=True, allow_infinity=True), max_size=300), st.integers(2, 20))
def test_first_last_lowest_and_highest_survive(values: list[float], most: int) -> None:
    series = DownsampledSeries(most)
    for step, value in enumerate(values):
        series.add(step, value)
    steps, kept = series.points()
    points = set(zip(steps, kept))
    finite = [(step, value) for step, value in enumerate(values) if math.isfinite(value)]
    assert {value for value in kept if value is not None} <= {value for _, value in finite}
    assert steps == sorted(steps)
    assert len(steps) <= 5 * most
    if finite:
        assert finite[0] in points
        assert finite[-1] in points
        assert min(value for _, value in finite) in kept
        assert max(value for _, value in finite) in kept
    assert (None in kept) == (len(finite) < len(values))


@given(
    st.lists(st.tuples(st.lists(st.floats(), min_size=1, max_size=5), st.integers(0, 90)), max_size=6),
    st.integers(1, 20),
)
def test_many_points_at_once_are_those_added_one_by_one(parts: list[tuple[list[float], int]], most: int) -> None:
    at_once, one_by_one = DownsampledSeries(most), DownsampledSeries(most)
    for number, (pool, count) in enumerate(parts):
        values = np.random.default_rng(number).choice(np.array(pool), count)
        steps = np.arange(count) * 3 - number
        times = 1e9 + np.arange(count) / 3
        at_once.extend(steps, values, times)
        for point in zip(steps.tolist(), values.tolist(), times.tolist()):
            one_by_one.add(*point)
        assert repr(stored(at_once)) == repr(stored(one_by_one))
        for series in (at_once, one_by_one):  # the columns are made in parts, between which points come in
            steps_shown, values_shown = series.points()
            columns = series.columns()
            assert columns.steps.tolist() == steps_shown
            assert [None if math.isnan(value) else value for value in columns.values.tolist()] == values_shown
            assert len(columns.times) == len(steps_shown)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=300), st.integers(2, 20), st.integers(1, 9))
def test_means_are_those_of_all_points(values: list[float], most: int, fewer: int) -> None:
    series = DownsampledSeries(most)
    for step, value in enumerate(values):
        series.add(step, value, 1e9 + step)
    series.limit(fewer)
    columns, counts = series.means()
    assert len(counts) <= min(most, fewer)
    assert counts.sum() == len(values)
    assert math.isclose((columns.values * counts).sum() / len(values), np.mean(values), rel_tol=1e-9, abs_tol=1e-6)
    assert columns.times.tolist() == (columns.steps + 1e9).tolist()
    assert {values[0], values[-1], min(values), max(values)} <= set(series.points()[1])


def stored(series: DownsampledSeries) -> tuple[object, ...]:
    buckets = [
        (b.count, b.first, b.last, b.lowest, b.highest, b.non_finite)
        for b in series._buckets  # noqa: SLF001 - so that further points are the same as well
    ]
    return series.count, series.first_non_finite, buckets, series.points()


def test_a_restart_leaves_the_buckets_before_it() -> None:
    """So the mean of a smoothed curve is that of all values there, and not of the few that are drawn."""
    steps = np.arange(3000)
    values = np.exp(-steps / 300) + np.where(steps % 10 == 0, 1.0, 0.0)
    whole, cut = DownsampledSeries(), DownsampledSeries()
    whole.extend(steps, values)
    for first, last in ((0, 2160), (2101, 2500), (2444, 3000)):
        cut.restart(first)
        cut.extend(steps[first:last], values[first:last])
    for found, expected in zip((cut.means()[0], cut.columns()), (whole.means()[0], whole.columns())):
        shown = np.interp(steps, found.steps, found.values)
        assert np.abs(shown[:2000] - np.interp(steps, expected.steps, expected.values)[:2000]).max() < 1e-9
    assert int(cut.columns().steps.max()) == 2999
    assert (np.diff(cut.columns().steps) > 0).all()
    cut.restart(50)
    assert cut.columns().steps.max() < 50
    cut.extend(steps[50:90], values[50:90])
    assert len(cut.columns().steps) > 40, "a restart near the beginning is as fine as a new curve"
