"""What a person does on the page of a comparison, in a real browser."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import numpy as np
import pytest
from click.testing import CliRunner

from monitor import Logger
from monitor.cli import main

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.browser import Page

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

TRACES = "() => document.querySelector('[data-chart=\"0\"]').data"
MAX_BYTES = 6_000_000


@pytest.fixture
def viewport() -> dict[str, int]:
    return {"width": 1280, "height": 2400}


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the report of three runs, with a spike, pictures at three steps, and a note."""
    folder = tmp_path_factory.mktemp("page")
    for number, lr in enumerate((0.1, 0.01, 0.001)):
        with Logger(folder / f"run{number}", ["tensorboard"], {"lr": lr, "depth": number}) as log:
            for step in range(60):
                spike = 5000.0 if number == 1 and step == 30 else 0.0
                log.scalar("test/loss", 1 / (step + 2) + number / 10 + spike, step)
            for step in (0, 10, 20):
                log.images("samples", np.full((1, 1, 4, 4), 10 * step + number, np.uint8), step)
            log.scalar("system/cpu", 50.0, 0)
            log.text("notes", f"note of run {number}", 0)
    (folder / "run0" / "diff.patch").write_text("--- a.py\n+++ a.py\n-old\n+new\n")
    fields = json.loads((folder / "run0" / "run.json").read_text())
    fields["command"] = ["/home/me/.venv/bin/python", "/home/me/.venv/bin/monitor", "train", "mlp", "--name", "a b"]
    changes = [{"step": step, "control": "lr", "value": 0.01, "before": 0.1} for step in (20, 10**6)]  # one is planned
    fields["controls"] = [*changes, {"step": 5, "control": "pause"}]
    (folder / "run0" / "run.json").write_text(json.dumps(fields))
    tagged = CliRunner().invoke(main, ["tag", "run1", "baseline", "--logdir", str(folder)])
    assert tagged.exit_code == 0, tagged.output
    noted = CliRunner().invoke(main, ["note", "run1", "looks *good*", "--logdir", str(folder)])
    assert noted.exit_code == 0, noted.output
    done = CliRunner().invoke(
        main, ["report", str(folder), "--html", str(folder / "page.html"), "--title", "My report"]
    )
    assert done.exit_code == 0, done.output
    return folder / "page.html"


@pytest.fixture
def opened(file: Path, page: Page) -> Page:
    page.goto(file.as_uri())
    page.poll(f"() => ({TRACES})() !== undefined")
    assert page.locator(".js-plotly-plot .preview").count() == 0
    return page


# Plotly never comes: what unpacks it never ends.
NO_PLOTLY = """window.DecompressionStream = class {
    constructor() { return new TransformStream({ transform() {}, flush: () => new Promise(() => {}) }); }
}"""
# Of each run, by its color, the highest and lowest place in the curve's picture, as parts of its height.
EXTREMA = """() => {
    const canvas = document.querySelector('[data-chart="0"] .preview');
    if (!canvas) return null;
    const { width, height, data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height)
    const found = {};
    for (let y = 0; y < height; y++) for (let x = 0; x < width; x++) {
        const [r, g, b, a] = data.slice(4 * (y * width + x), 4 * (y * width + x) + 4);
        if (a < 255) continue;
        const color = '#' + [r, g, b].map(value => value.toString(16).padStart(2, '0')).join('');
        found[color] = [found[color] ? found[color][0] : y / height, y / height];
    }
    return found;
}"""


def test_the_curves_are_there_before_plotly(file: Path, page: Page) -> None:
    page.add_init_script(NO_PLOTLY)
    page.goto(file.as_uri())
    page.poll(f"() => ({EXTREMA})() !== null")
    low, high = page.evaluate("data.charts[0].layout.yaxis.range")
    for number, color in enumerate(page.evaluate("data.charts[0].data.slice(0, 3).map(trace => trace.line.color)")):
        ends = [1 / (step + 2) + number / 10 for step in (0, 59)]
        places = [(high - value) / (high - low) for value in ends]
        highest = 0.0 if number == 1 else places[0]  # the spike is cut off
        assert page.evaluate(EXTREMA)[color] == pytest.approx([highest, places[1]], abs=0.03)
    assert page.evaluate("window.Plotly === undefined")
    assert page.problems == []


def runs_shown(page: Page, wanted: str) -> None:
    page.poll(f"wanted => [...new Set(({TRACES})().map(trace => trace.meta.run))].join() === wanted", wanted)


def test_axes_smoothing_and_spikes(opened: Page) -> None:
    layout = "document.querySelector('[data-chart=\"0\"]')._fullLayout"
    assert opened.evaluate(f"{layout}.yaxis.range[1] < 2")
    cut = opened.evaluate(f"({TRACES})().filter(trace => trace.meta.part === 'cut').map(trace => trace.customdata[0])")
    assert cut == pytest.approx([5000.13], abs=0.01)
    opened.locator("#robust").uncheck()
    opened.poll(f"() => {layout}.yaxis.range[1] > 4000")
    opened.locator("[data-y=log]").click()
    opened.poll(f"() => {layout}.yaxis.type === 'log'")
    opened.locator("[data-x=relative]").click()
    opened.poll(f"() => {layout}.xaxis.title.text.startsWith('seconds')")
    opened.locator("[data-x=wall]").click()
    opened.poll(f"() => {layout}.xaxis.type === 'date'")
    opened.locator("#smoothing").fill("0.9")
    opened.poll(f"() => ({TRACES})().some(trace => trace.meta.part === 'raw')")
    curves = f"({TRACES})().filter(t => t.meta.run === 0 && t.meta.part !== 'change')"
    smooth, raw = opened.evaluate(f"{curves}.map(t => Array.from(t.y)).reverse()")
    assert raw[1] == pytest.approx(1 / 3, abs=1e-6)
    assert smooth[1] == pytest.approx((0.9 * 0.1 / 2 + 0.1 / 3) / (1 - 0.9**2), abs=1e-6)
    assert opened.problems == []


def test_a_change_of_a_setting_is_marked_in_the_charts_of_the_training(opened: Page) -> None:
    marks = "part => part.data.filter(trace => trace.meta.part === 'change').map(trace => [trace.meta.run, trace.x])"
    assert opened.evaluate(f"({marks})(document.querySelector('[data-chart=\"0\"]'))") == [[0, [20]]]
    opened.locator("[data-x=relative]").click()
    opened.poll(f"() => ({marks})(document.querySelector('[data-chart=\"0\"]'))[0][1][0] < 20")
    opened.locator("#smoothing").fill("0.9")
    opened.locator("#filter").fill("run1")
    opened.poll(f"() => ({marks})(document.querySelector('[data-chart=\"0\"]')).length === 0")
    opened.locator("[data-system]").scroll_into_view_if_needed()
    opened.locator("#filter").fill("")
    opened.poll("() => document.querySelector('[data-system]').data !== undefined")
    assert opened.evaluate(f"({marks})(document.querySelector('[data-system]'))") == []
    assert opened.problems == []


def test_choosing_runs(opened: Page) -> None:
    opened.locator("#filter").fill("run2")
    runs_shown(opened, "2")
    opened.locator("#filter").fill("")
    opened.locator("#show-none").click()
    runs_shown(opened, "")
    opened.locator("#show-all").click()
    runs_shown(opened, "0,1,2")
    opened.locator(".runs label").nth(1).dblclick(position={"x": 100, "y": 8})
    runs_shown(opened, "1")
    opened.locator("#show-all").click()
    opened.locator("#parallel").scroll_into_view_if_needed()
    opened.poll("() => document.querySelector('#parallel.js-plotly-plot')")
    box = opened.locator("#parallel .nsewdrag").bounding_box()
    x = opened.evaluate("document.querySelector('#parallel')._fullLayout.xaxis.l2p(0)")
    opened.mouse.move(box["x"] + x - 15, box["y"] + box["height"] * 0.3)
    opened.mouse.down()
    opened.mouse.move(box["x"] + x + 15, box["y"] + 2, steps=4)
    opened.mouse.up()
    runs_shown(opened, "0")  # lr of 0.1 alone is at the top of its axis
    assert opened.problems == []


def test_the_slider_shows_the_pictures_of_a_step(opened: Page) -> None:
    newest = opened.locator("figure img").first.get_attribute("src")
    opened.locator(".slider input").fill("0")
    assert opened.locator("figcaption").first.inner_text() == "run0 step 0"
    assert opened.locator("figure img").first.get_attribute("src") != newest
    opened.locator(".slider input").fill("2")
    assert opened.locator("figcaption").first.inner_text() == "run0 step 20"
    assert opened.locator("figure img").first.get_attribute("src") == newest


def test_a_click_enlarges_a_picture(opened: Page) -> None:
    opened.locator(".slider input").fill("0")
    picture, dialog = opened.locator("figure img").nth(1), opened.locator("dialog")
    assert not dialog.is_visible()
    picture.click()
    assert dialog.inner_text() == "run1 step 0"
    shown = dialog.locator("img")
    assert shown.get_attribute("src") == picture.get_attribute("src")
    assert shown.bounding_box()["width"] > picture.bounding_box()["width"]
    opened.keyboard.press("Escape")
    assert not dialog.is_visible()
    picture.press("Enter")
    assert dialog.is_visible()
    dialog.click()
    assert not dialog.is_visible()
    assert opened.problems == []


def test_the_table_is_sorted_by_a_click(opened: Page) -> None:
    names = ".sortable tbody tr td:first-child"
    column = opened.locator(".sortable th", has_text="lr")
    column.click()
    assert opened.locator(names).all_inner_texts() == ["run2", "run1", "run0"]
    column.click()
    assert opened.locator(names).all_inner_texts() == ["run0", "run1", "run2"]


def test_hover_lists_the_values_of_all_runs(opened: Page) -> None:
    opened.evaluate("Plotly.Fx.hover(document.querySelector('[data-chart=\"0\"]'), {xval: 10})")
    opened.poll("() => document.querySelector('[data-chart=\"0\"] .hoverlayer').textContent.includes('run2')")
    text = opened.evaluate("document.querySelector('[data-chart=\"0\"] .hoverlayer').textContent")
    assert "run0 : 0.083333" in text
    assert "run1 : 0.18333" in text


def test_a_report_has_notes_changes_and_system_metrics(opened: Page, file: Path) -> None:
    assert opened.title() == "My report"
    assert opened.locator("pre.note").first.inner_text() == "step 0\nnote of run 0"
    (noted,) = [text for text in opened.locator("pre.note").all_inner_texts() if "good" in text]
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d  looks \*good\*", noted), "once, with its time"
    assert opened.locator(".diff .added").all_text_contents() == ["+new"]
    assert opened.locator("h3", has_text="system/cpu").count() == 1
    assert opened.locator(".detail th", has_text="command").count() == 3
    commands = opened.locator(".detail tr", has_text="command").locator("td").all_inner_texts()
    assert commands[0] == "monitor train mlp --name 'a b'", "without the folders of the machine"
    assert opened.locator(".detail tr", has_text="baseline").locator("th").all_inner_texts() == ["tags"]
    assert opened.locator("main").inner_text().count("baseline") == 1, "once, and not as a note too"
    assert file.stat().st_size < MAX_BYTES
