"""Fixtures: real servers, real data, and a watch over what a test leaves behind."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

# One thread each, here and in the processes that tests start: small nets gain nothing from more, and on a busy machine
# the threads' barriers cost ten times what the work does. Set before torch is loaded.
os.environ.setdefault("OMP_NUM_THREADS", "1")

from typing import TYPE_CHECKING

from monitor.dashboards.assets import fetch
from monitor.testing import wait_until
from tests.support.browser import lacking
from tests.support.servers import Mirror, VisdomServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

DATA = Path(os.environ.get("MONITOR_TEST_DATA", Path(__file__).parents[2] / "shared" / "data"))

CANNOT_REACH = re.compile(r"not installed|ECONN|ENOTFOUND|EAI_AGAIN|ETIMEDOUT|ENETUNREACH|EHOSTUNREACH|not done after")


@pytest.fixture(autouse=True)
def leaves_nothing_behind() -> Iterator[None]:
    """Fail a test that leaves a worker thread or a child process behind."""
    before = threads() | children()
    yield
    wait_until(lambda: threads() | children() <= before, 5, f"the end of {threads() | children() - before}")


def threads() -> set[str]:
    return {f"{t.name} {t.ident}" for t in threading.enumerate() if t.name.startswith("monitor-")}


def children() -> set[str]:
    """Return this process's children, by name and pid."""
    found = set()
    for task in Path("/proc/self/task").glob("*/children"):
        for pid in task.read_text().split():
            with contextlib.suppress(OSError):
                found.add(Path(f"/proc/{pid}/comm").read_text().strip() + f" {pid}")
    return found


@pytest.fixture
def visdom_server(tmp_path: Path, assets: Path) -> Iterator[VisdomServer]:
    server = VisdomServer(tmp_path / "visdom-envs")
    yield server
    server.stop()


@pytest.fixture(scope="session")
def mnist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a data directory with a private copy of the real MNIST files."""
    source = DATA / "MNIST" / "raw"
    if not source.is_dir():
        lacking(f"there is no MNIST in {DATA}; set MONITOR_TEST_DATA to a folder that has MNIST/raw")
    folder = tmp_path_factory.mktemp("data")
    shutil.copytree(source, folder / "MNIST" / "raw")
    for path in folder.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)
    return folder


@pytest.fixture(scope="session")
def small_mnist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a data directory with MNIST's layout and few random images, unpacked, as torchvision leaves them."""
    import numpy as np

    rng = np.random.default_rng(0)
    raw = tmp_path_factory.mktemp("small") / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for part, count in (("train", 400), ("t10k", 100)):
        labels = rng.integers(0, 10, count, np.uint8)
        images = rng.integers(0, 60, (count, 28, 28), np.uint8)
        for image, label in zip(images, labels):  # a bright row tells the class, so that there is something to learn
            image[2 * label + 4] = 255
        for kind, array in (("images-idx3", images), ("labels-idx1", labels)):
            head = bytes([0, 0, 8, array.ndim]) + b"".join(size.to_bytes(4, "big") for size in array.shape)
            (raw / f"{part}-{kind}-ubyte").write_bytes(head + array.tobytes())
    return raw.parents[1]


@pytest.fixture
def start() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start a Python process; what still runs at the end of the test is ended."""
    started: list[subprocess.Popen[str]] = []

    def run(*arguments: str, **options: object) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **options,  # type: ignore[call-overload]
        )
        started.append(process)
        return process

    yield run
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the files of Visdom's page, that npm filled, once for all tests."""
    folder = tmp_path_factory.mktemp("assets")
    lines: list[str] = []
    state = fetch(lines.append, directory=folder, timeout=90)
    if lines and CANNOT_REACH.search(lines[0]):
        lacking(f"no packages are to be had: {lines[0]}")
    assert lines == []
    assert state.complete
    return folder


@pytest.fixture
def assets(files: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let this process and those that it starts find the files of Visdom's page."""
    monkeypatch.setenv("MONITOR_ASSETS_DIR", str(files))
    return files


@pytest.fixture
def mirror_of() -> Iterator[Callable[[Path], str]]:
    """Serve folders over HTTP; each call returns an address."""
    made: list[Mirror] = []

    def make(folder: Path) -> str:
        made.append(Mirror(folder))
        return made[-1].url

    yield make
    for server in made:
        server.stop()
