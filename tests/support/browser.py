"""A real Chromium, Debian's, driven by Playwright."""

from __future__ import annotations

import os
import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from monitor.testing import wait_until
from tests.support.requirements import skip_or_fail

if TYPE_CHECKING:
    from collections.abc import Iterator

EXECUTABLE = os.environ.get("MONITOR_CHROMIUM") or shutil.which("chromium") or "/usr/bin/chromium"
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]


class Page:
    """A page, what went wrong on it, and the hosts that it asked."""

    def __init__(self, page: Any) -> None:
        self.page = page
        self.problems: list[str] = []
        self.hosts: set[str] = set()
        page.on("console", lambda m: self.problems.append(f"console: {m.text}") if m.type == "error" else None)
        page.on("pageerror", lambda error: self.problems.append(f"error: {error}"))
        page.on("requestfailed", lambda request: self.problems.append(f"failed: {request.url} {request.failure}"))
        page.on("response", lambda r: self.problems.append(f"{r.status}: {r.url}") if r.status >= 400 else None)
        page.on("request", lambda r: self.hosts.add(urlsplit(r.url).netloc) if r.url.startswith("http") else None)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.page, name)

    def wait(self, script: str, argument: Any = None, timeout: float = 60.0) -> None:
        """Wait until a JavaScript expression, or function of `argument`, is true."""
        self.page.wait_for_function(script, arg=argument, timeout=timeout * 1000)

    def poll(self, script: str, argument: Any = None, timeout: float = 20.0) -> None:
        """Do what `wait` does, on a page whose policy forbids it to evaluate text, as Playwright's waiting does."""
        wait_until(lambda: self.page.evaluate(script, argument), timeout, script)

    def plot(self, title: str) -> Any:
        """Return a handle to the plot in the window with this title."""
        self.page.wait_for_function(FIND_PLOT, arg=title, timeout=60_000)
        return self.page.evaluate_handle(FIND_PLOT, title)

    def points(self, title: str, trace: int = 0) -> list[tuple[float, float | None]]:
        """Return what the page has drawn."""
        script = "([plot, n]) => [Array.from(plot.data[n].x), Array.from(plot.data[n].y)]"
        x, y = self.page.evaluate(script, [self.plot(title), trace])
        return list(zip(x, y))


FIND_PLOT = """title => {
    for (const bar of document.querySelectorAll('.window .bar')) {
        const name = bar.querySelector('div.pull-right');
        const plot = bar.parentElement.querySelector('.js-plotly-plot');
        if (name && name.textContent === title && plot && plot.data && plot._fullLayout) return plot;
    }
    return false;
}"""
FIND_WINDOW = """title => {
    for (const bar of document.querySelectorAll('.window .bar')) {
        const name = bar.querySelector('div.pull-right');
        if (name && name.textContent === title) return bar.parentElement;
    }
    return false;
}"""


@contextmanager
def chromium() -> Iterator[Any]:
    """Start Chromium; skip the test where there is none."""
    if not os.access(EXECUTABLE, os.X_OK):
        skip_or_fail("there is no Chromium; on Debian: apt install chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=EXECUTABLE, args=ARGUMENTS)
        yield browser
        browser.close()
