"""TensorBoard over a part of a log directory: what it shows, that it follows, and that nothing remains of it."""

from __future__ import annotations

import os
import tempfile
import threading
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import requests
import tensorboard
from click.testing import CliRunner

from monitor import Logger, ScalarBlock, read
from monitor.cli import main
from monitor.dashboards.ownership.lease_files import served_urls
from monitor.dashboards.tensorboard.run_view import PREFIX, Choice, RunView
from monitor.dashboards.tensorboard.tensorboard_server import MAX_POINTS
from monitor.events.files import event_files
from monitor.events.framing import frame
from monitor.events.scalars.encoding import encode_scalars
from monitor.testing import wait_until
from tests.support import event_reader, foreign

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.servers import Served

pytestmark = pytest.mark.usefixtures("folder")

STEPS = 200_000  # of two tags: an event file of 13 MB
ODD = 'a b*[x]"<b>é'


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Return the folder for temporary files, in which nothing may remain."""
    found = tmp_path / "temporary"
    found.mkdir()
    monkeypatch.setenv("TMPDIR", str(found))
    monkeypatch.setattr(tempfile, "tempdir", None)
    yield found
    assert list(found.glob(f"{PREFIX}*")) == []


@pytest.fixture
def logdir(tmp_path: Path) -> Path:
    return tmp_path / "runs"


def log_run(path: Path, lr: float) -> None:
    with Logger(path, ["tensorboard"], {"lr": lr}) as log:
        log.scalars({"train/loss": lr, "test/accuracy": 1 - lr}, 0)


def scalars(start: int, stop: int, *, lowest: int | None = None) -> bytes:
    """Return the events of a loss that has a spike at step `lowest`, and of a counter."""
    steps = np.arange(start, stop)
    values = np.stack([np.cos(steps / 1000), steps % 7], 1)
    values[lowest - start if lowest is not None else 0, 0] = -50.0 if lowest is not None else 1.0
    tags = ("train/loss", "count")
    return encode_scalars(
        ScalarBlock([tags], np.zeros(len(steps), np.int32), steps, 1.7e9 + steps / 50, values.ravel())
    )


def large_run(path: Path) -> Path:
    """Make a run with settings, a picture, long curves, and a text; return the event file with the curves."""
    with Logger(path, ["tensorboard"], {"lr": 0.1}) as log:
        log.images("samples", np.zeros((1, 1, 8, 8), np.uint8), 3)
    note = foreign.event(STEPS, foreign.text("notes/text_summary", "behind the curves"))
    file = path / "events.out.tfevents.5000000000.more"
    file.write_bytes(scalars(0, STEPS, lowest=123_456) + frame(note.SerializeToString()))
    assert file.stat().st_size > 2**23
    return file


def stored(run: Path) -> list[tuple[int, float]]:
    (found,) = read(run)
    steps, values, _ = found.scalars("train/loss")
    return list(zip(steps.tolist(), values.tolist()))


def contents(folder: Path) -> dict[str, tuple[int, int]]:
    return {str(path): (path.stat().st_size, path.stat().st_mtime_ns) for path in folder.rglob("*")}


def view_of(logdir: Path, **options: Any) -> RunView:
    """Return a view of all runs under a folder."""

    def find() -> Choice:
        runs = sorted({path.parent for path in logdir.rglob("*tfevents*")})
        return Choice(runs, runs)

    return RunView(logdir, find, **options)


@pytest.mark.slow
def test_a_server_over_the_runs_that_match(logdir: Path, folder: Path, serve: Callable[..., Served]) -> None:
    for name, lr in (("mlp", 0.1), ("mlp/other", 9.0), (f"{ODD}/deep", 0.3), ("large", 9.0)):
        log_run(logdir / name, lr)
    log = Logger(logdir / "mlp" / "below", ["tensorboard"], {"lr": 0.2})
    log.scalar("train/loss", 1.0, 0)
    assert log.flush(60)
    foreign.write(logdir / "mlp" / "part" / "events.out.tfevents.1", foreign.event(1, foreign.simple("x", 1.0)))
    before = contents(logdir / "mlp" / "other")
    names = set(contents(logdir))
    relative = os.path.relpath(logdir)
    server = serve("tensorboard", "--port", "0", "--logdir", relative, "--filter", "lr<1", TMPDIR=str(folder))

    def shown(plugin: str = "scalars") -> set[str]:
        return set(requests.get(f"{server.url}/data/plugin/{plugin}/tags", timeout=60).json())

    # What lies below a run, and is none of its own for `monitor runs`, is the run's.
    wait_until(lambda: shown() == {"mlp", "mlp/below", "mlp/part", f"{ODD}/deep"}, 60, "the runs that match")
    assert set(contents(logdir)) == names
    assert contents(logdir / "mlp" / "other") == before
    environment = requests.get(f"{server.url}/data/environment", timeout=60).json()
    assert environment["window_title"] == "3 of 5 runs in runs · TensorBoard"
    assert Path(environment["data_location"]).resolve() != logdir.resolve()
    assert server.url not in served_urls("TensorBoard", logdir=str(logdir.resolve()))
    status = CliRunner().invoke(main, ["serve", "--status"]).stdout
    assert f"{server.url} over some runs of {logdir.resolve()}; started with monitor serve" in status

    with zipfile.ZipFile(Path(tensorboard.__file__).with_name("webfiles.zip")) as archive:  # packed when asked for
        for name in [name for name in archive.namelist() if not name.endswith(("/", ".html"))][:20]:
            assert requests.get(f"{server.url}/{name}", timeout=60).content == archive.read(name)
    assert requests.get(f"{server.url}/nothing.js", timeout=60).status_code == 404

    log_run(logdir / "mlp" / "part" / "new", 0.4)
    log.config.update(lr=5.0)
    log.close()
    expected = {"mlp", "mlp/part", "mlp/part/new", f"{ODD}/deep"}
    wait_until(lambda: shown() == expected, 90, "a new run, and without one that does not match anymore")
    said = server.stop()
    assert said == f"3 of 5 runs in {relative}; runs that come to match will appear.\n"
    assert list(folder.glob(f"{PREFIX}*")) == []


def test_a_filter_that_nothing_matches(logdir: Path, folder: Path, serve: Callable[..., Served]) -> None:
    log_run(logdir / "mlp", 0.1)
    options = ("--filter", "lr>1", "--last", "5")
    server = serve("tensorboard", "--port", "0", "--logdir", str(logdir), *options, TMPDIR=str(folder))
    assert requests.get(f"{server.url}/data/plugin/scalars/tags", timeout=60).json() == {}
    assert server.stop() == f"No runs in {logdir} match 'lr>1' yet; those that do will appear.\n"


def test_a_large_run_is_reduced_and_followed(logdir: Path) -> None:
    file = large_run(logdir / "mlp")
    view = view_of(logdir)
    view.update()
    assert view.reduced == 1
    (small,) = event_files(view.folder / "mlp")
    assert small.stat().st_size * 50 < file.stat().st_size
    whole, points = stored(logdir / "mlp"), event_reader.series(small.parent, "train/loss")
    assert 400 < len(points) < MAX_POINTS
    assert set(points) < set(whole)
    assert {whole[0], whole[-1], min(whole, key=lambda point: point[1])} < set(points)
    reader = event_reader.read(small.parent)
    times = {event.step: event.wall_time for event in reader.Scalars("count")}
    assert all(abs(time - (1.7e9 + step / 50)) < 20 for step, time in times.items())
    view_thread = threading.Thread(target=view.follow)
    view_thread.start()
    wait_until(lambda: "notes/text_summary" in event_reader.read(small.parent).Tags()["tensors"], 60, "the text")
    view.stop()
    view_thread.join()
    reader = event_reader.read(small.parent)
    tags = reader.Tags()
    assert event_reader.text(small.parent, "notes") == ["behind the curves"]
    assert tags["images"] == ["samples"]
    assert set(tags["tensors"]) == {"config/text_summary", "notes/text_summary"}
    for tag in ("session_start_info", "session_end_info"):
        assert reader.SummaryMetadata(f"_hparams_/{tag}").plugin_data.plugin_name == "hparams"
    assert set(tags["scalars"]) == {"train/loss", "count"}

    with file.open("ab") as opened:
        opened.write(scalars(STEPS, STEPS + 5000, lowest=STEPS + 1234))
    view.update()
    more = event_reader.series(small.parent, "train/loss")
    assert more[: len(points)] == points
    assert {(STEPS + 1234, -50.0), stored(logdir / "mlp")[-1]} < set(more)

    event = foreign.restart(1000)
    foreign.write(logdir / "mlp" / "events.out.tfevents.9999999999.later", event)
    view.update()
    assert event_files(view.folder / "mlp") == []  # until TensorBoard has forgotten it
    view.close()


def test_runs_that_are_shown_as_they_are(logdir: Path) -> None:
    file = large_run(logdir / "full")
    view = view_of(logdir, full=True)
    view.update()
    links = event_files(view.folder / "full")
    assert [link.resolve() for link in links] == event_files(logdir / "full")
    view.close()
    assert file.exists()

    back = logdir / "back" / "events.out.tfevents.1"
    back.parent.mkdir()
    back.write_bytes(scalars(0, STEPS) + scalars(5, 50))  # nothing says that this supersedes anything
    CliRunner().invoke(main, ["index", "back", "--logdir", str(logdir)])
    foreign_run = logdir / "foreign" / "events.out.tfevents.1"
    foreign_run.parent.mkdir()
    foreign_run.write_bytes(scalars(0, STEPS))  # without an index, and nobody asked for one
    view = view_of(logdir)
    view.update()
    assert (view.folder / "back" / back.name).is_symlink()
    assert (view.folder / "foreign" / back.name).is_symlink()
    assert os.listdir(foreign_run.parent) == [foreign_run.name]  # noqa: PTH208 - names alone
    view.close()


def test_what_a_killed_server_left_is_removed(logdir: Path, folder: Path) -> None:
    logdir.mkdir()
    mine = view_of(logdir)
    abandoned = folder / f"{PREFIX}killed"
    (abandoned / "runs").mkdir(parents=True)
    (abandoned / "lock").touch()
    (abandoned / "runs" / "link").symlink_to(logdir)
    other = view_of(logdir)
    assert not abandoned.exists()
    assert logdir.exists()
    assert mine.folder.exists()
    mine.close()
    other.close()
