"""A list of many runs is from the catalog where nothing changed, and right whatever happens to them or to it."""

from __future__ import annotations

import os
import random
import shutil
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tensorboardX import SummaryWriter

from monitor.errors import DataError
from monitor.runs.editing import remove, rename, restore, trash_of
from monitor.runs.listing import found_runs
from monitor.runs.listing.found_runs import FoundRuns
from monitor.runs.listing.stored_fields import LISTED_PARTS, PARTS
from monitor.runs.processes import process

if TYPE_CHECKING:
    from tests.support.processes import Start
from tests.support.catalogs import listed, make, settle, shown, truth, write


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


@pytest.mark.parametrize("disk", ["local", pytest.param("network", marks=pytest.mark.slow)])
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
