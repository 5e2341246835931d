"""Git's state and the packages are read in a process that makes way for the training, and leaves nothing behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from monitor.recording.file_process import record_files
from monitor.recording.options import parse_record
from monitor.recording.packages import package_list
from monitor.testing import wait_until

if TYPE_CHECKING:
    from pathlib import Path

FILTER = """
import json, os, sys, time
from pathlib import Path
policy = os.sched_getscheduler(0) if hasattr(os, "sched_getscheduler") else None
with open({told!r}, "a") as file:
    file.write(json.dumps({{"pid": os.getpid(), "nice": os.nice(0), "policy": policy, "group": os.getpgrp()}}) + "\\n")
while {hangs} and not Path({told!r} + "-go").exists():
    time.sleep(0.05)
sys.stdout.write(sys.stdin.read())
"""


@pytest.fixture(autouse=True)
def packages_that_were_not_listed_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "site").mkdir()
    monkeypatch.setattr(sys, "path", [str(tmp_path / "site"), *sys.path])


def checkout_with_filter(tmp_path: Path, *, hangs: bool) -> tuple[Path, Path]:
    """Make a repository whose changes git reads through a filter, which adds a line about itself to a file."""
    folder, told = tmp_path / "checkout", tmp_path / "told.jsonl"
    folder.mkdir()
    (tmp_path / "filter.py").write_text(FILTER.format(told=str(told), hangs=hangs))

    def git(*arguments: str) -> None:
        user = ("-c", "user.name=T", "-c", "user.email=t@example.org")
        subprocess.run(["git", *user, *arguments], cwd=folder, check=True, capture_output=True)

    git("init")
    (folder / ".gitattributes").write_text("*.txt filter=teller\n")
    (folder / "a.txt").write_text("one\n")
    git("add", ".")
    git("commit", "--message", "first")
    git("config", "filter.teller.clean", f"{sys.executable} {tmp_path / 'filter.py'}")
    (folder / "a.txt").write_text("two\n")
    return folder, told


def lines(told: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in told.read_text().splitlines()]


def children() -> set[psutil.Process]:
    return set(psutil.Process().children(recursive=True))


def test_git_and_its_filters_make_way_for_the_training(tmp_path: Path) -> None:
    folder, told = checkout_with_filter(tmp_path, hangs=False)
    recorded = record_files(tmp_path, [str(folder)], parse_record("git"), lambda: False)
    assert recorded["diff"] == {"file": "diff.patch"}
    assert "+two" in (tmp_path / "diff.patch").read_text()
    said = lines(told)[0]
    assert said["nice"] == 19
    assert said["policy"] == getattr(os, "SCHED_IDLE", None)
    assert said["group"] != os.getpgrp()
    assert os.nice(0) < 19
    assert os.sched_getscheduler(0) == os.SCHED_OTHER


def test_a_run_that_ends_first_ends_git_and_a_filter_that_hangs(tmp_path: Path) -> None:
    folder, told = checkout_with_filter(tmp_path, hangs=True)
    before = children()
    is_over = threading.Event()

    def cancel() -> None:
        wait_until(told.exists, 60, "the filter")
        is_over.set()

    canceling = threading.Thread(target=cancel)
    canceling.start()
    recorded = record_files(tmp_path, [str(folder)], parse_record("git,packages"), is_over.is_set)
    canceling.join()
    assert recorded["diff"] == {"file": None, "left_out": "the run ended first"}
    assert "packages" not in recorded
    wait_until(lambda: not psutil.pid_exists(lines(told)[0]["pid"]), 20, "the end of the filter")
    assert children() <= before


def test_another_process_lists_what_this_one_would_import(tmp_path: Path) -> None:
    info = tmp_path / "site" / "only_on_this_path-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: only_on_this_path\nVersion: 1.0\n")
    recorded = record_files(tmp_path, [], parse_record("packages"), lambda: False)
    assert (tmp_path / recorded["packages"]["file"]).read_text() == package_list()
    assert "only-on-this-path==1.0" in package_list().replace("_", "-")


def test_a_run_that_ends_first_has_no_list_and_leaves_no_process(tmp_path: Path) -> None:
    before = children()
    assert record_files(tmp_path, [], parse_record("packages"), lambda: True) == {}
    assert not (tmp_path / "packages.txt").exists()
    assert children() <= before


def test_without_an_interpreter_to_start_all_is_read_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, _ = checkout_with_filter(tmp_path, hangs=False)
    monkeypatch.setattr(sys, "executable", "")
    recorded = record_files(tmp_path, [str(folder)], parse_record("git,packages"), lambda: False)
    assert (tmp_path / recorded["packages"]["file"]).read_text() == package_list()
    assert recorded["diff"] == {"file": "diff.patch"}


def test_what_is_urgent_makes_way_for_nobody(tmp_path: Path) -> None:
    folder, told = checkout_with_filter(tmp_path, hangs=False)
    recorded = record_files(tmp_path, [str(folder)], parse_record("git"), lambda: False, lambda: True)
    assert recorded["diff"] == {"file": "diff.patch"}
    assert lines(told)[0]["nice"] == os.nice(0)


def test_what_becomes_urgent_starts_again(tmp_path: Path) -> None:
    folder, told = checkout_with_filter(tmp_path, hangs=True)
    go = tmp_path / "told.jsonl-go"

    def is_urgent() -> bool:
        if told.exists() and lines(told):
            go.touch()
        return go.exists()

    recorded = record_files(tmp_path, [str(folder)], parse_record("git"), lambda: False, is_urgent)
    assert recorded["diff"] == {"file": "diff.patch"}
    assert (lines(told)[0]["nice"], lines(told)[-1]["nice"]) == (19, os.nice(0))
