"""The windows of Visdom's page, in a real browser: their order on an open page, and the width that they use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from monitor import Logger
from tests.e2e.test_visdom_page import opened

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.browser import Page
    from tests.support.servers import VisdomServer

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

BOXES = """() => [...document.querySelectorAll('.react-grid-item:not(.react-grid-placeholder)')].map(item => {
    const title = item.querySelector('.bar div.pull-right');
    const box = item.style;
    const move = /translate[(](-?[0-9.]+)px, ?(-?[0-9.]+)px[)]/.exec(box.transform) || [0, box.left, box.top];
    return [title ? title.textContent : '', parseFloat(move[1]), parseFloat(move[2]), parseFloat(box.width),
            parseFloat(box.height)];
})"""


def boxes(page: Page, count: int) -> dict[str, list[float]]:
    """Return left, top, width, and height of each window, by its title, once there are so many."""
    page.wait(f"() => ({BOXES})().filter(box => box[0]).length === {count}")
    return {title: box for title, *box in page.evaluate(BOXES) if title}


def in_reading_order(found: dict[str, list[float]]) -> list[str]:
    return sorted(found, key=lambda title: (found[title][1], found[title][0]))


def log_all(log: Logger, step: int) -> None:
    log.histogram("weights", np.arange(9.0), step)
    log.text("notes", "hello", step)
    log.scalar("lr", 0.1, step)
    log.flush()
    log.images("samples", np.zeros((8, 1, 28, 28), np.uint8), step)
    log.scalars({"test/accuracy": 0.5}, step)
    log.flush()
    log.scalars({"train/loss": 1.0, "test/loss": 1.0, "grad_norm/a": 1.0, "grad_norm/b": 2.0}, step)
    log.flush()


@pytest.mark.slow
def test_later_windows_come_where_they_belong_on_an_open_page(
    page: Page, visdom_server: VisdomServer, tmp_path: Path
) -> None:
    with Logger(tmp_path / "open", [visdom_server.spec()], {"lr": 1}, record="none") as log:
        log.scalar("lr", 0.1, 0)
        log.flush()
        opened(page, visdom_server, "open")
        boxes(page, 2)
        log_all(log, 1)
        page.wait(f"() => {{ const found = ({BOXES})().filter(b => b[0] === 'loss')[0]; return found && found[1] < 20"
                  " && found[2] < 20; }")  # fmt: skip
        live = boxes(page, 8)
        order = in_reading_order(live)
        assert order[:2] == ["loss", "accuracy"]
        assert order.index("samples") < order.index("lr") < order.index("notes")
        assert order.index("grad_norm") < order.index("notes") < order.index("weights")
        page.reload()
        page.wait("() => [...document.querySelectorAll('button')].some(b => b.textContent === 'online')")
        page.wait(f"() => {{ const found = ({BOXES})().filter(b => b[0] === 'loss')[0]; return found && found[1] < 20"
                  " && found[2] < 20; }")  # fmt: skip
        assert in_reading_order(boxes(page, 8)) == order, "a page that is opened later has the same order"

        # Who moves a window has the page as it is; the button "Repack" gives it back.
        bar = page.locator(".window .bar").last.bounding_box()
        page.mouse.move(bar["x"] + bar["width"] / 2, bar["y"] + 7)
        page.mouse.down()
        page.mouse.move(300, 120, steps=8)
        page.mouse.up()
        page.wait("() => Object.keys(localStorage).some(key => key.startsWith('monitor arranged'))")
        page.wait("() => !document.querySelector('.react-grid-placeholder, .react-draggable-dragging')")
        moved = boxes(page, 8)
        assert in_reading_order(moved) != order
        log.scalar("test/f1", 0.1, 2)
        log.flush()
        later = boxes(page, 9)
        assert {title: box for title, box in later.items() if title != "f1"} == moved
        page.locator(".glyphicon-th").click()
        page.wait(f"() => {{ const found = ({BOXES})().filter(b => b[0] === 'loss')[0]; return found[1] < 20"
                  " && found[2] < 20; }")  # fmt: skip
        again = in_reading_order(boxes(page, 9))
        assert [title for title in again if title != "f1"] == order
    assert page.problems == []


@pytest.mark.parametrize("width", [1280, *(pytest.param(width, marks=pytest.mark.slow) for width in (1600, 1920))])
def test_the_rows_fill_the_page(browser: Any, visdom_server: VisdomServer, tmp_path: Path, width: int) -> None:
    from tests.support.browser import Page as Opened

    with Logger(tmp_path / "wide", [visdom_server.spec()], {"lr": 1}, record="none") as log:
        for step in range(3):
            log_all(log, step)
        log.scalars({f"m{n}/entropy": 1.0 for n in "abcd"}, 1)
        log.scalars({f"clients/c{n}": 1.0 for n in range(9)}, 1)  # two columns wide
    context = browser.new_context(viewport={"width": width, "height": 900})
    context.set_default_timeout(60_000)
    page = Opened(context.new_page())
    try:
        opened(page, visdom_server, "wide")
        right = f"() => Math.max(...({BOXES})().map(box => box[1] + box[3]))"
        page.wait(f"w => Math.abs(({right})() - (w - 10)) < 4", width)
        plots = "[...document.querySelectorAll('.js-plotly-plot')]"  # which are drawn as wide as their windows
        page.wait(f"() => {plots}.every(p => Math.abs(p.querySelector('.main-svg').clientWidth - p.clientWidth) < 2)")
        found = list(boxes(page, 13).values())
        bottom = max(top + height for _, top, _, height in found)
        # Across the page, down to where the shortest column ends, each point belongs to a window, or to a margin.
        ends = [max(top + height for left, top, own, height in found if left <= x <= left + own + 11)
                for x in range(15, width - 15, 10)]  # fmt: skip
        for y in range(20, int(min(ends)) - 5, 10):
            for x in range(15, width - 15, 10):
                inside = any(left - 11 <= x <= left + own + 11 and top - 26 <= y <= top + height + 26
                             for left, top, own, height in found)  # fmt: skip
                assert inside, (x, y, bottom)
    finally:
        context.close()
    assert page.problems == []


@pytest.mark.slow
def test_a_legend_stays_above_its_curves_when_a_window_is_made_wider(
    page: Page, visdom_server: VisdomServer, tmp_path: Path
) -> None:
    """In a wider window it needs one row instead of two, and the curves move up."""
    with Logger(tmp_path / "legends", [visdom_server.spec()], record="none") as log:
        for step in range(3):
            log.scalars({f"hours-{n}000/{tag}": n for n in range(1, 5) for tag in ("accuracy", "loss")}, step)
    opened(page, visdom_server, "legends")
    plots = "[...document.querySelectorAll('.js-plotly-plot')].filter(p => p.querySelector('.legend'))"
    drawn = f"() => {plots}.filter(p => Math.abs(p._fullLayout.width - p.clientWidth) < 2)"
    page.wait(f"() => ({drawn})().length === 2 && ({drawn})().some(p => p.clientWidth > 600)")
    overlap = f"""() => {plots}.map(p => p.querySelector('.legend').getBoundingClientRect().bottom
        - p.getBoundingClientRect().top - p._fullLayout._size.t)"""
    page.wait(f"() => ({overlap})().every(pixels => pixels < 2)")
    assert page.problems == []
