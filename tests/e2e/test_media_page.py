"""Media on Visdom's page, as Chromium draws them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from monitor import Logger
from tests.support.browser import FIND_WINDOW
from tests.support.media import log_everything

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.browser import Page
    from tests.support.servers import VisdomServer

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.mark.slow
def test_visdoms_page_draws_every_kind(page: Page, visdom_server: VisdomServer, tmp_path: Path) -> None:
    with Logger(tmp_path / "media", [visdom_server.spec("media")], strict=True) as log:
        log_everything(log)
    page.goto(f"{visdom_server.url}/env/media")
    for name in ("drawn", "film", "boxes", "rgba"):
        page.wait(f"() => {{ const w = ({FIND_WINDOW})('media/{name}'); const i = w && w.querySelector('img');"
                  " return i && i.complete && i.naturalWidth > 50; }")  # fmt: skip
    page.wait(f"() => ({FIND_WINDOW})('media/tone')?.querySelector('audio')?.duration === 1")
    for name, kind, count in (
        ("surface", "surface", 1),
        ("bars", "bar", 1),
        ("space", "scatter3d", 3),
        ("plane", "scatter", 3),
        ("sphere", "mesh3d", 1),
        ("cloud", "scatter3d", 1),
        ("precision", "scatter", 1),
        ("roc", "scatter", 1),
    ):
        drawn = page.evaluate("p => p._fullData.map(trace => trace.type)", page.plot(f"media/{name}"))
        assert drawn == [kind] * count, name
    cells = f"() => [...({FIND_WINDOW})('media/table').querySelectorAll('th, td')].map(cell => cell.textContent)"
    assert page.evaluate(cells) == ["name", "precision", "<b>cat</b>", "0.91", "dog | wolf", "0.5"]
    assert page.problems == []


def test_markdown_is_rendered_and_does_nothing(page: Page, visdom_server: VisdomServer, tmp_path: Path) -> None:
    attacks = [
        "<script>window.hit='script'</script> <img src=x onerror=\"window.hit='img'\"> <svg/onload=window.hit='svg'>",
        "[link](javascript:window.hit='link') [entity](&#106;avascript:window.hit='entity') [l2](JAVASCRIPT:hit())",
        "![picture](http://127.0.0.1:9/picture.png) ![data](data:image/svg+xml,<svg/onload=hit()>) [f](file:///etc)",
        '[title](https://a.example \'x" onmouseover="window.hit=1\') <https://b.example/"onclick=hit()> [r]',
        "[r]: javascript:window.hit='ref'\n\n```\"><img src=x onerror=hit()>\n<b>code</b>\n```",
    ]
    table = "# Results\n\nThe **best** of `all`:\n\n| model | acc |\n|---|--:|\n| a <b>1</b> | 0.9 |\n"
    with Logger(tmp_path / "markdown", [visdom_server.spec("markdown")], strict=True) as log:
        log.text("report", "plain **text** <b>", markdown=False)
        log.text("report", table, markdown=True)
        log.text("attacks", "\n\n".join(attacks), markdown=True)
    page.goto(f"{visdom_server.url}/env/markdown")
    report = f"() => ({FIND_WINDOW})('report')"
    page.wait(f"{report} && ({FIND_WINDOW})('attacks')?.querySelector('code')")
    assert page.evaluate(f"() => ({report})().querySelector('h1').textContent") == "Results"
    assert page.evaluate(f"() => ({report})().querySelector('strong').textContent") == "best"
    cells = page.evaluate(f"() => [...({report})().querySelectorAll('th, td')].map(cell => cell.textContent)")
    assert cells == ["model", "acc", "a <b>1</b>", "0.9"]
    assert "plain **text** <b>" in page.evaluate(f"() => ({report})().textContent")
    content = f"({FIND_WINDOW})('attacks')"
    page.evaluate(f"() => {content}.querySelectorAll('*').forEach(e => {{ e.onmouseover?.(); e.onclick?.(); }})")
    assert page.evaluate("() => window.hit") is None
    assert (
        page.evaluate(f"() => {content}.querySelectorAll('img, script, svg, iframe, [onerror], [onclick]').length") == 0
    )
    links = page.evaluate(f"() => [...{content}.querySelectorAll('a[target]')].map(a => [a.textContent, a.href])")
    assert links[:2] == [["picture", "http://127.0.0.1:9/picture.png"], ["title", "https://a.example/"]]
    assert all(address.startswith(("http://", "https://")) for _, address in links)
    assert page.hosts == {visdom_server.url.removeprefix("http://")}, "no picture of another host is loaded"
    assert page.problems == []


@pytest.mark.slow
def test_hostile_texts_of_media_are_text(page: Page, visdom_server: VisdomServer, tmp_path: Path) -> None:
    bad = "<img src=x onerror=\"window.hit='img'\"></script><script>window.hit='script'</script>"
    link = {
        "data": [{"y": [1], "name": bad}],
        "layout": {"title": {"text": f"<a href=\"javascript:hit='a'\">{bad}</a>"}},
    }
    with Logger(tmp_path / "bad", [visdom_server.spec("bad")], strict=True) as log:
        log.figure(bad, link, 0)
        log.audio(f"a{bad}", np.zeros(9), 0)
        log.video(f"v{bad}", np.zeros((2, 1, 9, 9)), 0)
        log.detections(f"d{bad}", np.zeros((9, 9)), 0, boxes=[[1, 1, 5, 5]], labels=[bad])
        log.pr_curve(f"p{bad}", [0, 1], [0.2, 0.7], 0)
        log.embedding(f"e{bad}", [[1, 2], [3, 4]], 0, labels=[bad, f"{bad}{bad}"])
        log.mesh(f"m{bad}", np.eye(3), 0)
        log.table(f"t{bad}", [[bad]], 0, columns=[bad])
    page.goto(f"{visdom_server.url}/env/bad")
    page.wait("() => document.querySelectorAll('.window').length >= 8")
    page.wait("() => { const all = [...document.querySelectorAll('.js-plotly-plot')];"
              " return all.length === 4 && all.every(p => p._fullLayout); }")  # fmt: skip
    assert page.evaluate("() => [...document.querySelectorAll('.window td')].map(cell => cell.textContent)") == [bad]
    assert page.evaluate("() => window.hit") is None
    assert page.evaluate("() => document.querySelectorAll('.window img[src=x], .window script').length") == 0
    assert (
        page.evaluate("() => [...document.querySelectorAll('a')].filter(a => /^javascript/.test(a.href)).length") == 0
    )
    assert page.problems == []
