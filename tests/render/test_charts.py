"""Charts: what they cut, mark, and name."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest

from monitor.render.charts.curves.changes import ChangeMark
from monitor.render.charts.curves.chart import curve_chart
from monitor.render.charts.curves.curve import ChartCurve, curve_of
from monitor.render.charts.curves.ranges import robust_range
from monitor.render.charts.curves.smoothing import is_noisy
from monitor.render.charts.grid import chart_grid
from monitor.render.charts.parallel import ParallelRun, parallel_chart
from monitor.render.charts.style import color
from monitor.render.charts.x_axes import Clock, fill_choices
from monitor.render.reduction.downsampling import DownsampledSeries
from monitor.render.text.names import distinct_names

if TYPE_CHECKING:
    from numpy.typing import NDArray

DECAY = np.exp(-np.arange(300) / 60) + 0.1


def curve(name: str, values: list[float | None], number: int = 0) -> ChartCurve:
    return ChartCurve(name, list(range(len(values))), values, color(number), number)


def test_a_spike_is_cut_off_and_marked() -> None:
    values = DECAY.tolist()
    values[150] = 900.0
    figure = curve_chart("loss", [curve("a", values)])
    low, high = figure["layout"]["yaxis"]["range"]
    assert low < 0.11
    assert 1.1 < high < 2
    (mark,) = [trace for trace in figure["data"] if trace["meta"].get("part") == "cut"]
    assert (mark["x"], mark["customdata"]) == ([150], [900.0])
    assert low < mark["y"][0] <= high
    assert figure["data"][0]["y"][150] == 900.0, "the data is whole"


@pytest.mark.parametrize("values", [DECAY.tolist(), [5.0] * 100, [1.0, 100.0], (1 / np.arange(1, 500)).tolist()])
def test_curves_without_spikes_are_shown_whole(values: list[float | None]) -> None:
    assert robust_range([values]) is None


def test_one_run_that_diverges_does_not_hide_the_others() -> None:
    runs = [(DECAY * factor).tolist() for factor in (1, 1.1, 0.9, 1.05)]
    limits = robust_range([*runs, [500.0] * 300])
    assert limits is not None
    assert limits[1] < 2


@pytest.mark.parametrize("sign", [1, -1])
def test_runs_that_begin_far_from_the_others_do_not_flatten_short_curves(sign: int) -> None:
    """A run that diverges at once is cut where most others begin much lower; a high start that they share is shown."""
    usual = [[sign * 2.3 * 0.8**step for step in range(20)] for _ in range(11)]
    diverging = [[sign * start * 0.8**step for step in range(20)] for start in (55.0, 35.0)]
    limits = robust_range([*usual, *diverging])
    assert limits is not None
    assert max(map(abs, limits)) < 8
    assert robust_range(usual) is None


def test_identical_curves_are_dashed_and_named() -> None:
    figure = curve_chart(
        "loss", [curve("a", [3.0, 2.0, 1.0]), curve("b", [3.0, 2.0, 1.0]), curve("c", [3.0, 2.0, 0.0])]
    )
    assert ["dash" in trace["line"] for trace in figure["data"]] == [False, True, False]
    assert figure["layout"]["annotations"][0]["text"] == "identical: a, b"


def test_what_is_not_finite_is_said() -> None:
    found = curve("a<b>", [1.0, None, 2.0])._replace(first_non_finite=(1, math.inf))
    (note,) = curve_chart("loss", [found])["layout"]["annotations"]
    assert "a&lt;b&gt; is inf at step 1" in note["text"]


def test_a_logarithmic_axis_is_offered_where_it_helps() -> None:
    assert "updatemenus" in curve_chart("loss", [curve("a", [100.0, 1.0, 0.5])])["layout"]
    assert "updatemenus" not in curve_chart("loss", [curve("a", [1.0, 0.5])])["layout"]
    assert "updatemenus" not in curve_chart("loss", [curve("a", [100.0, -1.0])])["layout"]


@pytest.mark.parametrize("names", [
    ["a" * 60 + "-1", "a" * 60 + "-2", "b"],
    ["x" * 20 + "1" + "y" * 40, "x" * 20 + "2" + "y" * 40],
    [f"{'n' * 300}{number}{'m' * 300}" for number in range(30)],
    ["…".join(["k" * 50] * 3), "k" * 100],
])  # fmt: skip
def test_names_are_never_cut_to_the_same_text(names: list[str]) -> None:
    short = distinct_names(names, 30)
    assert len(set(short)) == len(names)
    assert all(len(name) <= 30 for name in short)


def test_equal_names_stay_equal_and_short_ones_as_they_are() -> None:
    assert distinct_names(["a", "b", "a"]) == ["a", "b", "a"]
    assert len(set(distinct_names(["z" * 99, "z" * 99], 20))) == 1


def test_forty_runs_have_forty_colors() -> None:
    assert len({color(number) for number in range(40)}) == 40


def test_parallel_coordinates() -> None:
    settings = [
        {"lr": 0.001, "optimizer": "sgd", "depth": 1},
        {"lr": 0.1, "optimizer": "adam"},
        {"lr": 0.01, "optimizer": "sgd", "depth": 3},
    ]
    runs = [ParallelRun(f"r{n}", values, n / 2, color(n), n) for n, values in enumerate(settings)]
    traces = parallel_chart("accuracy", ["lr", "optimizer", "depth"], runs)["data"]
    heights = [trace["y"] for trace in traces]
    assert [own[0] for own in heights] == pytest.approx([0, 1, 0.5]), "the axis of lr is logarithmic"
    assert [own[1] for own in heights] == [1, 0, 1]
    assert heights[1][2] < 0, "what is missing is below the axis"
    assert [own[3] for own in heights] == [0, 0.5, 1]
    assert "lr: 0.001<br>optimizer: sgd<br>depth: 1<br>accuracy: 0" in traces[0]["text"][0]


def test_several_charts_as_one_figure() -> None:
    charts = {f"m{number}": curve_chart(f"m{number}", [curve("a", [1.0, 2.0])]) for number in range(4)}
    figure = chart_grid(charts)
    assert [trace["xaxis"] for trace in figure["data"]] == ["x", "x2", "x3", "x4"]
    tops = [figure["layout"][f"yaxis{suffix}"]["domain"][1] for suffix in ("", "2", "3", "4")]
    assert tops[0] == tops[1] == tops[2] > tops[3]


def noisy(count: int = 5000) -> DownsampledSeries:
    series = DownsampledSeries()
    noise = np.random.default_rng(0).normal(0, 0.1, count)
    values = np.exp(-np.arange(count) / 1000) + noise
    series.extend(np.arange(count), values, 1e9 + np.arange(count) / 10)
    return series


def test_a_noisy_curve_is_smoothed_with_the_raw_one_behind() -> None:
    clock = Clock(1e9, ([0, 5000], [0, 10]))
    figure = curve_chart("loss", [curve_of("train", noisy(), color(0), clock)])
    raw, smooth = figure["data"]
    assert (raw["meta"]["part"], smooth["meta"]["part"]) == ("raw", "smooth")
    truth = np.exp(-np.asarray(smooth["x"]) / 1000)
    error = np.abs(np.asarray(smooth["y"]) - truth)
    assert np.median(error) < 0.02, "a fifth of the noise, and not behind the curve"
    assert raw["line"]["color"].startswith("rgba")
    assert len(raw["x"]) > 2 * len(smooth["x"])
    menus = {menu["name"]: [button["label"] for button in menu["buttons"]] for menu in figure["layout"]["updatemenus"]}
    assert menus == {"smoothing": ["smooth", "raw"], "x": ["step", "epoch", "time", "relative"]}


@pytest.mark.parametrize("values", [
    DECAY, np.full(300, 0.01), np.sin(np.arange(300) / 20), np.repeat([0.1, 0.01, 0.001], 100), DECAY[:20],
])  # fmt: skip
def test_what_is_smooth_or_short_is_not_smoothed(values: NDArray[np.float64]) -> None:
    assert not is_noisy(values)


def test_a_flat_value_is_drawn_at_its_value() -> None:
    (line, room) = curve_chart("lr", [curve("lr", [0.01] * 9)])["data"]
    assert room["y"] == pytest.approx([0.009, 0.011])
    assert (room["marker"]["opacity"], room["hoverinfo"]) == (0, "skip")
    assert "range" not in curve_chart("lr", [curve("lr", [0.01] * 9)])["layout"]["yaxis"]
    assert len(curve_chart("lr", [curve("lr", [0.01, 0.02])])["data"]) == 1
    assert line["y"] == [0.01] * 9


def test_the_buttons_of_a_page_without_our_scripts_have_the_data_of_each_axis() -> None:
    clock = Clock(1e9 - 60, ([0, 5000], [0, 10]))
    figure = curve_chart("loss", [curve_of("train", noisy(), color(0), clock)])
    fill_choices(figure)
    (menu,) = (menu for menu in figure["layout"]["updatemenus"] if menu["name"] == "x")
    by_name = {button["label"]: button["args"] for button in menu["buttons"]}
    steps = np.asarray(figure["data"][0]["x"])
    assert by_name["epoch"][0]["x"][0] == pytest.approx(steps / 500, abs=1e-4)
    relative, layout = by_name["relative"]
    assert layout["xaxis.title.text"] == "minutes since start"
    assert relative["x"][0] == pytest.approx((60 + steps / 10) / 60, abs=1e-4)
    assert by_name["time"][1]["xaxis.type"] == "date"
    assert np.diff(by_name["time"][0]["x"][0]) == pytest.approx(np.diff(steps) * 100)
    assert "step %{text:,d}" in by_name["time"][0]["hovertemplate"][0]
    assert by_name["step"][0]["x"][0] is figure["data"][0]["x"]


def test_values_are_in_single_precision_only_where_that_hides_nothing() -> None:
    for values, kind in ((np.linspace(0, 1, 9), np.float32), (1e9 + np.arange(9.0), np.float64)):
        series = DownsampledSeries()
        series.extend(np.arange(9), values)
        assert np.asarray(curve_of("a", series, color(0), Clock()).y).dtype == kind


def test_marks_of_changes_move_with_the_x_axis_on_a_page_without_our_scripts() -> None:
    series = DownsampledSeries()
    for step in range(101):
        series.add(step, 1.0 + step, 1000.0 + 2 * step)
    changes = [ChangeMark(40, 1080.0, "lr: 1 → <i>2</i>"), ChangeMark(40, 1080.0, "b: 0 → 1"), ChangeMark(60, 0.0, "c")]
    clock = Clock(1000.0, ([0.0, 100.0], [0.0, 10.0]))
    figure = curve_chart("loss", [curve_of("train", series, color(0), clock)], changes=changes)
    assert figure["layout"]["showlegend"] is False
    assert figure["layout"]["yaxis2"]["range"] == [0, 1]
    fill_choices(figure)
    (at,) = (number for number, trace in enumerate(figure["data"]) if trace["meta"].get("part") == "change")
    mark = figure["data"][at]
    assert mark["customdata"] == ["lr: 1 → &lt;i&gt;2&lt;/i&gt;<br>b: 0 → 1", "c"]
    (menu,) = (own for own in figure["layout"]["updatemenus"] if own["name"] == "x")
    places = {button["label"]: list(button["args"][0]["x"][at]) for button in menu["buttons"]}
    assert (places["step"], places["epoch"]) == ([40, 60], [4.0, 6.0])
    assert places["relative"][0] == pytest.approx(80.0)
    assert places["time"][0] == figure["data"][0]["meta"]["start"] + 80_000


def test_marks_of_changes_are_those_of_a_run_among_others() -> None:
    curves = []
    for number, name in enumerate(("a", "<b>")):
        series = DownsampledSeries()
        series.extend(np.arange(9), np.arange(9.0) + number)
        changes = [ChangeMark(3 + number, 0.0, "lr: 1 → 2")]
        curves.append(curve_of(name, series, color(number), Clock(), number=number)._replace(changes=changes))
    marks = [trace for trace in curve_chart("loss", curves)["data"] if trace["meta"].get("part") == "change"]
    assert [mark["meta"]["run"] for mark in marks] == [0, 1]
    assert [mark["x"] for mark in marks] == [[3], [4]]
    assert [mark["marker"]["color"] for mark in marks] == [color(0), color(1)]
    assert [mark["customdata"] for mark in marks] == [["a: lr: 1 → 2"], ["&lt;b&gt;: lr: 1 → 2"]]
    assert marks[0]["uid"] != marks[1]["uid"]
    (alone,) = (trace for trace in curve_chart("loss", curves[:1])["data"] if trace["meta"].get("part") == "change")
    assert alone["customdata"] == ["lr: 1 → 2"]


@pytest.mark.filterwarnings("error")
def test_the_largest_floats_are_smoothed_without_a_warning() -> None:
    series = DownsampledSeries()
    series.extend(np.arange(200), np.where(np.arange(200) % 2, 1.7e308, -1.7e308))
    assert is_noisy(series.columns().values)
    curve = curve_of("a", series, color(0), Clock())
    assert curve.smooth is not None
    assert curve_chart("a", [curve])["data"]
