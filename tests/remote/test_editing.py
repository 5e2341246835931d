"""Notes and tags of runs in a store: where they were logged, and from other machines."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner, Result

from monitor import Logger, reopen
from monitor.cli import main
from monitor.remote.urls import spool_path
from monitor.runs.listing import load
from tests.support import event_reader
from tests.support.stores import BUCKET

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.stores import S3Server

RUNS = f"s3://{BUCKET}/runs"
RUN = f"{RUNS}/a"


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


def said(*arguments: str) -> str:
    done = invoke(*arguments)
    assert done.exit_code == 0, done.output
    return done.stdout


@pytest.fixture
def machines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Return the spools of two machines; this is the first."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("MONITOR_VISDOM_PORT", "1")
    return [tmp_path / "spool", tmp_path / "another spool"]


def test_notes_and_tags_reach_the_store_from_any_machine(
    s3: S3Server, machines: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Logger(RUN, ["tensorboard"], record="none") as log:
        log.scalar("x", 1.0, 1)
        log.checkpoint("one", 1)
    said("note", RUN, "from here")
    assert said("tag", "a", "baseline", "--logdir", RUNS) == "baseline\n"
    monkeypatch.setenv("MONITOR_SPOOL", str(machines[1]))
    said("note", "a", "from afar", "--logdir", RUNS)
    assert said("tag", RUN, "paper") == "baseline, paper\n"
    assert not machines[1].exists(), "nothing but run.json was downloaded"
    assert [line.split("  ")[1] for line in said("note", RUN).splitlines()] == ["from here", "from afar"]
    assert "baseline, paper" in said("runs", RUNS, "--filter", "tags~paper")
    monkeypatch.setenv("MONITOR_SPOOL", str(machines[0]))
    monkeypatch.setenv("MONITOR_REMOTE_CACHE", str(tmp_path / "another cache"))
    said("note", RUN, "from here, again")
    folder = tmp_path / "read"
    folder.mkdir()
    for name in s3.objects("runs/a/events"):
        (folder / name.rpartition("/")[2]).write_bytes(s3.read(name))
    assert [text.strip() for text in event_reader.text(folder, "run notes")] == [
        "from here", "from afar", "from here, again"
    ]  # fmt: skip
    resumed = resume(RUN)
    assert [note["text"] for note in resumed["notes"]] == ["from here", "from afar", "from here, again"]
    assert resumed["tags"] == ["baseline", "paper"]


def resume(url: str) -> dict[str, Any]:
    """Resume a run, end it, and return its fields."""
    with Logger(reopen(url, "one", 1), ["tensorboard"], record="none") as log:
        log.scalar("x", 2.0, 2)
    return dict(load(spool_path(url)).fields)


@pytest.mark.usefixtures("machines")
def test_what_cannot_be_changed_in_a_store_is_said(s3: S3Server) -> None:
    with Logger(RUN, ["tensorboard"], record="none") as log:
        log.scalar("x", 1.0, 1)
        going = invoke("note", RUN, "too early")
    before = s3.read("runs/a/run.json")
    cases = [
        (going, "still running"),
        (invoke("note", f"{RUNS}/b", "x"), f"there is no run '{RUNS}/b'"),
        (invoke("note", RUN, " "), "is empty"),
        (invoke("tag", RUN, "--remove", "none"), "the run has no tag 'none'"),
        (invoke("mv", RUN, "b"), f"'{RUN}' is in a store, where only its notes and tags can be changed"),
        (invoke("rm", RUN), f"'{RUN}' is in a store, where only its notes and tags can be changed"),
        (invoke("rm", "a", "--logdir", RUNS), "a local path is needed here"),
        (invoke("note", f"s3://{BUCKET}-none/a", "x"), f"there is no run 's3://{BUCKET}-none/a'"),
    ]
    for result, says in cases:
        assert (result.exit_code, result.stderr.count("\n")) == (2, 1), result.output
        assert says in result.stderr
    assert s3.read("runs/a/run.json") == before
    assert "notes" not in json.loads(before)


def test_a_lost_run_of_another_machine_is_left_alone(
    s3: S3Server, machines: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    with Logger(RUN, ["tensorboard"], record="none") as log:
        log.scalar("x", 1.0, 1)
    fields = json.loads(s3.read("runs/a/run.json"))
    fields |= {"status": "running", "heartbeat": "2026-01-01T00:00:00+00:00"}
    fields["process"]["machine"] = "another"
    s3.write("runs/a/run.json", json.dumps(fields).encode())
    claim = s3.read("runs/a/.claim")
    monkeypatch.setenv("MONITOR_SPOOL", str(machines[1]))
    result = invoke("note", RUN, "x")
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    assert f"the run '{RUN}' was lost, and its machine may still upload the rest of it" in result.stderr
    assert (s3.read("runs/a/.claim"), json.loads(s3.read("runs/a/run.json"))) == (claim, fields)
