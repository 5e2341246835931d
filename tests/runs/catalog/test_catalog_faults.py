"""A catalog that is damaged, locked, foreign, or being written costs nothing but time."""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import subprocess
import time
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from monitor.runs.listing.catalog import Catalog
from monitor.runs.listing.stored_fields import LISTED_PARTS, PARTS
from monitor.testing import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.processes import Start
from tests.support.catalogs import SETTINGS, listed, make, truth


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
