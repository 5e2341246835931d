"""Names on the page of a comparison are text: in elements, in attributes, and beside its script."""

from __future__ import annotations

import json
import os
import re
from html.parser import HTMLParser
from typing import TYPE_CHECKING

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from monitor import Logger
from monitor.cli import main
from monitor.comparison.compare import ComparedRun
from monitor.comparison.comparison import Comparison
from monitor.render.text.escaping import CONTROL_CHARS

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.browser import Page

EVIL = (
    "<script>window.pwned=1</script>",
    "\"'><img src=x onerror=window.pwned=1>",
    "</pre></td></table></script><svg onload=window.pwned=1>",
    "' onmouseover='window.pwned=1",
    "javascript:window.pwned=1",
    "]]><!--",
    "&lt;b&gt;&amp;",
    "\u202eright to left\u2066\x1b[31m\x07",
    "$\\frac{1}{2}$ $x_{",
    "line\nbreak\ttab",
)
ELEMENTS = {
    "html", "head", "meta", "title", "style", "body", "aside", "main", "header", "section", "h1", "h2", "h3", "p",
    "label", "input", "output", "button", "span", "div", "table", "thead", "tbody", "tr", "th", "td", "figure", "img",
    "figcaption", "details", "summary", "pre", "script",
}  # fmt: skip


class Parsed(HTMLParser):
    """A page's elements, attributes, scripts, and text, as a browser's parser splits them."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.scripts: list[str] = []
        self.text = ""
        self.comments: list[str] = []
        self._raw = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        self._raw = tag if tag in ("script", "style") else ""

    def handle_endtag(self, tag: str) -> None:  # noqa: ARG002 - overrides the parser's
        self._raw = ""

    def handle_data(self, data: str) -> None:
        if self._raw == "script":
            self.scripts.append(data)
        elif not self._raw:
            self.text += data

    def handle_comment(self, data: str) -> None:
        self.comments.append(data)


def shown(text: str) -> str:
    return CONTROL_CHARS.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def check(page: str, names: list[str]) -> Parsed:
    """Check that a page has the elements that we write, and the names as text."""
    parsed = Parsed(page)
    assert {tag for tag, _ in parsed.elements} <= ELEMENTS
    data, packed, script = parsed.scripts  # the first two are not run
    assert json.loads(data).keys() == {"runs", "charts", "parallel", "pictures"}
    assert not set(data) & set("<>&")
    assert re.fullmatch("[A-Za-z0-9+/=]*", packed)
    assert script.startswith("'use strict';")
    for tag, attributes in parsed.elements:
        assert not any(name.startswith("on") for name in attributes), (tag, attributes)
        for name in ("src", "href", "xlink:href"):
            assert attributes.get(name, "#").startswith(("#", "data:image/webp;base64,")), attributes
    for name in names:
        assert shown(name) in parsed.text, name
    assert not set(page) & set("\x1b\x07\u202e\u2066")
    return parsed


@pytest.fixture(scope="module")
def page_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the page of two runs in which every name is hostile, made by the command."""
    folder = tmp_path_factory.mktemp("evil")
    for number, evil in enumerate(EVIL[:2]):
        with Logger(folder / f"run{number}", ["tensorboard"], {key: f"{evil} {key} {number}" for key in EVIL}) as log:
            for step, tag in enumerate(EVIL):
                log.scalar(f"test/loss{tag}", float(number), step)
                log.text(tag, f"{evil} {tag}", step)
                log.images(tag, np.zeros((1, 1, 2, 2), np.uint8), step)
            log.predictions("p", np.zeros((2, 1, 8, 8), np.uint8), [0, 1], [1, 1], 0, names=list(EVIL[:2]))
        (folder / f"run{number}").rename(folder / evil.replace("/", "|"))
        file = folder / evil.replace("/", "|") / "run.json"
        file.write_text(json.dumps({**json.loads(file.read_text()), "status": "failed", "error": evil}))
    arguments = [str(folder / evil.replace("/", "|")) for evil in EVIL[:2]]
    arguments += [part for tag in EVIL for part in ("--metric", f"test/loss{tag}")]
    done = CliRunner().invoke(main, ["compare", *arguments, "--html", str(folder / "page.html")])
    assert done.exit_code == 0, done.output
    return folder / "page.html"


def test_every_name_is_text(page_file: Path) -> None:
    names = [*EVIL, *(f"test/loss{tag}" for tag in EVIL), *(evil.replace("/", "|") for evil in EVIL[:2])]
    names += [f"{evil} {key} {number}" for number, evil in enumerate(EVIL[:2]) for key in EVIL]
    parsed = check(page_file.read_text(), names)
    pictures = [attributes for tag, attributes in parsed.elements if tag == "img"]
    assert {attributes["alt"].partition(" of ")[0] for attributes in pictures} >= {shown(tag) for tag in EVIL}
    assert all(set(attributes) == {"alt", "src"} for attributes in pictures)


def test_a_report_shows_notes_settings_and_changes_as_text(page_file: Path) -> None:
    runs = [page_file.parent / evil.replace("/", "|") for evil in EVIL[:2]]
    (runs[0] / "diff.patch").write_text("".join(f"+{evil}\n" for evil in EVIL))
    file = page_file.parent / "report.html"
    title = EVIL[2]
    arguments = [*map(str, runs), "--html", str(file), "--title", title, "--metric", f"test/loss{EVIL[0]}"]
    done = CliRunner().invoke(main, ["report", *arguments])
    assert done.exit_code == 0, done.output
    names = [title, *(f"{evil} {tag}" for evil in EVIL[:2] for tag in EVIL if "\n" not in tag)]
    parsed = check(file.read_text(), names)
    assert sum(attributes.get("class") == "added" for _, attributes in parsed.elements) >= len(EVIL)


@pytest.mark.slow
def test_a_browser_runs_nothing_of_it(page_file: Path, page: Page) -> None:
    page.goto(page_file.as_uri())
    page.poll("() => document.readyState === 'complete'")
    page.poll("() => document.querySelector('.js-plotly-plot')")
    for part in page.locator(".runs label, td, h3").all()[:20]:
        part.hover()
    assert page.evaluate("window.pwned === undefined")
    assert page.problems == []
    assert page.hosts == set()
    assert page.locator("figure").count() == 2 * (len(EVIL) + 1)
    page.locator("input[value=run1]").uncheck()  # the page's own script still runs
    assert page.locator("figcaption:visible").count() == len(EVIL) + 1


def test_the_policy_of_the_page_stops_other_scripts(page_file: Path, page: Page, tmp_path: Path) -> None:
    changed = tmp_path / "changed.html"
    inserted = "<body><script>window.pwned=1</script><img src=x onerror=window.pwned=1>"
    changed.write_text(page_file.read_text().replace("<body>", inserted, 1))
    page.goto(changed.as_uri())
    page.poll("() => document.readyState === 'complete'")
    assert page.evaluate("window.pwned === undefined")
    assert any("Content Security Policy" in problem for problem in page.problems)


names = st.one_of(st.text(st.characters(codec="utf-8"), max_size=12), st.sampled_from(EVIL)).map(
    lambda text: re.sub(r"\s+", " ", text)
)


EXAMPLES = int(os.environ.get("MONITOR_FUZZ", "300"))  # `make fuzz` sets it


@settings(max_examples=max(1, EXAMPLES // 25), deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(st.lists(names, min_size=5, max_size=5), names)
def test_any_name_is_text(tmp_path: Path, five: list[str], tag: str) -> None:
    first, second, key, value, status = five
    runs = [
        ComparedRun(first, tmp_path / "none", status, {key: value}, {tag: {"last": 1.0, "step": 1}}),
        ComparedRun(second, tmp_path / "none", status, {key: f"{value}2"}, {}),
    ]
    Comparison(runs, [tag]).save(tmp_path / "page.html")
    check((tmp_path / "page.html").read_text(), [first, second, key, value, status, tag])
