"""Pictures, confusion matrices, and histograms on Visdom's page, as Chromium draws them."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from monitor import Logger, SummaryWriter
from monitor.testing import wait_until
from tests.support.browser import FIND_WINDOW
from tests.support.class_names import CIFAR100, FASHION, HOSTILE

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.browser import Page
    from tests.support.servers import VisdomServer

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore:.*torch.jit:FutureWarning")


def hover(page: Page, plot: Any, row: int, column: int, classes: int) -> str:
    """Put the mouse on a cell; return what the page says about it."""

    def is_told() -> bool:  # the window may still be getting its size
        box = page.evaluate("p => { p.scrollIntoView(); const r = p.querySelector('.nsewdrag').getBoundingClientRect();"
                            " return [r.x, r.y, r.width, r.height]; }", plot)  # fmt: skip
        page.mouse.move(box[0] + box[2] * (column + 0.4) / classes, box[1] + box[3] * (row + 0.4) / classes)
        page.mouse.move(box[0] + box[2] * (column + 0.5) / classes, box[1] + box[3] * (row + 0.5) / classes)
        page.page.wait_for_timeout(100)
        return bool(page.evaluate("p => p.querySelector('.hoverlayer .hovertext') !== null", plot))

    wait_until(is_told, 60, "what a cell tells")
    return str(page.evaluate("p => p.querySelector('.hoverlayer .hovertext').textContent", plot))


def names_beside(page: Page, plot: Any, axis: str) -> list[tuple[str, list[float]]]:
    """Return the names on an axis, and where they are: left, top, right, and bottom."""
    found: list[tuple[str, list[float]]] = page.evaluate(
        "([p, axis]) => [...p.querySelectorAll(`.${axis}tick text`)].map(t => { const r = t.getBoundingClientRect();"
        " return [t.textContent, [r.left, r.top, r.right, r.bottom]]; })",
        [plot, axis],
    )
    return found


def overlap(one: list[float], other: list[float]) -> bool:
    """Tell whether two rectangles share more than a pixel."""
    return min(one[2], other[2]) - max(one[0], other[0]) > 1 and min(one[3], other[3]) - max(one[1], other[1]) > 1


@pytest.mark.slow
def test_pictures_are_legible_and_tell_more_on_hover(page: Page, visdom_server: VisdomServer, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    counts = rng.integers(0, 9, (10, 10)) + 950 * np.eye(10, dtype=int)
    large = rng.integers(0, 3, (100, 100)) + 90 * np.eye(100, dtype=int)
    with Logger(tmp_path / "pictures", [visdom_server.spec("pictures")], strict=True) as log:
        log.confusion_matrix("confusion", counts, 5, FASHION)
        log.confusion_matrix("hostile", counts, 5, HOSTILE)
        log.confusion_matrix("large", large, 5, CIFAR100)
        log.predictions("predictions", rng.random((16, 1, 28, 28)), np.arange(16) % 10, np.zeros(16, int), 5, FASHION)
        log.images("samples", rng.random((16, 1, 28, 28)), 5)
        log.text("report", "# A heading\n\nA paragraph.", 5, markdown=True)
    with SummaryWriter(tmp_path / "writer", sinks=[visdom_server.spec("pictures")]) as writer:
        writer.add_histogram("uniform", rng.random(50_000), 5)
    page.goto(f"{visdom_server.url}/env/pictures")

    plot = page.plot("confusion")
    total = counts[9].sum()
    told = hover(page, plot, 9, 7, 10)
    assert told == f"true: Ankle bootpredicted: Sneaker{counts[9, 7]} of {total} ({100 * counts[9, 7] / total:.3g}%)"
    for title, shown in (("confusion", FASHION), ("large", None), ("hostile", None)):
        for axis in ("x", "y"):
            names = names_beside(page, page.plot(title), axis)
            assert len(names) >= 10
            assert shown is None or sorted(name for name, _ in names) == sorted(shown)
            overlapping = [(a[0], b[0]) for a, b in combinations(names, 2) if overlap(a[1], b[1])]
            assert overlapping == [], f"{title}, {axis}"
    assert "window.hit='class'" in hover(page, page.plot("hostile"), 0, 0, 10)
    assert page.evaluate("() => window.hit") is None
    assert HOSTILE[0][:6] in "".join(name for name, _ in names_beside(page, page.plot("hostile"), "y"))
    assert "quot;" not in "".join(name for name, _ in names_beside(page, page.plot("hostile"), "y"))

    heights = [y for _, y in page.points("uniform") if y is not None]
    assert len(heights) == 50
    assert sum(heights) == pytest.approx(50_000)
    assert max(heights) < 1.12 * 1000
    assert min(heights) > 0.88 * 1000

    for title, selector in (("samples", "img"), ("predictions", ".js-plotly-plot image")):
        image = f"({FIND_WINDOW})('{title}')?.querySelector('{selector}')"
        page.wait(f"() => {image}?.getBoundingClientRect().width >= 400")
        assert page.evaluate(f"() => getComputedStyle({image}).imageRendering") == "auto"
        window = f"({FIND_WINDOW})('{title}')"
        inside = f"{image}.getBoundingClientRect().bottom - {window}.getBoundingClientRect().bottom"
        assert page.evaluate(f"() => {inside}") <= 1, "the image is whole"
    heading = f"getComputedStyle(({FIND_WINDOW})('report').querySelector('h1'))"
    assert page.evaluate(f"() => [{heading}.color, {heading}.textAlign]") == ["rgb(51, 51, 51)", "left"]
    assert page.problems == []
