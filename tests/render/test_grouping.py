"""Which curves share a chart."""

from __future__ import annotations

from collections import defaultdict

import pytest

from monitor import SpecError
from monitor.render.charts.grouping import parse_charts, place_of


@pytest.mark.parametrize(("tag", "chart", "curve", "split"), [
    ("train/loss", "loss", "train", "train"),
    ("test/loss", "loss", "test", "test"),
    ("loss/valid", "loss", "valid", "valid"),
    ("val_loss", "loss", "val", "val"),
    ("Loss/Train", "Loss", "Train", "train"),
    ("test/accuracy", "accuracy", "test", "test"),
    ("test/accuracy/best", "accuracy", "test best", "test"),
    ("best/test/accuracy", "accuracy", "test best", "test"),
    ("lr", "lr", "lr", ""),
    ("optimizer/lr", "optimizer/lr", "lr", ""),
    ("grad_norm", "grad_norm", "grad_norm", ""),
    ("grad_norm/fc1", "grad_norm", "fc1", ""),
    ("norm/gradients/fc1.weight", "norm/gradients", "fc1.weight", ""),
    ("train/grad_norm/fc1", "grad_norm", "fc1 train", "train"),
    ("system/cpu_percent/machine", "system/cpu_percent", "machine", ""),
    ("gan/loss_d", "gan/loss_d", "loss_d", ""),
    ("gpu3/reward", "gpu/reward", "gpu3", ""),
    ("agent/train/return", "agent/return", "train", "train"),
    ("train", "train", "train", ""),
    ("loss", "loss", "loss", ""),
    ("/", "/", "/", ""),
    ("a//b", "a", "b", ""),
])  # fmt: skip
def test_the_metric_names_the_chart(tag: str, chart: str, curve: str, split: str) -> None:
    found = place_of(tag)
    assert (found.chart, found.split) == (chart, split)
    assert found.curve == curve


def test_a_hundred_tags_with_a_parent_share_a_chart() -> None:
    charts = defaultdict(list)
    for number in range(100):
        for tag in (f"grad_norm/layer{number}.weight", f"client_{number}/loss", f"heads/{number}/entropy"):
            charts[place_of(tag).chart].append(place_of(tag).curve)
    assert len(charts) == 3
    assert all(len(set(curves)) == 100 for curves in charts.values())


def test_the_user_names_charts() -> None:
    rules = parse_charts(["all=train/loss, test/*", "norms=grad_norm/*"])
    assert rules == {"all": ("train/loss", "test/*"), "norms": ("grad_norm/*",)}
    assert place_of("test/accuracy", rules).chart == "all"
    assert place_of("grad_norm/fc1", rules) == ("norms", "fc1", "")
    assert place_of("lr", rules).chart == "lr"
    assert parse_charts({"all": ["train/loss"], "norms": "a,b"}) == {"all": ("train/loss",), "norms": ("a", "b")}


def test_charts_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MONITOR_CHARTS", "a=x,y; b=z")
    assert parse_charts(None) == {"a": ("x", "y"), "b": ("z",)}
    assert parse_charts([]) == {}


@pytest.mark.parametrize("charts", ["loss", "=train/loss", "loss=", "loss= , ", [" =a"], {"a": ""}, {"": "a"}])
def test_what_names_no_chart_or_no_tag(charts: object) -> None:
    with pytest.raises(SpecError, match="accepted: NAME=TAG,TAG") as caught:
        parse_charts(charts)  # type: ignore[arg-type]
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("charts", [[1], {"a": 1}, {"a": [1]}, {1: "a"}])
def test_what_is_no_text(charts: object) -> None:
    with pytest.raises(TypeError, match="accepted: NAME=TAG,TAG"):
        parse_charts(charts)  # type: ignore[arg-type]
