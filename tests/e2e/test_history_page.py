"""The slider of a window and the timeline of predictions, in a real browser."""

from __future__ import annotations

from base64 import b64decode
from contextlib import suppress
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import TimeoutError as TimedOut

from monitor import Images, Logger
from monitor.render.pictures.images import image_grid
from monitor.runs.resume import reopen
from monitor.testing import wait_until
from tests.support.class_names import CIFAR100, FASHION

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.browser import Page
    from tests.support.servers import VisdomServer

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

TARGET = np.arange(6) % 3
NAMES = ("cat", "dog", "<i>owl</i>")
IMAGES = np.random.default_rng(0).random((6, 1, 12, 12))
# By test: which samples are predicted correctly. Sample 4 is forgotten twice, sample 1 once.
OUTCOMES = np.array([[1, 1, 0, 0, 1, 1], [1, 0, 0, 1, 0, 1], [1, 1, 0, 1, 1, 1], [1, 1, 0, 1, 0, 1]], bool)


WITHOUT_TIMELINE = """[...document.querySelectorAll('.window .bar div.pull-right')].map(t => t.textContent)
    .filter(title => !title.includes('timeline'))"""


def log_test(log: Logger, test: int) -> None:
    step = 100 * test
    predicted = np.where(OUTCOMES[test % 4], TARGET, (TARGET + 1) % 3)
    log.predictions("predictions", IMAGES, predicted, TARGET, step, NAMES)
    log.confusion_matrix("confusion", np.diag([test, 2, 3]), step, NAMES)
    log.histogram("weights", np.linspace(0, 1 + test, 50), step)
    log.images("samples", IMAGES * (test + 1) / 8, step)
    log.flush()


def opened(page: Page, server: VisdomServer, env: str) -> Page:
    page.goto(f"{server.url}/env/{env}")
    page.wait("() => [...document.querySelectorAll('button')].some(b => b.textContent === 'online')")
    return page


def shown(page: Page, title: str) -> Any:
    """Return the step in the slider's label, the picture, the first bar, and the title of a window."""
    return page.evaluate(
        "p => ({step: (p.querySelector('.slider-label') || {textContent: ''}).textContent,"
        " image: (p.querySelector('image') || {getAttribute: () => null}).getAttribute('href')"
        " || (p.querySelector('image') ? p.querySelector('image').href.baseVal : null),"
        " width: p._fullData[0].width ? p._fullData[0].width[0] : null,"
        " title: p._fullLayout.title.text})",
        page.plot(title),
    )


def wait_for_step(page: Page, title: str, step: int, timeout: float = 60.0) -> None:
    page.wait(
        "([p, label]) => { const s = p.querySelector('.slider-label'); return s && s.textContent === label; }",
        [page.plot(title), f"step {step}"],
        timeout=timeout,
    )


def scrub(page: Page, title: str, share: float, step: int) -> None:
    """Click on the rail of a slider, at a share of its length, until it shows a step: windows move on a busy page."""
    for _ in range(5):
        click_rail(page, title, share)
        with suppress(TimedOut):
            wait_for_step(page, title, step, timeout=10)
            return
    wait_for_step(page, title, step)


def click_rail(page: Page, title: str, share: float) -> None:
    plot = page.plot(title)
    page.evaluate("p => p.scrollIntoView({block: 'center'})", plot)
    box = page.evaluate("p => { const r = p.querySelector('.slider-rail-touch-rect').getBoundingClientRect();"
                        " return [r.x, r.y, r.width, r.height]; }", plot)  # fmt: skip
    x, y, width, height = box
    page.mouse.click(x + 6 + (width - 12) * share, y + height / 2)


@pytest.mark.slow
def test_the_slider_shows_steps_and_a_refresh_keeps_the_chosen_one(
    page: Page, visdom_server: VisdomServer, tmp_path: Path
) -> None:
    titles = ("predictions", "confusion", "weights", "samples")
    with Logger(tmp_path / "scrubbed", [visdom_server.spec()]) as log:
        log_test(log, 0)
        opened(page, visdom_server, "scrubbed")
        page.plot("predictions")
        log_test(log, 1)
        log_test(log, 2)
        for title in titles:
            wait_for_step(page, title, 200)
        newest = {title: shown(page, title) for title in titles}
        for title in titles:
            scrub(page, title, 0.0, 0)
        first = {title: shown(page, title) for title in titles}
        for title in ("predictions", "samples"):
            assert first[title]["image"].startswith("data:image/png")
            assert first[title]["image"] != newest[title]["image"]
        assert newest["weights"]["width"] == pytest.approx(3 * first["weights"]["width"])
        assert "step 0" in first["weights"]["title"]
        # A zoom, and a refresh: both stay; a window at its newest step goes on to the new one.
        scrub(page, "samples", 1.0, 200)
        plot = page.plot("weights")
        page.evaluate("p => Plotly.relayout(p, {'xaxis.range[0]': 0.25, 'xaxis.range[1]': 0.75})", plot)
        log_test(log, 3)
        wait_for_step(page, "samples", 300)
        for title in titles[:3]:
            page.wait("p => p.layout.sliders[0].steps.length === 4", page.plot(title))
            assert shown(page, title) == first[title], "still step 0, in the picture, the bars, and the label"
        assert page.evaluate("p => p._fullLayout.xaxis.range", page.plot("weights")) == [0.25, 0.75]
        scrub(page, "weights", 1.0, 300)
        log_test(log, 4)
        wait_for_step(page, "weights", 400)
        wait_for_step(page, "predictions", 0)
    opened(page, visdom_server, "scrubbed")
    for title in titles:
        wait_for_step(page, title, 400)
    assert page.problems == []


@pytest.mark.slow
def test_after_a_resume_the_sliders_have_the_steps_from_before(
    page: Page, visdom_server: VisdomServer, tmp_path: Path
) -> None:
    """Also on a server that has never seen the run, as after a kill; what a restart supersedes is gone."""
    with Logger(tmp_path / "cut", ["tensorboard"]) as log:
        for test in range(3):
            log_test(log, test)
            log.checkpoint(f"after-{test}", 100 * test + 1)
        log_test(log, 3)
    with Logger(reopen(tmp_path / "cut", "after-2", 201), ["tensorboard", visdom_server.spec()]) as log:
        log.flush()
        opened(page, visdom_server, "cut")
        for title in ("predictions", "confusion", "weights", "samples"):
            wait_for_step(page, title, 200)
        log_test(log, 4)
        page.wait(f"() => {WITHOUT_TIMELINE}.length === 5")
        for title in ("predictions", "confusion", "weights", "samples"):
            wait_for_step(page, title, 400)
            assert page.evaluate("p => p.layout.sliders[0].steps.map(s => s.label)", page.plot(title)) == [
                "0", "100", "200", "400"
            ]  # fmt: skip
        sources = page.evaluate("p => p.layout.images.map(i => i.source)", page.plot("samples"))
        first = image_grid(Images("samples", (IMAGES / 8 * 255).astype(np.uint8), 0, 0.0))
        pixels = [np.asarray(Image.open(BytesIO(png))) for png in (b64decode(sources[0].partition(",")[2]), first.png)]
        assert pixels[0].shape == pixels[1].shape
        assert np.abs(pixels[0].astype(int) - pixels[1]).max() <= 1, "the picture of the first test"
        newest = {title: shown(page, title) for title in ("predictions", "confusion", "weights")}
        for title in newest:
            scrub(page, title, 0.0, 0)
        assert shown(page, "predictions")["image"] != newest["predictions"]["image"]
        assert shown(page, "weights")["width"] < newest["weights"]["width"]
        assert shown(page, "confusion")["title"] == "step 0 · 5 of 5 correct (100.0%)"
        hover = "p => p._fullData[0].customdata[1][1][0] + ' ' + p._fullData[0].y[0]"
        assert page.evaluate(hover, page.plot("confusion")) == "2 cat"
        before = page.evaluate(f"() => {WITHOUT_TIMELINE}")
        log.checkpoint("after-4", 401)
    # The server still has the windows, and gets none twice.
    with Logger(reopen(tmp_path / "cut", "after-4", 401), ["tensorboard", visdom_server.spec()]) as log:
        log.scalar("train/loss", 1.0, 401)
        log.flush()
        page.plot("loss")
        assert sorted(page.evaluate(f"() => {WITHOUT_TIMELINE}")) == sorted([*before, "loss"])
    assert page.problems == []


def test_sliders_leave_room_for_names_and_pictures_fill_their_windows(
    page: Page, visdom_server: VisdomServer, tmp_path: Path
) -> None:
    page.set_viewport_size({"width": 1600, "height": 900})
    with Logger(tmp_path / "roomy", [visdom_server.spec()], record="none") as log:
        for step in range(2):
            log.predictions("predictions", IMAGES, TARGET, TARGET, step, FASHION)
            log.confusion_matrix("fashion", np.eye(10, dtype=int), step, FASHION)
            log.confusion_matrix("cifar", np.eye(100, dtype=int), step, CIFAR100)
            log.scalar("train/loss", 1.0, step)
            log.flush()  # the first step is there without a slider
    opened(page, visdom_server, "roomy")
    for title in ("fashion", "cifar"):
        wait_for_step(page, title, 1)
        page.wait(
            """p => {
                const edges = (names, side) => [...p.querySelectorAll(names)].map(t => t.getBoundingClientRect()[side]);
                return Math.max(...edges('.xtick text, .xtitle', 'bottom'))
                    <= Math.min(...edges('.slider-label, .slider-rail-touch-rect', 'top'));
            }""",
            page.plot(title),
        )  # the slider is below the names
    shape = """p => {
        const image = p.querySelector('.layer-below image, image').getBoundingClientRect();
        const window = p.getBoundingClientRect();
        return [window.width - image.width, window.height - image.height];
    }"""
    wait_for_step(page, "predictions", 1)

    def fills() -> bool:
        """As wide as the window, with the slider below it and no gap; the window may still be getting its size."""
        beside, below = page.evaluate(shape, page.plot("predictions"))
        return bool(beside < 20 and 50 < below < 85)

    wait_until(fills, 60, "a picture that fills its window")
    assert page.problems == []


def test_the_timeline_is_sorted_and_tells_classes_and_shows_pictures(
    page: Page, visdom_server: VisdomServer, tmp_path: Path
) -> None:
    with Logger(tmp_path / "forgotten", [visdom_server.spec()]) as log:
        for test in range(4):
            log_test(log, test)
        opened(page, visdom_server, "forgotten")
        plot = page.plot("timeline of predictions")
        rows = page.evaluate("p => Array.from(p.data[0].y)", plot)
        assert rows[:2] == ["4: dog ×2", "1: dog ×1"]
        ticks = page.evaluate(
            "p => [...p.querySelectorAll('.ytick text')].map(t => [t.getBoundingClientRect().y, t.textContent])", plot
        )
        assert [text for _, text in sorted(ticks)][:2] == ["4: dog ×2", "1: dog ×1"], "the most forgotten is on top"
        assert "6 samples: 5 learned, 2 forgotten (3 times), 1 never learned" in page.evaluate(
            "p => p.querySelector('.gtitle').textContent", plot
        )
        page.evaluate("p => p.scrollIntoView({block: 'center'})", plot)

        def points_at(row: int, column: int) -> bool:
            """Point at a cell, wherever it is: the window may still be getting its size."""
            x, y, width, height = page.evaluate("p => { const r = p.querySelector('.nsewdrag').getBoundingClientRect();"
                                                " return [r.x, r.y, r.width, r.height]; }", plot)  # fmt: skip
            page.mouse.move(x + width * (column + 0.4) / 4, y + height * (row + 0.4) / 6)
            page.mouse.move(x + width * (column + 0.5) / 4, y + height * (row + 0.5) / 6)
            shown = "() => { const b = document.querySelector('.timeline-picture');"
            shown += " return b && b.style.display === 'block' && b.dataset.sample; }"
            return bool(page.evaluate(shown) == rows[row].partition(":")[0])

        def hover(row: int, column: int) -> str:
            wait_until(lambda: points_at(row, column), 60, f"the picture of row {row}")
            return str(page.evaluate("p => p.querySelector('.hoverlayer').textContent", plot))

        assert "4: dog ×2" in (text := hover(0, 1))
        assert "step 100: predicted <i>owl</i>, wrong: forgotten" in text
        assert "step 200: predicted dog, right" in hover(1, 2)
        background = page.evaluate("() => document.querySelector('.timeline-picture').style.backgroundImage")
        assert background.startswith('url("data:image/png;base64,')
        page.mouse.move(2, 2)
        page.wait("() => document.querySelector('.timeline-picture').style.display === 'none'")
        curves = [page.points("timeline/predictions", n)[-1] for n in range(3)]
        assert curves == [(300, 5), (300, 2), (300, 1)]
    assert page.problems == []
