"""Event files of unknown origin: each command takes bounded time and memory, and never ends with a traceback."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from monitor import DataError, Logger, reopen
from monitor.cli import main
from monitor.events.framing import FrameReader, frame
from monitor.events.reading.reader import read_scalars
from monitor.events.wire import fits_in_memory
from monitor.runs.listing import load
from tests.support import foreign, hostile_events
from tests.support.records import everything

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MAX_PEAK_MIB = 300
COMMANDS = ("compare", "page", "replay")

CHILD = """
import json, os, re, sys, warnings
from pathlib import Path
from click.testing import CliRunner
from monitor.cli import main
warnings.simplefilter("error")
import matplotlib.figure, rich.console, monitor.comparison.views.page_builder, monitor.sinks.tensorboard
for folder in map(Path, sys.argv[1:]):
    child = os.fork()  # each file finds the memory as it was before
    if child:
        assert os.waitpid(child, 0)[1] == 0
        continue
    bad, good = str(folder / "bad"), str(folder / "good")
    page, copy = str(folder / "page.html"), str(folder / "copy")
    for name, command in (
        ("compare", ["compare", bad, good]),
        ("page", ["compare", bad, good, "--html", page]),
        ("replay", ["replay", bad, "--sink", "tensorboard", "--sink", "console", "--logdir", copy]),
    ):
        Path("/proc/self/clear_refs").write_text("5")  # starts the peak anew
        result = CliRunner().invoke(main, command)
        peak = int(re.search("VmHWM:[^0-9]*([0-9]+)", Path("/proc/self/status").read_text())[1]) // 1024
        raised = "" if isinstance(result.exception, SystemExit | None) else repr(result.exception)[:200]
        fields = [folder.name, name, result.exit_code, raised, result.stdout[-2000:], result.stderr[:2000], peak]
        print(json.dumps(fields), flush=True)
    os._exit(0)
"""


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], list[Any]]:
    """Return what each command did with each file: exit status, exception, output, errors, and MiB at the peak."""
    root = tmp_path_factory.mktemp("hostile")
    for number, write in enumerate(hostile_events.FILES.values()):
        folder = root / str(number)
        (folder / "bad").mkdir(parents=True)
        write(folder / "bad" / "tfevents")
        foreign.write(folder / "good" / "tfevents", *(foreign.event(n, foreign.simple("good", n)) for n in range(3)))
    names = list(hostile_events.FILES)
    command = [sys.executable, "-c", CHILD, *(str(root / str(number)) for number in range(len(names)))]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr[-2000:]
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    return {(names[int(folder)], what): rest for folder, what, *rest in lines}


@pytest.mark.slow
@pytest.mark.xdist_group("hostile")  # one process makes the files
@pytest.mark.parametrize("name", hostile_events.FILES)
@pytest.mark.parametrize("command", COMMANDS)
def test_a_hostile_file(results: dict[tuple[str, str], list[Any]], name: str, command: str) -> None:
    status, raised, output, errors, peak = results[name, command]
    assert raised == ""
    assert status == 0, errors
    assert errors == ""
    assert peak < MAX_PEAK_MIB
    assert ("bad: " if command == "replay" else "good") in output


SKIPPED = {
    "tensor of 2^29": "bad: 2 scalars, 1 text; skipped: 1 × scalars, 1 × histograms, 1 × images",
    "packed numbers": "bad: 2 scalars; skipped: 1 × damaged",
    "empty values": "bad: 2 scalars; skipped: 1 × damaged",
    "forty large pictures in one": "bad: 2 scalars; skipped: 1 × images",
    "large pictures": "bad: 8 pictures, 2 scalars",
    "picture bombs": "bad: 2 scalars, 1 picture; skipped: 6 × image, 1 × images",
    "films": "bad: 8 films, 2 scalars; skipped: 1 × image",
    "large sounds": "bad: 6 sounds, 2 scalars; skipped: 1 × audio",
    "large meshes": "bad: 20 meshes, 2 scalars; skipped: 1 × mesh, 1 × pr_curves",
    "large tables": "bad: 2 scalars, 1 table; skipped: 2 × text",
    "infinite settings": "bad: 2 scalars, 1 config",
    "damaged settings": "bad: 2 scalars; skipped: 3 × hparams",
    "odd histograms": "bad: 2 scalars; skipped: 4 × histo, 4 × histograms",
    "large tags": "bad: 2 scalars; skipped: 30 × tag of more than 16,384 characters",
    "large text": "bad: 2 scalars, 1 text; skipped: 1 × text",
    "no protobuf": "bad: 2 scalars; skipped: 3 × damaged",
}


@pytest.mark.slow
@pytest.mark.xdist_group("hostile")
@pytest.mark.parametrize("name", SKIPPED)
def test_what_replay_says_of_it(results: dict[tuple[str, str], list[Any]], name: str) -> None:
    assert SKIPPED[name] in results[name, "replay"][2].splitlines()


def test_times_that_are_no_dates_are_zero(tmp_path: Path) -> None:
    hostile_events.FILES["odd times"](tmp_path / "tfevents")
    records, _ = everything(tmp_path)
    assert {record.time for record in records} == {1001.0, 1002.0, 0.0, 1e15} - {1e15}


def test_the_estimate_of_memory() -> None:
    many = foreign.event(1, *(foreign.simple("x", 1) for _ in range(1000))).SerializeToString()
    assert fits_in_memory(many, 1_000_000)
    assert not fits_in_memory(many, 100_000)
    assert fits_in_memory(hostile_events.field(4, b"\0" * 10**6), 10**6 + 1000)  # a graph is bytes
    for damaged in (b"\xff" * 20, b"\x2a\x05a", b"\x0b", b"\x80"):
        assert not fits_in_memory(damaged, 10**6)


def run_command(*arguments: object) -> tuple[int, str, str]:
    result = CliRunner().invoke(main, [*map(str, arguments)])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.stdout, result.stderr


def _fifo(path: Path) -> None:
    os.mkfifo(path)


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        os.chdir(path.parent)
        made.bind(path.name)


NOT_FILES: dict[str, Callable[[Path], None]] = {
    "fifo": _fifo,
    "socket": _socket,
    "device": lambda path: path.symlink_to("/dev/zero"),
    "directory": lambda path: path.mkdir(),
    "loop": lambda path: path.symlink_to(path),
    "dangling": lambda path: path.symlink_to(path.parent / "none"),
}


@pytest.mark.parametrize("name", NOT_FILES)
def test_what_is_no_file(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bad").mkdir()
    NOT_FILES[name](tmp_path / "bad" / "tfevents.1")
    for command in (["compare", tmp_path / "bad"], ["replay", tmp_path / "bad", "--sink", "console"]):
        status, _, errors = run_command(*command)
        assert (status, errors.count("\n")) == (2, 1), errors
    foreign.write(tmp_path / "bad" / "tfevents.2", foreign.event(0, foreign.simple("good", 1)))
    status, output, errors = run_command("compare", tmp_path / "bad", "--html", tmp_path / "page.html")
    assert (status, errors) == (0, "")
    assert "good" in output
    with pytest.raises(OSError):
        list(FrameReader(tmp_path / "bad" / "tfevents.1").frames())  # where it takes a file's place later


@pytest.mark.parametrize("name", NOT_FILES)
def test_what_is_no_file_in_place_of_run_json(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bad").mkdir()
    NOT_FILES[name](tmp_path / "bad" / "run.json")
    monkeypatch.chdir(tmp_path)
    assert load(tmp_path / "bad").status == "damaged"
    assert run_command("runs", tmp_path)[0] == 0
    assert run_command("compare", tmp_path / "bad")[0] in (0, 2)


def test_a_file_that_cannot_be_read_is_left_out(tmp_path: Path) -> None:
    """The memory of a process looks like a regular file, and reading its start fails, for every user."""
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "tfevents.1").symlink_to("/proc/self/mem")
    foreign.write(tmp_path / "bad" / "tfevents.2", foreign.event(0, foreign.simple("good", 1)))
    status, output, errors = run_command("compare", tmp_path / "bad", "--html", tmp_path / "page.html")
    assert status == 0
    assert "good" in output
    assert errors.count("tfevents.1 cannot be read and is left out: Input/output error") == errors.count("\n") == 1
    status, output, errors = run_command("replay", tmp_path / "bad", "--sink", "console")
    assert (status, errors) == (0, "")
    assert "bad: 1 scalar; skipped: tfevents.1 (Input/output error)" in output


def test_a_file_that_would_keep_its_reader_waiting_hides_no_other_run(tmp_path: Path) -> None:
    """The kernel's log looks like a regular file, and whoever reads it waits for the next line."""
    (tmp_path / "bad").mkdir()
    try:
        descriptor = os.open("/proc/kmsg", os.O_RDONLY | os.O_NONBLOCK)
    except OSError as error:
        pytest.skip(f"only root may read the kernel's log: {error}")
    with suppress(BlockingIOError):
        while os.read(descriptor, 65536):
            pass
    os.close(descriptor)
    (tmp_path / "bad" / "tfevents.1").symlink_to("/proc/kmsg")
    (tmp_path / "worse").mkdir()
    (tmp_path / "worse" / "run.json").symlink_to("/proc/kmsg")
    foreign.write(tmp_path / "good" / "tfevents.1", foreign.event(0, foreign.simple("loss", 1)))
    status, output, errors = run_command("runs", tmp_path)
    assert (status, errors) == (0, "")
    assert {"bad", "good", "worse"} <= set(output.split())
    status, _, errors = run_command("compare", tmp_path / "bad", tmp_path / "good")
    assert status == 0
    assert "tfevents.1 cannot be read and is left out: Resource temporarily unavailable" in errors


def test_a_file_without_permission_is_left_out(tmp_path: Path) -> None:
    file = foreign.write(tmp_path / "bad" / "tfevents.1", foreign.event(0, foreign.simple("secret", 1)))
    file.chmod(0)
    if os.access(file, os.R_OK):
        pytest.skip("this user may read every file")
    _, output, errors = run_command("compare", tmp_path / "bad")
    assert "secret" not in output
    assert errors.count("tfevents.1 cannot be read and is left out: Permission denied") == 1


@pytest.mark.slow
def test_reopening_a_run_with_hostile_events(tmp_path: Path) -> None:
    with Logger(tmp_path / "run", ["tensorboard"]) as log:
        for step in range(10):
            log.scalar("loss", 1.0, step)
            if step == 7:
                log.checkpoint("name", 5)
    for name in ("no protobuf", "empty values", "large steps", "odd times"):
        hostile_events.FILES[name](tmp_path / "run" / f"a.tfevents.{name.replace(' ', '')}")
    with Logger(reopen(tmp_path / "run", "name", 5), ["tensorboard"]) as log:
        log.scalar("loss", 2.0, 8)
    kept = [value for value in read_scalars(tmp_path / "run", ["loss"])["loss"] if value[0] >= 5]
    assert kept == [(5, 1.0), (6, 1.0), (7, 1.0), (8, 2.0)]


def test_reopening_writes_only_into_the_run(tmp_path: Path) -> None:
    with Logger(tmp_path / "other", ["tensorboard"]) as log:
        log.scalar("loss", 1.0, 0)
    (other,) = (tmp_path / "other").glob("*tfevents*")
    with Logger(tmp_path / "run", ["tensorboard"]) as log:
        log.checkpoint("name", 1)
    (tmp_path / "run" / "a.tfevents").symlink_to(other)
    before = other.read_bytes()
    with pytest.raises(DataError, match=r"a.tfevents' is a symbolic link"):
        reopen(tmp_path / "run", "name", 1)
    assert other.read_bytes() == before


def test_many_small_events_take_linear_time_and_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "tfevents"
    path.write_bytes(frame(b"\xff") * 200_000)
    _, reader = everything(tmp_path)
    assert reader.damaged == 200_000
