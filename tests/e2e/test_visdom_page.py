"""The live page in a real browser."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest
import requests

from monitor import Logger
from monitor.testing import wait_until
from tests.support.browser import FIND_WINDOW, Page

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support.processes import Start
    from tests.support.servers import Served, VisdomServer

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def opened(page: Page, server: VisdomServer, env: str) -> Page:
    page.goto(f"{server.url}/env/{env}")
    page.wait("() => [...document.querySelectorAll('button')].some(b => b.textContent === 'online')")
    return page


def test_the_page_is_whole_and_moves_while_training_runs(
    page: Page, visdom_server: VisdomServer, small_mnist: Path, tmp_path: Path, start: Start
) -> None:
    process = start(
        "-m", "runners.mlp", "--data", "mnist", "--data-dir", str(small_mnist), "--logdir", str(tmp_path), "--name",
        "watched", "--epochs", "100000", "--hidden", "16", "--batch-size", "20", "--sink", visdom_server.spec(),
    )  # fmt: skip
    wait_until(lambda: "predictions" in visdom_server.windows("watched"), 60, "the predictions")
    opened(page, visdom_server, "watched")
    before = page.points("loss")
    page.wait("([plot, x]) => plot.data[0].x[plot.data[0].x.length - 1] > x", [page.plot("loss"), before[-1][0]])
    assert len(page.points("loss", 1)) > 0
    legend = page.evaluate("p => [...p.querySelectorAll('.legendtext')].map(t => t.textContent)", page.plot("loss"))
    assert sorted(legend) == ["test", "train"]
    axes = page.evaluate("p => [p.querySelector('.xtitle').textContent, p.querySelector('.ytitle').textContent]",
                         page.plot("accuracy"))  # fmt: skip
    assert axes == ["step", "test"]
    page.wait(f"() => {{ const w = ({FIND_WINDOW})('samples'); const i = w && w.querySelector('img');"
              " return i && i.complete && i.naturalWidth > 100; }")  # fmt: skip
    page.wait("p => { const i = p.querySelector('image'); return i && i.getBBox().width > 100; }", page.plot(
        "predictions"))  # fmt: skip
    page.wait(f"() => ({FIND_WINDOW})('predictions (labels)').textContent.includes('predicted / true')")
    assert "watched" in page.inner_text(".navbar-form")
    process.kill()
    assert page.problems == []
    assert page.hosts == {f"127.0.0.1:{visdom_server.port}"}


@pytest.mark.slow
def test_zoom_hidden_traces_and_layout_survive_ten_refreshes(
    page: Page, visdom_server: VisdomServer, tmp_path: Path
) -> None:
    with Logger(tmp_path / "zoomed", [visdom_server.spec()]) as log:
        for step in range(200):
            log.scalars({"train/loss": math.sin(step / 9), "test/loss": 0.5}, step)
        log.flush()
        opened(page, visdom_server, "zoomed")
        plot = page.plot("loss")
        box = page.evaluate("p => { const r = p.querySelector('.nsewdrag').getBoundingClientRect();"
                            " return [r.x, r.y, r.width, r.height]; }", plot)  # fmt: skip
        x, y, width, height = box
        page.mouse.move(x + width * 0.3, y + height * 0.3)
        page.mouse.down()
        page.mouse.move(x + width * 0.6, y + height * 0.7, steps=5)
        page.mouse.up()
        page.wait("p => p._fullLayout.xaxis.autorange === false", plot)
        page.locator(".legendtoggle").nth(1).click()
        page.wait("p => p._fullData[1].visible === 'legendonly'", plot)
        corner = page.locator(".react-resizable-handle").first.bounding_box()
        page.mouse.move(corner["x"] + 8, corner["y"] + 8)
        page.mouse.down()
        page.mouse.move(corner["x"] + 158, corner["y"] + 98, steps=5)
        page.mouse.up()
        look = """p => [p._fullLayout.xaxis.range, p._fullLayout.yaxis.range, p._fullData[1].visible,
                        p.closest('.react-grid-item').style.width, p.closest('.react-grid-item').style.height]"""
        size = "p => parseInt(p.closest('.react-grid-item').style.width)"
        page.wait(f"p => ({size})(p) > 500", plot)
        before = page.evaluate(look, plot)
        assert before[0][1] - before[0][0] < 150
        for refresh in range(10):
            step = 200 + refresh
            log.scalars({"train/loss": 3.0, "test/loss": 0.5}, step)
            log.flush()
            page.wait("([p, x]) => p.data[0].x[p.data[0].x.length - 1] >= x", [page.plot("loss"), step])
            assert page.evaluate(look, page.plot("loss")) == before
    assert page.problems == []


@pytest.mark.slow
def test_a_restarted_server_is_whole_again_and_so_is_the_page(
    page: Page, own_visdom_server: VisdomServer, tmp_path: Path
) -> None:
    server = own_visdom_server
    with Logger(tmp_path / "again", ["tensorboard", server.spec()]) as log:
        for step in range(50):
            log.scalars({"train/loss": 1 / (step + 1), "test/loss": 2.0}, step)
        log.text("notes", "hello", 0)
        log.flush()
        titles = set(server.windows("again"))
        opened(page, server, "again")
        server.stop()
        log.scalar("train/loss", 9.0, 50)
        page.wait("() => [...document.querySelectorAll('button')].some(b => b.textContent === 'offline')")
        server.start()
        wait_until(lambda: set(server.windows("again")) == titles, 60, "all windows")
        log.scalar("train/loss", 8.0, 51)
        page.wait("p => p.data[0].x[p.data[0].x.length - 1] === 51", page.plot("loss"))
        points = page.points("loss")
        assert [x for x, _ in points] == list(range(52)), "every point, none twice"
        assert points[-2:] == [(50, 9.0), (51, 8.0)]
        # A restart between two flushes shows in nothing but the new connection.
        server.stop()
        server.start()
        wait_until(lambda: set(server.windows("again")) == titles, 60, "all windows, with nothing new logged")


HOSTILE = [
    "<img src=x onerror=\"window.hit='img'\">",
    "</script><script>window.hit='script'</script>",
    "[click](javascript:window.hit='md')<svg onload=window.hit='svg'>",
    "&lt;b&gt; <b>bold</b> $x^2$ %{x}",
    "turned \u202e back \u0007 bell \x1b[31m",
    "'); window.hit='quote'; ('",
]


@pytest.mark.slow
def test_hostile_strings_are_text(page: Page, visdom_server: VisdomServer, tmp_path: Path) -> None:
    import numpy as np

    config = {f"key {n} {bad}": bad for n, bad in enumerate(HOSTILE)}
    images = np.zeros((2, 1, 8, 8), np.uint8)
    name = HOSTILE[0].replace("/", "") + HOSTILE[5]
    with Logger(tmp_path / name, [visdom_server.spec()], config) as log:
        for number, bad in enumerate(HOSTILE):
            log.scalar(f"{bad}", 1.0, number)
            log.scalar(f"{bad}/{bad}", 1.0, number)
            log.text(bad, bad, 0)
            log.images(bad, images, 0)
            log.predictions(f"p{number}{bad}", images, [0, 0], [0, 1], 0, [bad, bad])
            log.histogram(f"h{bad}", [1.0, 2.0], 0)
            log.curve(f"c{bad}", [1, 2], [3, 4], 0, bad, bad)
        assert log.flush(60)
    (env,) = (env for env in visdom_server.envs() if env != "main")
    count = len(visdom_server.windows(env))
    page.goto(visdom_server.url)  # the list of envs is put into a script there
    page.wait_for_load_state("networkidle")
    opened(page, visdom_server, env)
    page.wait("n => document.querySelectorAll('.window').length >= n", count)
    page.wait("() => [...document.querySelectorAll('.js-plotly-plot')].every(p => p._fullLayout)")
    shown = page.evaluate("() => [...document.querySelectorAll('.window pre')].map(p => p.textContent)")
    for bad in HOSTILE[:4]:
        assert any(f"step 0\n{bad}" in text for text in shown), bad
    titles = page.evaluate("() => [...document.querySelectorAll('.xtitle, .ytitle')].map(t => t.textContent)")
    assert HOSTILE[0] in titles
    assert not any("quot;" in text or "#34;" in text for text in titles)
    assert any("turned \\u202e back \\u0007 bell \\u001b[31m" in text for text in shown)
    assert page.evaluate("() => window.hit") is None
    assert (
        page.evaluate(
            "() => document.querySelectorAll('.window img[src=x], .window svg[onload], .window pre *').length"
        )
        == 0
    )
    assert page.problems == []


def test_a_window_that_is_closed_at_once_does_not_come(page: Page, visdom_server: VisdomServer) -> None:
    def send(path: str, name: str) -> None:
        window = {"eid": "closed", "win": name, "data": [{"type": "text", "content": f"text {name}"}], "opts": {}}
        assert requests.post(f"{visdom_server.url}/{path}", json=window, timeout=60).ok

    send("events", "zero")
    opened(page, visdom_server, "closed").wait("() => document.body.textContent.includes('text zero')")
    for name in ("one", "two"):
        send("events", name)
        send("close", name)
    send("events", "three")
    page.wait("() => document.body.textContent.includes('text three')")
    assert page.evaluate("() => document.querySelectorAll('.window').length") == 2
    assert page.problems == []


def test_a_hundred_thousand_points_and_one_outlier(page: Page, visdom_server: VisdomServer, tmp_path: Path) -> None:
    with Logger(tmp_path / "long", [visdom_server.spec()]) as log:
        for step in range(100_000):
            log.scalar("train/loss", 100.0 if step == 67_891 else math.sin(step / 1000), step)
        assert log.flush(60)
    opened(page, visdom_server, "long")
    points = page.points("loss")
    assert (67_891, 100.0) in points
    assert (points[0][0], points[-1][0]) == (0, 99_999)
    look = "p => [p._fullLayout.yaxis.range[1], p.data.filter(t => t.meta.part === 'cut').map(t => t.customdata)]"
    top, cut = page.evaluate(look, page.plot("loss"))
    assert top < 3, "a spike does not flatten the curve"
    assert cut == [[100]], "and is marked"


def test_nan_and_infinity_leave_a_gap_and_a_note(page: Page, visdom_server: VisdomServer, tmp_path: Path) -> None:
    with Logger(tmp_path / "nan", [visdom_server.spec()]) as log:
        for step, value in enumerate([1.0, 2.0, math.nan, math.inf, 3.0, 4.0]):
            log.scalar("train/loss", value, step)
        log.curve("curve", [1, 2, 3], [1, math.nan, -math.inf], 0)
        log.histogram("h", [1, math.nan, 2], 0)
    opened(page, visdom_server, "nan")
    assert page.points("loss") == [(0, 1.0), (1, 2.0), (2, None), (3, None), (4, 3.0), (5, 4.0)]
    page.wait("p => p.textContent.includes('train is nan at step 2')", page.plot("loss"))
    page.wait("p => p.textContent.includes('1 not finite')", page.plot("h"))
    assert page.problems == []


@pytest.mark.slow
@pytest.mark.usefixtures("assets")
def test_a_login_keeps_everybody_else_out(
    page: Page, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, serve: Callable[..., Served]
) -> None:
    secret = tmp_path / "password"
    secret.write_text("open sesame\n")
    arguments = ("visdom", "--port", "0", "--env-dir", str(tmp_path / "envs"), "--username", "ali",
                 "--password-file", str(secret))  # fmt: skip
    server = serve(*arguments)
    try:
        monkeypatch.setenv("VISDOM_USERNAME", "ali")
        monkeypatch.setenv("VISDOM_PASSWORD_FILE", str(secret))
        with Logger(tmp_path / "runs" / "guarded", [f"visdom://127.0.0.1:{server.port}"]) as log:
            log.scalar("train/loss", 1.0, 0)
            assert log.flush()
        assert "sesame" not in (tmp_path / "runs" / "guarded" / "run.json").read_text()
        page.goto(f"{server.url}/env/guarded")
        page.fill("#inputUsername", "ali")
        page.fill("#inputPassword", "open sesame")
        page.click("#submitButton")
        page.locator("text=online").wait_for()
        page.wait_for_load_state("networkidle")
        page.goto(f"{server.url}/env/guarded")
        assert page.points("loss") == [(0, 1.0)]
        assert page.problems == []
    finally:
        server.stop()


@pytest.mark.slow
def test_tensorboard_shows_the_run(page: Page, tmp_path: Path, serve: Callable[..., Served]) -> None:
    with Logger(tmp_path / "runs" / "shown", ["tensorboard"], {"lr": 0.25}) as log:
        for step in range(5):
            log.scalar("train/loss", 1.0 / (step + 1), step)
    server = serve("tensorboard", "--port", "0", "--logdir", str(tmp_path / "runs"))
    try:
        page.goto(f"{server.url}/#timeseries")
        page.wait("() => document.body.innerText.includes('shown')")
        page.goto(f"{server.url}/#hparams")
        page.reload()
        page.locator("text=shown").first.wait_for(timeout=60_000)
        assert page.hosts == {server.url.removeprefix("http://")}
    finally:
        server.stop()
