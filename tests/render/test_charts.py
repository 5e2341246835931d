"""Charts: what they cut, mark, and name."""

from __future__ import annotations

import math

import numpy as np
import pytest

from monitor.render.charts.curves import ChartCurve, curve_chart
from monitor.render.charts.grid import chart_grid
from monitor.render.charts.parallel import ParallelRun, parallel_chart
from monitor.render.charts.ranges import robust_range
from monitor.render.charts.style import color, distinct_names

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
