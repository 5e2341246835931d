"""`make pictures`: the screenshots of the docs, from real runs, servers, and pages.

Each is taken at 1280 pixels, as `NAME.png`, and those of whole pages at 1920 too, as `NAME-1920.png`. `make pictures
ONLY='visdom timeline'` takes some of them.
"""

from __future__ import annotations

import io
import os
import re
import shutil
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import requests
from PIL import Image

from monitor.testing import wait_until
from tests.support.browser import FIND_WINDOW, chromium
from tests.support.servers import Served

if TYPE_CHECKING:
    from collections.abc import Callable

PICTURES = Path(__file__).parents[1] / "docs" / "pictures"
MAX_BYTES = 200_000
COLORS = 128  # of a picture's palette
SIZES = ((1280, 860), (1920, 1080))
SETTLE_MS = 2500  # for what moves on a page after it has loaded
MONITOR = (sys.executable, "-m", "monitor")
SCRIPT = """
import math, random
from torch.utils.tensorboard import SummaryWriter
writer = SummaryWriter("runs/baseline")
for step in range(400):
    writer.add_scalar("loss/train", 2.3 * math.exp(-step / 120) + random.gauss(0.1, 0.05), step)
    writer.add_scalar("accuracy/train", 0.95 - 0.8 * math.exp(-step / 100) + random.gauss(0, 0.01), step)
    writer.add_scalar("lr", 0.1 * 0.5 ** (step // 100), step)
writer.close()
"""


class Studio:
    """A folder with runs, the two servers over it, and a browser."""

    def __init__(self, stack: ExitStack, mnist: str | None) -> None:
        self.folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        self.data = ["--data", "digits"]
        if mnist:
            shutil.copytree(mnist, self.folder / "data" / "MNIST" / "raw", copy_function=shutil.copyfile)
            self.data = ["--data", "mnist", "--data-dir", str(self.folder / "data")]
        self.runs = self.folder / "runs"
        self.runs.mkdir()
        self.visdom = Served("visdom", "--port", "0")
        stack.callback(self.visdom.stop)
        self.board = Served("tensorboard", "--port", "0", "--logdir", str(self.runs))
        stack.callback(self.board.stop)
        self.browser: Any = stack.enter_context(chromium())

    def run(self, *command: str) -> None:
        """Run `monitor` in the folder, to its end."""
        subprocess.run([*MONITOR, *command], cwd=self.folder, check=True, stdout=subprocess.DEVNULL)

    def train(self, name: str, *options: str, visdom: bool = False) -> None:
        """Train the MLP, once for each name."""
        if (self.runs / name).exists():
            return
        sinks = ["--sink", "tensorboard", *(["--sink", f"visdom://127.0.0.1:{self.visdom.port}"] if visdom else [])]
        self.run("train", "mlp", *self.data, "--name", name, *sinks, *options)

    def shoot(
        self,
        name: str,
        url: str,
        ready: str = "true",
        act: Callable[[Any], Any] | None = None,
        *,
        window: str | None = None,
        sizes: tuple[tuple[int, int], ...] = SIZES,
    ) -> None:
        """Open a page; when the expression `ready` is true, act, and take it, or its window with the title `window`."""
        for width, height in sizes if window is None else sizes[:1]:
            page = self.browser.new_page(viewport={"width": width, "height": height})
            page.goto(url)
            wait_until(lambda page=page: page.evaluate(ready), 60, ready)  # type: ignore[misc]
            page.wait_for_timeout(SETTLE_MS)
            if act is not None:
                act(page)
                page.wait_for_timeout(SETTLE_MS)
            target = page if window is None else page.evaluate_handle(FIND_WINDOW, window).as_element()
            save(name if width == SIZES[0][0] else f"{name}-{width}", target.screenshot())
            page.close()


def save(name: str, content: bytes) -> None:
    """Write a picture with a palette, which is a third of the size."""
    buffer = io.BytesIO()
    Image.open(io.BytesIO(content)).convert("RGB").quantize(COLORS, dither=Image.Dither.NONE).save(
        buffer, "PNG", optimize=True
    )
    if buffer.tell() > MAX_BYTES:
        raise SystemExit(f"{name}: {buffer.tell():,} bytes; at most {MAX_BYTES:,} are accepted")
    (PICTURES / f"{name}.png").write_bytes(buffer.getvalue())
    print(f"{name}.png: {buffer.tell() / 1000:.0f} kB", flush=True)


PLOTS = "document.querySelectorAll('.js-plotly-plot .main-svg').length >= {}"


def visdom(studio: Studio) -> None:
    """Visdom's page after a training."""
    studio.train("mlp", "--epochs", "6", "--optimizer", "adam", "--lr", "0.001", visdom=True)
    studio.shoot("visdom", f"{studio.visdom.url}/env/mlp", PLOTS.format(4))


def timeline(studio: Studio) -> None:
    """The samples that a shaky training forgets, with the picture of one on hover."""
    studio.train("shaky", "--epochs", "10", "--optimizer", "adam", "--lr", "0.02", visdom=True)

    def hover(page: Any) -> None:
        plot = page.evaluate_handle(FIND_WINDOW, "timeline of predictions").as_element().query_selector(".nsewdrag")
        plot.scroll_into_view_if_needed()
        box = plot.bounding_box()
        page.mouse.move(box["x"] + box["width"] * 0.6, box["y"] + 4)
        page.mouse.move(box["x"] + box["width"] * 0.62, box["y"] + 6)

    studio.shoot("timeline", f"{studio.visdom.url}/env/shaky", PLOTS.format(4), hover, window="timeline of predictions")


def steering(studio: Studio) -> None:
    """A training whose learning rate was changed from its page."""
    command = [*MONITOR, "train", "mlp", *studio.data, "--name", "steered", "--epochs", "100000", "--steer",
               "--sink", "tensorboard", "--sink", f"visdom://127.0.0.1:{studio.visdom.port}"]  # fmt: skip
    with subprocess.Popen(command, cwd=studio.folder, stdout=subprocess.DEVNULL) as training:

        def steer(page: Any) -> None:
            page.wait_for_function(PLOTS.format(3), timeout=60_000)
            for value in ("0.1", "-1"):
                page.locator(".table-properties tr", has_text="lr = ").locator("input").click()
                page.keyboard.type(value)
                page.keyboard.press("Enter")
                page.wait_for_timeout(2 * SETTLE_MS)

        ready = "document.querySelector('.table-properties tr')"
        address = f"{studio.visdom.url}/env/steered"
        try:
            wait_until(lambda: "steered" in requests.post(f"{studio.visdom.url}/env_state", "{}", timeout=60).text)
            studio.shoot("steering", address, ready, steer, sizes=((1280, 640),))
        finally:
            training.terminate()


def tensorboard(studio: Studio) -> None:
    """TensorBoard's scalars of two runs."""
    studio.train("mlp", "--epochs", "6", "--optimizer", "adam", "--lr", "0.001", visdom=True)
    studio.train("mlp-sgd", "--epochs", "6", "--lr", "0.1")
    ready = "document.querySelectorAll('card-view').length >= 2"

    def show_scalars(page: Any) -> None:
        page.get_by_text("Scalars", exact=True).first.click()
        page.get_by_text("Settings", exact=True).first.click()  # closes them

    address = f"{studio.board.url}/?tagFilter=accuracy%24%7Closs%24&runFilter=%5Emlp#timeseries"
    studio.shoot("tensorboard", address, ready, show_scalars)


def compare(studio: Studio) -> None:
    """The page and Visdom's view of a comparison; seeds as bands."""
    for lr in ("0.03", "0.1"):
        for seed in ("0", "1", "2"):
            studio.train(f"lr{lr}-seed{seed}", "--epochs", "5", "--lr", lr, "--seed", seed)
    studio.run("note", "lr0.1-seed0", "The largest learning rate that did not diverge.")
    studio.run("compare", "lr0.03-seed0", "lr0.1-seed0", "--html", "page.html")
    studio.run("compare", "lr*", "--group-by", "config", "--ignore", "seed", "--html", "bands.html")
    for name, file in (("compare-page", "page"), ("compare-bands", "bands")):
        studio.shoot(name, (studio.folder / f"{file}.html").as_uri(), PLOTS.format(8))
    studio.run("compare", "lr0.03-seed0", "lr0.1-seed0", "--sink", f"visdom://127.0.0.1:{studio.visdom.port}/compared")
    studio.shoot("compare-visdom", f"{studio.visdom.url}/env/compared", PLOTS.format(4))
    ready = "document.querySelector('tf-hparams-main, hparams-main, tb-hparams, router-outlet')"
    studio.shoot("hparams", f"{studio.board.url}/#hparams", ready, sizes=SIZES[:1])


def existing_script(studio: Studio) -> None:
    """An unchanged script under `monitor run`."""
    (studio.folder / "train.py").write_text(SCRIPT)
    studio.run("run", "--sink", f"visdom://127.0.0.1:{studio.visdom.port}/baseline", "train.py")
    studio.shoot("existing-script", f"{studio.visdom.url}/env/baseline", PLOTS.format(4))


def lessons(studio: Studio) -> None:
    """The fitted probability of the first lesson, and the network that cannot learn."""
    studio.run(
        "train", "logistic", "--data", "hours", "--name", "hours", "--sink", "tensorboard",
        "--sink", f"visdom://127.0.0.1:{studio.visdom.port}",
    )  # fmt: skip
    studio.shoot("lesson-hours", f"{studio.visdom.url}/env/hours", PLOTS.format(4), sizes=SIZES[:1])


def lesson_init(studio: Studio) -> None:
    """The runs of a lesson on one page of Visdom, and two of their confusion matrices in TensorBoard."""
    visdom = f"visdom://127.0.0.1:{studio.visdom.port}"
    studio.run("lessons", "init-matters", *studio.data, "--sink", "tensorboard", "--sink", visdom)
    address = f"{studio.visdom.url}/env/init-matters_comparison"
    studio.shoot("lesson-init-visdom", address, PLOTS.format(3), sizes=((1280, 400),))
    ready = "document.querySelectorAll('card-view image-card').length == 2"
    address = f"{studio.board.url}/?tagFilter=confusion&runFilter=(normal%7Ckaiming)-0#timeseries"
    studio.shoot("lesson-init-tensorboard", address, ready, sizes=((1280, 720),))


def sweep(studio: Studio) -> None:
    """The page of a sweep."""
    visdom = f"visdom://127.0.0.1:{studio.visdom.port}"
    studio.run(
        "sweep", "mlp", "--set", "lr=log:1e-4..1", "--set", "optimizer=sgd,adam", "--set", "hidden=50|100,100",
        "--trials", "24", "--jobs", "2", "--metric", "test/accuracy", "--name", "digits",
        "--prune", "reduction_factor=3", "--sink", "tensorboard", "--sink", visdom,
        "--", "--data", "digits", "--epochs", "15",
    )  # fmt: skip
    studio.shoot("sweep", f"{studio.visdom.url}/env/digits", PLOTS.format(3))


GROUPS: tuple[Callable[[Studio], None], ...] = (
    visdom, timeline, steering, tensorboard, compare, existing_script, lessons, lesson_init, sweep
)  # fmt: skip


def main() -> None:
    """Take all pictures, or those of the groups that are named."""
    wanted = sys.argv[1:] or [group.__name__ for group in GROUPS]
    known = {group.__name__: group for group in GROUPS}
    for name in wanted:
        if name not in known:
            raise SystemExit(f"{name!r} is none of {', '.join(known)}")
    os.environ["MONITOR_RECORD"] = "none"
    for variable in list(os.environ):
        if re.fullmatch(r"MONITOR_(VISDOM|TENSORBOARD)_PORT", variable):
            del os.environ[variable]
    with ExitStack() as stack:
        studio = Studio(stack, os.environ.get("MNIST"))
        for name in wanted:
            known[name](studio)


if __name__ == "__main__":
    main()
