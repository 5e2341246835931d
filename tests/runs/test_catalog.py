"""A list of many runs is from the catalog where nothing changed, and right whatever happens to them or to it."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import time
from contextlib import closing, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tensorboardX import SummaryWriter

from monitor.errors import DataError
from monitor.runs import process
from monitor.runs.editing import remove, rename, restore, trash_of
from monitor.runs.listing import found_runs, scan
from monitor.runs.listing.catalog import Catalog
from monitor.runs.listing.found_runs import FoundRuns
from monitor.runs.listing.reading import read_run
from monitor.runs.listing.stored_fields import LISTED_PARTS, PARTS
from monitor.runs.run_file import timestamp
from monitor.testing import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from monitor.runs.listing.run_info import RunInfo
    from tests.support.processes import Start

SETTINGS = "from monitor.runs.listing import found_runs as f\nf.MIN_RUNS, f.MIN_CHANGES, f.SETTLED_S = 5, 1, 0.0\n"


@pytest.fixture(autouse=True)
def _small_catalogs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a few runs have a catalog, in a folder of the test, and be read from there at once."""
    for name, value in (("MIN_RUNS", 5), ("MIN_CHANGES", 1), ("SETTLED_S", 0.0), ("SETTLED_ON_NETWORK_S", 0.0)):
        monkeypatch.setattr(found_runs, name, value)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def write(folder: Path, **fields: Any) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    metrics = {"test/loss": {"last": 0.5, "step": 9, "best": 0.25, "best_step": 5, "goal": "min"}}
    whole = {
        "name": folder.name, "status": "finished", "start": timestamp(1e9), "end": timestamp(1e9 + 5),
        "config": {"lr": 0.1, "model": {"depth": 3}, "db_password": "x"}, "metrics": metrics, "command": ["a", "ä"],
        "progress": {"step": 9}, "path": "theirs",
        "sweep": {"name": "s", "trial": 1, "metric": "test/loss", "goal": "min", "values": {}}, **fields,
    }  # fmt: skip
    (folder / "run.json").write_text(json.dumps(whole))
    return folder


def make(logdir: Path, count: int = 12) -> Path:
    for number in range(count):
        write(logdir / f"r{number:03}", seed=number)
    settle(logdir)
    return logdir


def settle(folder: Path) -> None:
    """Wait until the clock of the file system has gone on, so that the next change has another time."""
    probe, before = folder.parent / "probe", time.time_ns()

    def is_later() -> bool:
        probe.write_text("")
        return probe.stat().st_ctime_ns > before and time.time_ns() > probe.stat().st_ctime_ns

    wait_until(is_later, 10, "a later time")


def shown(runs: list[RunInfo]) -> list[Any]:
    return [(run.name, run.status_text, run.problem, run.config, run.metrics, dict(run.fields)) for run in runs]


def truth(logdir: Path) -> list[Any]:
    return shown(sorted(scan(logdir), key=lambda run: run.name))


def listed(logdir: Path, parts: int = LISTED_PARTS) -> list[Any]:
    found = FoundRuns(logdir)
    runs = shown(found(parts))
    found.save()
    return runs


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the directories whose `run.json` a list reads, as it does."""
    folders: list[str] = []

    def read(folder: str, name: str, now: float) -> Any:
        folders.append(folder)
        return read_run(folder, name, now)

    monkeypatch.setattr(found_runs, "read_run", read)
    return folders


@pytest.mark.parametrize("parts", [0, LISTED_PARTS, PARTS])
def test_what_did_not_change_is_not_read_again(tmp_path: Path, parts: int, reads: list[str]) -> None:
    logdir = make(tmp_path / "runs")
    os.mkdir(os.fsencode(logdir) + b"/not-utf8-\xff")  # noqa: PTH102 - its name is bytes
    write(Path(os.fsdecode(os.fsencode(logdir) + b"/not-utf8-\xff")), name="x")
    write(logdir / "r003" / "trials" / "0")
    settle(logdir)
    files = sorted(logdir.rglob("*"))
    assert listed(logdir) == truth(logdir)
    assert len(reads) == 14
    assert listed(logdir, parts) == truth(logdir)
    assert reads[14:] == []
    (logdir / "r001" / "note.txt").write_text("the directory changes, and run.json does not")
    write(logdir / "r002", seed=99)
    settle(logdir)
    assert listed(logdir, parts) == listed(logdir, parts) == truth(logdir)
    assert set(reads[14:]) <= {str(logdir / "r001"), str(logdir / "r002")}
    (logdir / "r001" / "note.txt").unlink()
    assert sorted(logdir.rglob("*")) == files, "nothing is written to the log directory"


class Changes:
    """What may happen to the runs of a log directory; each takes the `run.json` of one."""

    def __init__(self, logdir: Path) -> None:
        self.logdir, self.chance = logdir, random.Random(7)
        self.all = (
            self.written_in_place, self.replaced, self.renamed, self.trashed, self.brought_back, self.damaged,
            self.nested, self.made, self.made, self.unmade,
        )  # fmt: skip

    def written_in_place(self, file: Path) -> None:
        """Write as many other bytes into the same file, and set its time back."""
        before, content = file.stat(), file.read_text()
        with file.open("r+") as opened:
            opened.write(content.replace("0.5", f"0.{self.chance.randrange(1, 9)}"))
        os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))

    def replaced(self, file: Path) -> None:
        """Put another file of the same size and time in its place."""
        other = file.with_name("other")
        shutil.copy2(file, other)
        self.written_in_place(other)
        other.replace(file)

    def renamed(self, file: Path) -> None:
        rename(file.parent, f"renamed-{self.chance.randrange(10**6)}")

    def trashed(self, file: Path) -> None:
        remove(file.parent.resolve(), self.logdir)

    def brought_back(self, _: Path) -> None:
        for path in sorted(trash_of(self.logdir).glob("r*/"))[:1]:
            with suppress(DataError):  # there is another one of this name
                restore(path, self.logdir)

    def damaged(self, file: Path) -> None:
        file.write_text('{"status": ')

    def nested(self, file: Path) -> None:
        write(file.parent / "trials" / str(self.chance.randrange(3)), seed=self.chance.randrange(9))

    def made(self, _: Path) -> None:
        write(self.logdir / f"group/{self.chance.randrange(50)}", seed=self.chance.randrange(9))

    def unmade(self, file: Path) -> None:
        file.unlink()


@pytest.mark.parametrize("disk", ["local", "network"])
def test_any_sequence_of_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, disk: str) -> None:
    """What a process that watches sees, and what a new one sees, is what is there: after each of 150 changes."""
    monkeypatch.setattr(found_runs, "is_local", lambda _: disk == "local")
    changes = Changes(make(tmp_path / "runs"))
    watching = FoundRuns(changes.logdir)
    set_back, real_time = [0.0], time.time
    monkeypatch.setattr(time, "time", lambda: real_time() - set_back[0])
    for number in range(150):
        change = changes.all[number % len(changes.all)]
        whole = [file for file in sorted(changes.logdir.rglob("run.json")) if file.stat().st_size > 50]
        change(changes.chance.choice(whole))
        settle(changes.logdir)
        set_back[0] = 3600.0 if number % 40 > 30 else 0.0  # the clock
        expected = truth(changes.logdir)
        parts = changes.chance.choice([0, LISTED_PARTS, PARTS])
        assert listed(changes.logdir, parts) == expected, (number, change)
        assert shown(watching(parts)) == expected, (number, change)


def test_a_process_is_looked_for_each_time(tmp_path: Path, start: Start, reads: list[str]) -> None:
    logdir = make(tmp_path / "runs")
    sleeping = start("-c", "import time; print('up', flush=True); time.sleep(600)", fresh=True)
    assert sleeping.stdout is not None
    sleeping.stdout.readline()
    write(logdir / "live", status="running", process=process.identity(sleeping.pid))
    settle(logdir)
    watching = FoundRuns(logdir)
    for _ in range(2):
        listed(logdir)
        watching()
    count = len(reads)
    statuses = [{run.name: str(run.status) for run in found()}["live"] for found in (watching, FoundRuns(logdir))]
    sleeping.kill()
    sleeping.wait(60)
    statuses += [{run.name: str(run.status) for run in found()}["live"] for found in (watching, FoundRuns(logdir))]
    assert statuses == ["running", "running", "lost", "lost"]
    assert len(reads) == count, "its run.json did not change"


def test_runs_of_other_programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    logdir = make(tmp_path / "runs")
    with SummaryWriter(str(logdir / "theirs")) as writer:
        writer.add_scalar("val/loss", 0.5, 1)
    settle(logdir)
    first = listed(logdir)
    assert first[-1][0] == "theirs"
    from monitor.runs.listing import foreign

    monkeypatch.setattr(foreign, "ForeignRun", None)  # it is not asked
    for parts in (0, LISTED_PARTS, PARTS):
        assert listed(logdir, parts) == first
    monkeypatch.undo()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with SummaryWriter(str(logdir / "theirs"), filename_suffix=".more") as writer:
        writer.add_scalar("val/loss", 0.125, 2)
    assert listed(logdir)[-1][4]["val/loss"]["last"] == pytest.approx(0.125)


def flipped(file: Path) -> None:
    """Change bytes all over the file, but not in its first page."""
    content, chance = bytearray(file.read_bytes()), random.Random(3)
    for _ in range(2000):
        content[chance.randrange(2**14, len(content))] ^= 1 << chance.randrange(8)
    file.write_bytes(content)


def another_database(file: Path) -> None:
    file.unlink()
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("CREATE TABLE folders (a)")
        connection.execute("PRAGMA journal_mode=WAL")
    file.chmod(0o600)


def other_values(file: Path) -> None:
    """Change values in the rows, as a disk may; the database itself stays sound."""
    with closing(sqlite3.connect(file)) as connection:
        for key, facts in connection.execute("SELECT id, facts FROM folders WHERE id % 2").fetchall():
            changed = facts.replace(b"finished", b"failed")
            connection.execute("UPDATE folders SET facts = ? WHERE id = ?", (changed, key))
        for key, part in connection.execute("SELECT id, part0 FROM contents").fetchall():
            connection.execute("UPDATE contents SET part0 = ? WHERE id = ?", (part.replace(b"0.5", b"0.7"), key))
        connection.commit()


def open_to_all(file: Path) -> None:
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("UPDATE folders SET facts = zeroblob(10)")
        connection.commit()
    file.chmod(0o666)


def a_link(file: Path) -> None:
    file.rename(file.with_name("elsewhere"))
    file.symlink_to(file.with_name("elsewhere"))


def a_directory(file: Path) -> None:
    file.unlink()
    file.mkdir()


def a_fifo(file: Path) -> None:
    file.unlink()
    os.mkfifo(file)


JOURNAL_MAGIC = b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7"
FAULTS: dict[str, Callable[[Path], object]] = {
    "no database": lambda file: file.write_text("no database" * 1000),
    "empty": lambda file: file.write_text(""),
    "cut": lambda file: os.truncate(file, file.stat().st_size // 2),
    "cut in its head": lambda file: os.truncate(file, 50),
    "flipped": flipped,
    "zeros": lambda file: file.write_bytes(file.read_bytes()[: 2**14] + bytes(file.stat().st_size - 2**14)),
    "another database": another_database,
    "other values": other_values,
    "open to all": open_to_all,
    "a link": a_link,
    "a directory": a_directory,
    "a FIFO": a_fifo,
    "a bad journal": lambda file: Path(f"{file}-journal").write_bytes(
        b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7" + bytes(5000)
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_catalog_that_is_none(tmp_path: Path, fault: str) -> None:
    logdir = make(tmp_path / "runs", 200)
    expected = listed(logdir)
    file = Catalog(str(logdir)).path
    assert file.stat().st_mode & 0o777 == 0o600
    FAULTS[fault](file)
    for parts in (0, LISTED_PARTS, PARTS, LISTED_PARTS):
        assert listed(logdir, parts) == expected


def test_without_a_place_for_it(tmp_path: Path) -> None:
    logdir = make(tmp_path / "runs")
    (tmp_path / "cache").write_text("no folder")
    assert listed(logdir) == listed(logdir) == truth(logdir)


def test_one_that_is_locked_is_left_alone(tmp_path: Path, reads: list[str]) -> None:
    logdir = make(tmp_path / "runs")
    expected = listed(logdir)
    with closing(sqlite3.connect(Catalog(str(logdir)).path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        assert listed(logdir) == expected
        other.execute("ROLLBACK")
    count = len(reads)
    assert listed(logdir) == expected
    assert len(reads) == count, "it is there again"


def test_old_catalogs_are_removed(tmp_path: Path) -> None:
    listed(make(tmp_path / "runs"))
    old = Catalog(str(tmp_path / "runs")).path
    os.utime(old, (time.time() - 40 * 86400,) * 2)
    listed(make(tmp_path / "others"))
    assert [file.name for file in old.parent.iterdir()] == [Catalog(str(tmp_path / "others")).path.name]


LISTING = (
    SETTINGS
    + """
import json, sys
from pathlib import Path
print("up", flush=True)
sys.stdin.readline()
for _ in range(int(sys.argv[2])):
    found = f.FoundRuns(Path(sys.argv[1]))
    runs = [(run.name, run.look_up("test/loss"), run.fields["seed"]) for run in found()]
    for known in found._known.values():  # as if everything were new
        known.is_saved = False
    found.save()
print(json.dumps(runs))
"""
)


def is_sound(logdir: Path) -> bool:
    with closing(sqlite3.connect(Catalog(str(logdir)).path)) as connection:
        return bool(connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)])


def is_other(file: Path, time_ns: int) -> bool:
    return file.stat().st_mtime_ns != time_ns


def test_many_processes_write_at_once(tmp_path: Path, start: Start) -> None:
    logdir = make(tmp_path / "runs", 100)
    writers = [start("-c", LISTING, str(logdir), "5", fresh=True, stdin=subprocess.PIPE) for _ in range(6)]
    for writer in writers:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "up\n"
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write("go\n")
        writer.stdin.flush()
    expected = [[f"r{number:03}", 0.5, number] for number in range(100)]
    for writer in writers:
        out, err = writer.communicate(timeout=200)
        assert json.loads(out) == expected, err
    assert is_sound(logdir)
    assert listed(logdir) == truth(logdir)


def test_a_writer_is_killed(tmp_path: Path, start: Start) -> None:
    """SIGKILL at random moments of endless writing: what is listed then is right, from a sound catalog."""
    logdir = make(tmp_path / "runs", 300)
    expected = listed(logdir)
    chance = random.Random(5)
    for _ in range(8):
        writer = start("-c", LISTING, str(logdir), "1000000", fresh=True, stdin=subprocess.PIPE)
        assert writer.stdin is not None
        assert writer.stdout is not None
        writer.stdout.readline()
        writer.stdin.write("go\n")
        writer.stdin.flush()
        file = Catalog(str(logdir)).path
        wait_until(partial(is_other, file, file.stat().st_mtime_ns), 100, "a write")
        with pytest.raises(subprocess.TimeoutExpired):
            writer.wait(chance.random() * 0.2)  # a moment of its work
        writer.send_signal(signal.SIGKILL)
        writer.wait(60)
        assert listed(logdir) == expected
        assert is_sound(logdir)
