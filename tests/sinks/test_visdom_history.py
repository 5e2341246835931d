"""Windows with a slider: which steps they hold, within which bounds, and what a restart leaves."""

from __future__ import annotations

import json
from base64 import b64decode
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from monitor import BadRecord, Run
from monitor import records as r
from monitor.sinks.visdom import windows
from monitor.sinks.visdom.history import (
    MAX_BYTES,
    MAX_PAGE_BYTES,
    MAX_STEPS,
    MAX_WAITING_BYTES,
    MIN_STEPS,
    WindowHistory,
)
from monitor.sinks.visdom.record_state import WINDOW_BUILDERS, RecordState
from monitor.sinks.visdom.sink import VisdomSink

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.servers import VisdomServer

RNG = np.random.default_rng(0)


def images(step: int, size: int = 8, count: int = 4) -> r.Images:
    return r.Images("samples", RNG.integers(0, 256, (count, 3, size, size), np.uint8), step, 0.0)


def predictions(step: int) -> r.Predictions:
    pictures = RNG.integers(0, 256, (4, 1, 8, 8), np.uint8)
    return r.Predictions("predictions", pictures, np.arange(4), np.arange(4), (), step, 0.0)


def confusion(step: int) -> r.ConfusionMatrix:
    return r.ConfusionMatrix("confusion", np.diag([step, 2, 3]), ("a", "b", "c"), step, 0.0)


def histogram(step: int) -> r.Histogram:
    return r.Histogram("weights", RNG.normal(size=100) + step, step, 0.0)


def history(kind: str = "images") -> WindowHistory:
    return WindowHistory(WINDOW_BUILDERS[kind], is_picture_first=kind == "images")


def steps(message: Any) -> list[str]:
    """Return the labels of the slider's steps."""
    (slider,) = message["layout"]["sliders"]
    assert slider["active"] == len(slider["steps"]) - 1
    return [step["label"] for step in slider["steps"]]


def test_every_step_is_drawn_once_and_shown_as_it_was(run: Run, visdom_server: VisdomServer, tmp_path: Path) -> None:
    """As the server has them, and as the saved env does."""
    sink = VisdomSink(port=visdom_server.port, env="steps")
    sink.open(run)
    logged: list[r.Record] = [make(step) for step in (0, 5, 9) for make in (images, predictions, confusion, histogram)]
    for part in (logged[:4], logged[4:]):
        sink.write(part)
        sink.flush()
    found = visdom_server.windows("steps")
    sink.close()
    sink.save(tmp_path)
    saved = json.loads((tmp_path / "steps.json").read_text())["jsons"].values()
    for shown in (found, {window["title"]: window for window in saved}):
        for title in ("samples", "predictions", "confusion", "weights"):
            assert steps(shown[title]["content"]) == ["0", "5", "9"]
    for kind, title, place in (("images", "samples", 0), ("predictions", "predictions", 1)):
        shown = found[title]["content"]["layout"]
        drawn = [WINDOW_BUILDERS[kind](record)["data"][0]["content"]["src"] for record in logged[place::4]]
        assert [picture["source"] for picture in shown["images"]] == drawn
        assert [picture["visible"] for picture in shown["images"]] == [False, False, True]
        assert shown["sliders"][0]["steps"][1]["args"] == [
            {"images[0].visible": False, "images[1].visible": True, "images[2].visible": False}
        ]
    bars = found["weights"]["content"]["layout"]["sliders"][0]["steps"]
    for step, record in zip(bars, logged[3::4]):
        data, layout, traces = step["args"]
        expected = json.loads(windows.encode(WINDOW_BUILDERS["histogram"](record)))
        assert traces == [0]
        assert data["y"] == [expected["data"][0]["y"]]
        assert data["x"] == [expected["data"][0]["x"]]
        assert layout["title.text"] == expected["layout"]["title"]["text"]


def test_a_first_picture_is_a_picture_and_the_others_have_room_for_their_slider() -> None:
    first = history()
    first.add(images(0))
    assert first.message()["data"][0]["type"] == "image"
    first.add(images(1))
    later = first.message()
    assert later["opts"] == WINDOW_BUILDERS["images"](images(1))["opts"], "the window keeps its size"
    strip = history()
    for step in (0, 1):
        strip.add(r.Images("strip", np.zeros((1, 3, 1, 4000), np.uint8), step, 0.0))
    assert strip.message()["data"][0]["type"] == "image", "there is no room for a slider"
    always = history("histogram")
    always.add(histogram(0))
    sizes = [always.message()["opts"]]
    assert "sliders" not in always.message()["layout"]
    always.add(histogram(1))
    sizes.append(always.message()["opts"])
    assert sizes[0] == sizes[1]


def test_the_first_the_newest_and_an_even_choice_are_kept() -> None:
    kept, drawn = history("confusion"), 0
    for step in range(10 * MAX_STEPS):
        kept.add(confusion(step))
        if step % 7 == 0:
            drawn += 1
            kept.message()
    found = [int(step) for step in steps(kept.message())]
    assert len(found) == MAX_STEPS
    assert (found[0], found[-1]) == (0, 10 * MAX_STEPS - 1)
    gaps = np.diff(found)[:-1]
    assert gaps.max() <= 3 * gaps.min()


def test_what_is_held_is_bounded_in_bytes() -> None:
    kept = history()
    for step in range(40):  # noise of 460 kB each, of which no format makes much less
        kept.add(images(step, size=196))
        if step % 10 == 9:
            message = kept.message()
    *older, newest = [picture["source"] for picture in message["layout"]["images"]]
    assert newest.startswith("data:image/png"), "the newest picture is as it was drawn"
    assert kept.nbytes <= MAX_BYTES + len(newest) + 1000
    assert len(windows.encode(message)) <= 2 * MAX_BYTES + len(newest)
    assert len(steps(message)) >= 5, "older ones are encoded with loss, so there is room for some"
    assert max(map(len, older)) < len(newest) / 3
    assert b64decode(older[0].partition(",")[2]).startswith(b"\xff\xd8\xff")


def test_what_waits_to_be_drawn_is_bounded_too() -> None:
    kept, size = history(), 512
    for step in range(60):
        kept.add(images(step, size))
    one = 4 * 3 * size**2
    assert kept.nbytes <= MAX_WAITING_BYTES + one
    assert MAX_WAITING_BYTES // one >= 5
    assert MIN_STEPS < MAX_STEPS


def test_the_pictures_of_a_page_share_its_room() -> None:
    state, count = RecordState(), 40
    for tag in range(count):
        for step in range(5):
            state.add(images(step, size=64)._replace(tag=f"samples {tag}"))
    messages = [state.message(f"images samples {tag}") for tag in range(count)]
    newest = sum(len(message["layout"]["images"][-1]["source"]) for message in messages)
    assert sum(len(windows.encode(message)) for message in messages) < MAX_PAGE_BYTES + newest + count * 20_000


def test_a_restart_drops_later_steps_and_keeps_a_picture_until_there_is_another(
    run: Run, visdom_server: VisdomServer
) -> None:
    sink = VisdomSink(port=visdom_server.port, env="again")
    sink.open(run)
    sink.write([confusion(step) for step in (0, 10, 20, 30)])
    sink.flush()
    sink.write([r.Restart(20, 0.0)])
    sink.flush()
    assert steps(visdom_server.windows("again")["confusion"]["content"]) == ["0", "10"]
    sink.write([confusion(20)])
    sink.flush()
    assert steps(visdom_server.windows("again")["confusion"]["content"]) == ["0", "10", "20"]
    sink.write([r.Restart(0, 0.0)])
    sink.flush()
    assert "confusion" in visdom_server.windows("again")
    sink.write([confusion(0), confusion(1)])
    sink.flush()
    assert steps(visdom_server.windows("again")["confusion"]["content"]) == ["0", "1"]
    sink.close()


def test_the_same_step_again_replaces_it_and_a_bad_one_costs_itself(run: Run, visdom_server: VisdomServer) -> None:
    sink = VisdomSink(port=visdom_server.port, env="bad")
    sink.open(run)
    bad = images(2)._replace(images=np.zeros((1, 5, 8, 8), np.uint8))
    sink.write([images(0), images(1), bad, images(1), images(3)])
    with pytest.raises(BadRecord, match=r"^the record Images 'samples' at step 2 cannot be shown: ") as caught:
        sink.flush()
    assert caught.value.count == 1
    assert steps(visdom_server.windows("bad")["samples"]["content"]) == ["0", "1", "3"]
    sink.close()


def test_charts_with_other_traces_are_left_out() -> None:
    from monitor.render.charts.history import with_slider

    def figure(kind: str, y: list[int]) -> Any:
        return {"data": [{"type": kind, "y": y}], "layout": {"margin": {"b": 10}, "title": {"text": str(y)}}}

    chart = with_slider([(0, figure("bar", [1])), (1, figure("scatter", [2])), (2, figure("bar", [3]))])
    (slider,) = chart["layout"]["sliders"]
    assert [step["args"] for step in slider["steps"]] == [
        [{"y": [[1]]}, {"title.text": "[1]"}, [0]],
        [{"y": [[3]]}, {"title.text": "[3]"}, [0]],
    ]
    assert chart["layout"]["margin"]["b"] > 10
