"""The charts of Visdom's page, in a real browser: what they show, and what their buttons do."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from monitor import Logger, Run, records
from monitor.sinks.visdom.sink import VisdomSink
from monitor.testing import wait_until
from tests.e2e.test_visdom_page import opened

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.browser import Page
    from tests.support.servers import VisdomServer

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

STEPS = 400
TRACES = "p => p.data.map(t => [t.name, t.meta.part || 'line', t.x.length, t.line ? t.line.color : ''])"

AREA = """p => {
    const box = p.querySelector('.nsewdrag').getBoundingClientRect();
    return [box.x, box.y, box.width, box.height];
}"""


def press(page: Page, plot: Any, label: str) -> None:
    script = """([plot, label]) => [...plot.querySelectorAll('.monitor-toolbar button')]
        .find(button => button.textContent === label).click()"""
    page.evaluate(script, [plot, label])


def buttons(page: Page, plot: Any) -> dict[str, bool]:
    script = """plot => [...plot.querySelectorAll('.monitor-toolbar button')]
        .map(button => [button.textContent, button.getAttribute('aria-pressed') === 'true'])"""
    return dict(page.evaluate(script, plot))


def logged(log: Logger, first: int, last: int) -> None:
    noise = np.random.default_rng(first)
    for step in range(first, last):
        log.scalar("train/loss", math.exp(-step / 40) + 0.001 + 0.05 * abs(noise.normal()), step)
        log.scalar("lr", 0.01, step)
        if step % 40 == 0:
            log.scalars({"test/loss": math.exp(-step / 40) + 0.002, "test/accuracy": 1 - math.exp(-step / 40)}, step)
    log.progress(last // 40, STEPS // 40, last, STEPS)


def test_charts_by_metric_and_their_buttons(page: Page, visdom_server: VisdomServer, tmp_path: Path) -> None:
    with Logger(tmp_path / "charts", [visdom_server.spec()], record="none") as log:
        logged(log, 0, 300)
        log.flush()
        opened(page, visdom_server, "charts")
        loss = page.plot("loss")
        titles = "() => [...document.querySelectorAll('.window .bar div.pull-right')].map(t => t.textContent)"
        page.wait(f"() => ({titles})().length === 3")
        assert sorted(page.evaluate(titles)) == ["accuracy", "loss", "lr"], "no window for an empty config"
        assert page.evaluate("() => document.querySelectorAll('.gtitle').length") == 0, "no title twice"
        assert page.evaluate("p => p.querySelectorAll('.legend').length", page.plot("lr")) == 0
        traces = page.evaluate(TRACES, loss)
        assert [trace[:2] for trace in traces] == [["train", "raw"], ["test", "line"], ["train", "smooth"]]
        assert traces[0][3].startswith("rgba")
        widths = page.evaluate("p => p.data.map(t => t.line.width)", loss)
        assert widths[1] > widths[0], "test is thick, train is thin"

        low, high = page.evaluate("p => p._fullLayout.yaxis.range", page.plot("lr"))
        assert 0 < low < 0.01 < high < 0.02, "a flat value is drawn at its value"

        assert buttons(page, loss) == {
            "step": True, "epoch": False, "time": False, "relative": False, "smooth": True, "log": False,
        }  # fmt: skip
        axis = "p => [p._fullLayout.xaxis.type, p._fullLayout.xaxis.title.text, p._fullLayout.yaxis.type]"
        last = "p => p.data.map(t => t.x[t.x.length - 1])"
        press(page, loss, "epoch")
        assert page.evaluate(axis, loss) == ["linear", "epoch", "linear"]
        assert page.evaluate(last, loss)[:2] == pytest.approx([299 / 40, 7])
        press(page, loss, "relative")
        assert page.evaluate(axis, loss)[1] == "seconds since start"
        assert 0 <= page.evaluate(last, loss)[0] < 60
        press(page, loss, "time")
        assert page.evaluate(axis, loss)[0] == "date"
        press(page, loss, "log")
        assert page.evaluate(axis, loss) == ["date", "time", "log"]
        press(page, loss, "smooth")
        shown = page.evaluate(TRACES, loss)
        assert shown[0][3] == "#1f77b4", "the raw curve alone, in full"
        assert shown[2][3].replace(" ", "") == "rgba(0,0,0,0)"

        # What was chosen stays when the chart is drawn again, and so does a hidden curve.
        page.locator(".legendtoggle").first.click()
        page.wait("p => p._fullData.some(t => t.visible === 'legendonly')", loss)
        hidden = page.evaluate("p => p._fullData.map(t => [t.name, t.visible])", loss)
        logged(log, 300, 400)
        log.flush()
        page.wait("p => p.data[0].text[p.data[0].text.length - 1] === 399", loss)
        assert page.evaluate(axis, loss) == ["date", "time", "log"]
        assert page.evaluate(TRACES, loss)[0][3] == "#1f77b4"
        assert page.evaluate("p => p._fullData.map(t => [t.name, t.visible])", loss) == hidden
        assert [label for label, is_on in buttons(page, loss).items() if is_on] == ["time", "log"]
    assert page.problems == []


def test_hover_tells_step_value_and_time(page: Page, visdom_server: VisdomServer) -> None:
    sink = VisdomSink(port=visdom_server.port, env="hover")
    sink.open(Run("hover", is_written=False))
    sink.write([records.Scalar("test/accuracy", step / 2000, step, 1.7e9 + step) for step in range(1500, 1511)])
    sink.flush()
    sink.close()
    opened(page, visdom_server, "hover")
    plot = page.plot("accuracy")
    for name in ("step", "time", "relative"):
        press(page, plot, name)

        def hover(plot: Any = plot) -> bool:
            """Point at the last value, wherever it is: the window may still be getting its size."""
            x, y, _, height = page.evaluate(AREA, plot)
            last = page.evaluate("p => p._fullLayout.xaxis.d2p(p.data[0].x[p.data[0].x.length - 1])", plot)
            page.mouse.move(x + 5, y + height / 3)
            page.mouse.move(x + last, y + height / 2, steps=4)
            return "0.755" in str(page.evaluate("p => p.querySelector('.hoverlayer').textContent", plot))

        wait_until(hover, 60, "the last value on hover")
        said = page.evaluate("p => p.querySelector('.hoverlayer').textContent", plot)
        assert f"0.75500 · step 1,510 · {time.strftime('%H:%M:%S', time.localtime(1.7e9 + 1510))}" in said
    assert page.problems == []


def test_a_change_of_a_setting_is_marked_in_the_charts(page: Page, visdom_server: VisdomServer) -> None:
    """A line over the whole height, at the same place on each x axis, with what was changed on hover."""
    sink = VisdomSink(port=visdom_server.port, env="marked")
    sink.open(Run("marked", is_written=False))
    tags = ("train/loss", "lr", "system/cpu_percent/machine")
    sink.write([records.Scalar(tag, 2.0 ** (-step / 8), step, 1.7e9 + step) for tag in tags for step in range(81)])
    sink.write([records.Progress(8, 16, 80, 160, 1.7e9 + 80)])
    sink.flush()
    opened(page, visdom_server, "marked")
    plot = page.plot("loss")
    notes = [("lr: 0.1 → <b>0.01</b>", 20), ("pause", 40), ("weight_decay: 0 → 0.1", 60)]
    sink.write([records.Text("steering", text, step, 1.7e9 + step) for text, step in notes])
    sink.flush()
    page.wait("p => p.querySelectorAll('.errorbar').length === 2", plot)
    lines = """p => [...p.querySelectorAll('.errorbar path')].map(line => {
        const box = line.getBoundingClientRect(), area = p.querySelector('.nsewdrag').getBoundingClientRect();
        return [(box.x + box.width / 2 - area.x) / area.width, box.height / area.height];
    })"""

    def places() -> list[float]:
        found = page.evaluate(lines, plot)
        assert [height for _, height in found] == pytest.approx([1, 1], abs=0.02)
        return [place for place, _ in found]

    steps = places()
    assert steps == pytest.approx([0.25, 0.75], abs=0.02)
    for name in ("epoch", "relative", "time", "log"):
        press(page, plot, name)
        wait_until(lambda: places() == pytest.approx(steps, abs=0.02), 60, f"the same places by {name}")

    def hover() -> bool:
        x, y, width, height = page.evaluate(AREA, plot)
        page.mouse.move(x + 5, y + height / 3)
        page.mouse.move(x + 0.25 * width, y + height / 2, steps=4)
        said = str(page.evaluate("p => p.querySelector('.hoverlayer').textContent", plot))
        return "lr: 0.1" in said and "step 20" in said  # beside the value of the curve

    wait_until(hover, 60, "the change on hover")
    said = page.evaluate("p => p.querySelector('.hoverlayer').textContent", plot)
    assert "lr: 0.1 → <b>0.01</b>" in said, "as text"
    marks = "p => p.data.filter(t => t.meta && t.meta.part === 'change').length"
    assert page.evaluate(marks, page.plot("lr")) == 1
    assert page.evaluate(marks, page.plot("system/cpu_percent")) == 0
    sink.write([records.Restart(30, 1.7e9)])
    sink.flush()
    page.wait("p => p.querySelectorAll('.errorbar').length === 1", plot)
    sink.close()
    assert page.problems == []


def test_a_zoom_survives_where_a_spike_is_cut(page: Page, visdom_server: VisdomServer, tmp_path: Path) -> None:
    """The range that the sink sends changes with each value, and the user's stays."""
    with Logger(tmp_path / "spike", [visdom_server.spec()], record="none") as log:
        for step in range(100):
            log.scalar("train/loss", 900.0 if step == 50 else 1 + step / 100, step)
        log.flush()
        opened(page, visdom_server, "spike")
        plot = page.plot("loss")
        assert page.evaluate("p => p._fullLayout.yaxis.range[1]", plot) < 5
        x, y, width, height = page.evaluate(AREA, plot)
        page.mouse.move(x + width * 0.3, y + height * 0.3)
        page.mouse.down()
        page.mouse.move(x + width * 0.6, y + height * 0.7, steps=5)
        page.mouse.up()
        page.wait("p => p._fullLayout.xaxis.autorange === false", plot)
        look = "p => [p._fullLayout.xaxis.range, p._fullLayout.yaxis.range]"
        before = page.evaluate(look, plot)
        for step in range(100, 103):
            log.scalar("train/loss", 2.0 + step / 50, step)
            log.flush()
            page.wait("([p, x]) => p.data[0].x.includes(x)", [plot, step])
            assert page.evaluate(look, plot) == before
        log.scalar("train/loss", 30_000.0, 103)
        log.flush()
        page.wait("p => p.data[0].x.includes(103)", plot)
        assert page.evaluate(look, plot) == before


def test_the_user_names_charts(page: Page, visdom_server: VisdomServer, tmp_path: Path) -> None:
    charts = {"both <b>": ["train/loss", "test/loss"], "norms": ["grad*"]}
    with Logger(tmp_path / "named", [visdom_server.spec()], charts=charts, record="none") as log:
        log.scalars({"train/loss": 1.0, "test/loss": 2.0, "gradient/a": 3.0, "grad_norm": 4.0, "lr": 0.1}, 0)
    wait_until(lambda: len(visdom_server.windows("named")) == 3, 30, "the charts")
    windows = visdom_server.windows("named")
    names = {title: [t["name"] for t in w["content"]["data"]] for title, w in windows.items()}
    assert names["both <b>"] == ["train", "test"]
    assert min(windows, key=lambda title: windows[title]["i"]) == "both <b>", "the user's charts come first"
    assert names["norms"] == ["a", "grad_norm"]
    opened(page, visdom_server, "named")
    page.plot("both <b>")
    assert page.problems == []
