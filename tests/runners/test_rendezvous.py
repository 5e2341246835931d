"""The processes of one start find each other, and no process of an earlier one; and a restarted job finds its run."""

from __future__ import annotations

import json
import os
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import click
import pytest
from torch.distributed import DistStoreError, TCPStore  # type: ignore[attr-defined]

from monitor.runs.processes import process
from monitor.runs.run_file import timestamp
from runners.launch.restarts import restarted_run
from runners.training.distributed import TIMEOUT_VARIABLE, rank_timeout
from runners.training.rendezvous import name_of_start

if TYPE_CHECKING:
    from pathlib import Path

SOON, LATE = timedelta(milliseconds=300), timedelta(seconds=60)


def clients(count: int) -> list[TCPStore]:
    """Return connections to a store, as each process has its own; the first one serves it."""
    server = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    return [server, *(TCPStore("127.0.0.1", server.port, is_master=False) for _ in range(count - 1))]


def start(stores: list[TCPStore]) -> set[str]:
    """Return the names that all processes get that start together."""
    with ThreadPoolExecutor(len(stores)) as pool:
        size = len(stores)
        return set(pool.map(lambda rank: name_of_start(stores[rank], rank, size, LATE), range(size)))


def test_each_start_has_a_name_of_its_own() -> None:
    stores = clients(4)
    names = [start(stores), start(stores[:3]), start(stores)]
    assert [len(name) for name in names] == [1, 1, 1]
    assert len(set.union(*names)) == 3


def test_what_a_start_left_that_failed_does_not_matter() -> None:
    stores = clients(3)
    with pytest.raises(DistStoreError):
        name_of_start(stores[1], 1, 3, SOON)  # rank 0 died before
    with pytest.raises(DistStoreError):
        name_of_start(stores[0], 0, 3, SOON)  # the others did, and one left a question
    with pytest.raises(DistStoreError):
        name_of_start(stores[2], 2, 3, SOON)
    assert len(start(stores)) == 1


def test_how_long_a_process_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(TIMEOUT_VARIABLE, raising=False)
    assert rank_timeout() == timedelta(minutes=5)
    monkeypatch.setenv(TIMEOUT_VARIABLE, "20")
    assert rank_timeout() == timedelta(seconds=20)
    for wrong in ("0", "-1", "soon", "1.5", "1000001"):
        monkeypatch.setenv(TIMEOUT_VARIABLE, wrong)
        with pytest.raises(click.UsageError, match=f"MONITOR_RANK_TIMEOUT is '{wrong}'; give whole seconds, from 1 to"):
            rank_timeout()


def test_a_restarted_job_finds_its_run_by_any_of_its_machines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ours = {"pid": 4, "created": 7.0, "machine": "b boot pid:[1]"}
    gone, foreign = ({**ours, "machine": f"{name} boot pid:[1]"} for name in ("a", "c"))

    def write(name: str, launchers: list[dict[str, Any]], **fields: Any) -> None:
        (tmp_path / name).mkdir()
        whole = {"status": "running", "start": timestamp(0), "process": gone, "launchers": launchers, **fields}
        (tmp_path / name / "run.json").write_text(json.dumps(whole))

    def find(restarts: int, launchers: list[dict[str, Any]]) -> str | None:
        monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", str(restarts))
        found = restarted_run(tmp_path, launchers)
        return found.name if found else None

    write("job", [gone, ours])
    write("other", [foreign])
    write("single", [])
    (tmp_path / "begun").mkdir()
    (tmp_path / "begun" / "run.json").touch()
    assert [find(restarts, [ours]) for restarts in (0, 1)] == ["job", "job"]
    assert find(1, [foreign, ours]) in ("job", "other")
    assert find(1, []) is None
    os.utime(tmp_path / "job" / "run.json", (0, 0))
    assert find(1, [ours]) is None, "it was written before the job began"
    write("done", [ours], status="finished")
    assert [find(restarts, [ours]) for restarts in (0, 1)] == [None, "done"], "a program may train more than once"
    write("mine", [ours], process=process.identity())
    assert find(1, [ours]) == "done", "this process made it"
