"""Fixtures: real servers, real data, and a watch over what a test leaves behind."""

from __future__ import annotations

import os
import re
import shutil
import signal

import pytest
from filelock import FileLock

# One thread each, here and in the processes that tests start: small nets gain nothing from more, and on a busy machine
# the threads' barriers cost ten times what the work does. Set before torch is loaded.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Tests make hundreds of loggers and count what is logged; what a run records by itself is tested in `recording`.
os.environ["MONITOR_RECORD"] = "none"

from typing import TYPE_CHECKING, Any

from monitor.dashboards.assets.cache import fetch
from monitor.runs import run
from monitor.runs.processes import environment
from monitor.testing import wait_until
from tests.support import fault_records
from tests.support.browser import Page, chromium
from tests.support.fork_server import ForkServer
from tests.support.leftovers import child_processes, worker_threads
from tests.support.processes import Start
from tests.support.requirements import DATA, skip_or_fail
from tests.support.servers import Mirror, Served, VisdomServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

CANNOT_REACH = re.compile(r"not installed|ECONN|ENOTFOUND|EAI_AGAIN|ETIMEDOUT|ENETUNREACH|EHOSTUNREACH|not done after")
FORK_SERVER = pytest.StashKey[ForkServer]()
COVERAGE = pytest.StashKey[str | None]()


def pytest_configure(config: pytest.Config) -> None:
    """Measure coverage in pytest's own and in forked processes alone: it slows the start of new interpreters down."""
    if not config.getoption("numprocesses", None):  # the process that starts pytest's workers hands it on to them
        config.stash[COVERAGE] = os.environ.pop("COVERAGE_PROCESS_CONFIG", None)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Run only the tests that record faults, where their records are wanted: in `make guarantees`."""
    if fault_records.VARIABLE in os.environ:
        others = [item for item in items if "record_fault" not in getattr(item, "fixturenames", ())]
        config.hook.pytest_deselected(items=others)
        items[:] = [item for item in items if item not in others]


@pytest.fixture(scope="session", autouse=True)
def git_is_asked_once() -> Iterator[None]:
    """Ask git about each directory once: most tests make runs, and would start a process for each."""
    answers: dict[str, Any] = {}

    def ask() -> Any:
        where = os.getcwd()  # noqa: PTH109 - a key
        if where not in answers:
            answers[where] = environment.git_revision()
        return answers[where]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run, "git_revision", ask)
        yield


@pytest.fixture
def record_fault() -> fault_records.RecordFault:
    """Record a fault that the test has done, for the table in `docs/guarantees.md`."""
    return fault_records.record


@pytest.fixture(autouse=True)
def leaves_nothing_behind(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test that leaves a worker thread or a child process behind."""

    def running() -> set[str]:
        server = request.config.stash.get(FORK_SERVER, None)
        forked = set() if server is None else child_processes(server.process.pid)
        return worker_threads() | child_processes() | forked

    before = running()
    yield
    wait_until(lambda: running() <= before, 60, f"the end of {running() - before}")


# Processes


@pytest.fixture(scope="session")
def fork_server(request: pytest.FixtureRequest) -> Iterator[ForkServer]:
    """Return the process that has imported torch and forks those that tests start; one for each pytest worker."""
    server = request.config.stash[FORK_SERVER] = ForkServer(request.config.stash[COVERAGE])
    yield server
    server.close()


@pytest.fixture
def start(fork_server: ForkServer) -> Iterator[Start]:
    """Start Python processes; those that still run at the end of the test are killed."""
    starter = Start(fork_server)
    yield starter
    starter.close()


# Servers and pages


@pytest.fixture(scope="session")
def running_visdom(
    fork_server: ForkServer, tmp_path_factory: pytest.TempPathFactory, files: Path
) -> Iterator[VisdomServer]:
    """Start one Visdom server for all tests of this pytest worker that do not stop it."""
    server = VisdomServer(tmp_path_factory.mktemp("visdom"), fork_server.start, {"MONITOR_ASSETS_DIR": str(files)})
    yield server
    server.stop(signal.SIGTERM)


@pytest.fixture
def visdom_server(running_visdom: VisdomServer, files: Path, monkeypatch: pytest.MonkeyPatch) -> VisdomServer:
    """Return a Visdom server without windows, which the test leaves running."""
    monkeypatch.setenv("MONITOR_ASSETS_DIR", str(files))
    running_visdom.clear()
    return running_visdom


@pytest.fixture
def own_visdom_server(fork_server: ForkServer, tmp_path: Path, assets: Path) -> Iterator[VisdomServer]:
    """Return a Visdom server that the test may stop and start."""
    server = VisdomServer(tmp_path / "visdom-envs", fork_server.start, {"MONITOR_ASSETS_DIR": str(assets)})
    yield server
    server.stop()


@pytest.fixture
def serve(fork_server: ForkServer) -> Iterator[Callable[..., Served]]:
    """Run `monitor serve …` in forked processes; each call returns one that has printed its address."""
    made: list[Served] = []

    def make(*arguments: str, **environment: str) -> Served:
        made.append(Served(*arguments, start=fork_server.start, environment=environment))
        return made[-1]

    yield make
    for server in made:
        server.stop()


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


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Return Chromium, one for each pytest worker."""
    with chromium() as found:
        yield found


@pytest.fixture
def viewport() -> dict[str, int]:
    """Return the size of a page's window, in pixels."""
    return {"width": 1280, "height": 900}


@pytest.fixture
def page(browser: Any, viewport: dict[str, int]) -> Iterator[Page]:
    """Return a page that shares no state with other tests' pages."""
    context = browser.new_context(viewport=viewport)
    context.set_default_timeout(60_000)
    yield Page(context.new_page())
    context.close()


# Data and files, made once however many pytest workers there are


def make_once(factory: pytest.TempPathFactory, name: str, fill: Callable[[Path], None]) -> Path:
    """Return a folder that `fill` filled, in whichever pytest worker came first."""
    root = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        root = root.parent  # the workers' folders are side by side
    folder = root / f"shared-{name}"
    with FileLock(f"{folder}.lock"):
        if not folder.exists():
            scratch = factory.mktemp(name)
            fill(scratch)
            scratch.rename(folder)
    return folder


@pytest.fixture(scope="session")
def mnist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a data directory with a private copy of the real MNIST files."""
    source = DATA / "MNIST" / "raw"
    if not source.is_dir():
        skip_or_fail(f"there is no MNIST in {DATA}; set MONITOR_TEST_DATA to a folder that has MNIST/raw")

    def copy(folder: Path) -> None:
        shutil.copytree(source, folder / "MNIST" / "raw")
        for path in folder.rglob("*"):
            path.chmod(0o755 if path.is_dir() else 0o644)

    return make_once(tmp_path_factory, "mnist", copy)


@pytest.fixture(scope="session")
def small_mnist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a data directory with MNIST's layout and few random images, unpacked, as torchvision leaves them."""
    return make_once(tmp_path_factory, "small", write_small_mnist)


def write_small_mnist(folder: Path) -> None:
    """Write random images in which a bright row tells the class, so that there is something to learn."""
    import numpy as np

    rng = np.random.default_rng(0)
    raw = folder / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for part, count in (("train", 400), ("t10k", 100)):
        labels = rng.integers(0, 10, count, np.uint8)
        images = rng.integers(0, 60, (count, 28, 28), np.uint8)
        for image, label in zip(images, labels):
            image[2 * label + 4] = 255
        for kind, array in (("images-idx3", images), ("labels-idx1", labels)):
            head = bytes([0, 0, 8, array.ndim]) + b"".join(size.to_bytes(4, "big") for size in array.shape)
            (raw / f"{part}-{kind}-ubyte").write_bytes(head + array.tobytes())


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the files of Visdom's page, which npm filled."""

    def fill(folder: Path) -> None:
        lines: list[str] = []
        state = fetch(lines.append, directory=folder, timeout=90)
        if lines and CANNOT_REACH.search(lines[0]):
            skip_or_fail(f"packages cannot be downloaded: {lines[0]}")
        assert lines == []
        assert state.complete

    return make_once(tmp_path_factory, "assets", fill)


@pytest.fixture
def assets(files: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let this process and those that it starts find the files of Visdom's page."""
    monkeypatch.setenv("MONITOR_ASSETS_DIR", str(files))
    return files
