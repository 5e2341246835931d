"""Notes, tags, renaming, and the trash: in `run.json`, in TensorBoard, and on Visdom's pages."""

from __future__ import annotations

import json
import os
import re
import time
from typing import TYPE_CHECKING, Any

import pytest
import requests
from click.testing import CliRunner, Result
from tensorboardX import SummaryWriter

from monitor import Logger
from monitor.cli import main
from monitor.runs.listing import load
from monitor.runs.processes import process
from monitor.runs.run_file import timestamp
from monitor.sinks.visdom.sink import VisdomSink
from tests.support import event_reader

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.servers import VisdomServer


@pytest.fixture
def logdir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a log directory with two runs, where no server is looked for."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("MONITOR_VISDOM_PORT", "1")
    for name in ("a", "b"):
        with Logger(tmp_path / "runs" / name, ["tensorboard"], {"lr": 0.1}) as log:
            log.scalar("test/loss", 0.5, 7)
    return tmp_path / "runs"


def run(logdir: Path, *arguments: str) -> Result:
    result = CliRunner().invoke(main, [*arguments, "--logdir", str(logdir)])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def done(logdir: Path, *arguments: str) -> str:
    result = run(logdir, *arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


def refused(logdir: Path, *arguments: str) -> str:
    before = {path: path.read_bytes() for path in logdir.rglob("*") if path.is_file()}
    result = run(logdir, *arguments)
    assert result.exit_code == 2, result.output
    assert re.fullmatch(r"Error: [^\n]+\n", result.stderr)
    assert {path: path.read_bytes() for path in logdir.rglob("*") if path.is_file()} == before
    return result.stderr


def test_notes_and_tags_are_in_run_json_and_in_tensorboard(logdir: Path) -> None:
    done(logdir, "note", "a", "the learning rate is too high")
    done(logdir, "note", "a", "a second thought")
    assert done(logdir, "tag", "a", "baseline", "paper") == "baseline, paper\n"
    assert done(logdir, "tag", "a", "--remove", "paper") == "baseline\n"
    assert [line.split("  ")[1] for line in done(logdir, "note", "a").splitlines()] == [
        "the learning rate is too high", "a second thought",
    ]  # fmt: skip
    assert done(logdir, "tag", "a") == "baseline\n"
    assert done(logdir, "tag", "b") == "no tags\n"
    info = load(logdir / "a")
    assert (info.status, info.tags, info.config) == ("finished", "baseline", {"lr": 0.1})
    assert event_reader.text(logdir / "a", "run notes") == ["    the learning rate is too high", "    a second thought"]
    assert event_reader.text(logdir / "a", "run tags") == ["    baseline, paper", "    baseline"]
    assert event_reader.series(logdir / "a", "test/loss") == [(7, 0.5)]
    listed = CliRunner().invoke(main, ["runs", str(logdir), "--filter", "tags~baseline and notes~second", "--json"])
    assert [found["name"] for found in json.loads(listed.stdout)] == ["a"]


def test_another_name_and_the_trash(logdir: Path) -> None:
    assert "is now" in done(logdir, "mv", "a", "renamed")
    assert (load(logdir / "renamed").fields["name"], (logdir / "a").exists()) == ("renamed", False)
    assert f"back with: monitor rm --restore --logdir {logdir} b\n" in done(logdir, "rm", "b")
    assert not (logdir / "b").exists()
    assert [path.name for path in logdir.iterdir()] == ["renamed"], "TensorBoard and runs must not find the trash"
    assert done(logdir, "rm", "--restore") == "b\n"
    with Logger(logdir / "b", ["tensorboard"]):
        pass  # another run of the name
    assert "there is a run" in refused(logdir, "rm", "--restore", "b")
    done(logdir, "rm", "b")
    assert done(logdir, "rm", "--restore").split() == ["b", "b-2"]
    done(logdir, "rm", "--restore", "b")
    assert event_reader.series(logdir / "b", "test/loss") == [(7, 0.5)]
    assert "there is a run" in refused(logdir, "rm", "--restore", "b-2")
    done(logdir, "mv", "b", "first")
    assert done(logdir, "rm", "--restore", "b-2").endswith("runs/b\n"), "where it was"
    assert event_reader.series(logdir / "b", "test/loss") == []
    done(logdir, "rm", "*")
    assert list(logdir.iterdir()) == []


def test_what_cannot_be_changed_is_refused_and_stays(logdir: Path) -> None:
    fields: dict[str, Any] = json.loads((logdir / "b" / "run.json").read_text())
    running = {**fields, "status": "running", "process": process.identity(), "heartbeat": timestamp(time.time())}
    (logdir / "b" / "run.json").write_text(json.dumps(running))
    for arguments in (["note", "b", "x"], ["tag", "b", "x"], ["mv", "b", "c"], ["rm", "b"], ["rm", "a", "b"]):
        assert f"is still running, in process {os.getpid()}" in refused(logdir, *arguments)
    assert "did you mean 'a'" in refused(logdir, "note", "A", "x")
    assert "there is a run" in refused(logdir, "mv", "a", "b")
    assert "is not a valid name" in refused(logdir, "mv", "a", "../c")
    assert "is empty" in refused(logdir, "note", "a", " ")
    assert "is not a tag" in refused(logdir, "tag", "a", "x,y")
    assert "has no tag 'x'" in refused(logdir, "tag", "a", "--remove", "x")
    assert "Missing argument 'RUN...'" in refused(logdir, "rm")
    writer = SummaryWriter(str(logdir / "theirs"))
    writer.add_scalar("loss", 1.0, 0)
    writer.close()
    assert "has no run.json: another program wrote it" in refused(logdir, "note", "theirs", "x")
    assert "may still be running: its event files changed" in refused(logdir, "rm", "theirs")
    for file in (logdir / "theirs").iterdir():
        os.utime(file, (time.time() - 120,) * 2)
    done(logdir, "rm", "theirs")


def test_visdom_s_pages_follow(tmp_path: Path, visdom_server: VisdomServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("MONITOR_VISDOM_PORT", str(visdom_server.port))
    logdir = tmp_path / "runs"
    sink = VisdomSink("127.0.0.1", visdom_server.port)
    with Logger(logdir / "a", [sink]) as log:
        log.scalar("test/loss", 0.5, 7)
        log.text("notes", "of the script", 7)
    sink.save(logdir / "a" / "visdom")

    def saved(name: str) -> dict[str, Any]:
        windows = json.loads((logdir / name / "visdom" / f"{name}.json").read_text())["jsons"]
        return {window["title"]: window for window in windows.values()}

    before = set(saved("a"))
    done(logdir, "note", "a", "too <b>high</b>")
    for windows in (visdom_server.windows("a"), saved("a")):
        assert "too &lt;b&gt;high" in windows["run notes"]["content"]
        assert "of the script" in windows["notes"]["content"]
        assert "high" not in windows["notes"]["content"]
    assert set(saved("a")) == before | {"run notes"}
    done(logdir, "mv", "a", "c")
    assert set(visdom_server.windows("c")) == before | {"run notes"}
    assert set(saved("c")) == before | {"run notes"}
    assert visdom_server.windows("a") == {}
    done(logdir, "note", "c", "under another name")
    shown = requests.post(f"{visdom_server.url}/win_data", json={"win": None, "eid": "c"}, timeout=60).json()
    kept = json.loads((logdir / "c" / "visdom" / "c.json").read_text())["jsons"]
    for found in (shown, kept):
        (notes,) = (window for window in found.values() if window["title"] == "run notes")
        assert "under another name" in notes["content"], "the same window has all notes"
    done(logdir, "rm", "c")
    assert visdom_server.windows("c") == {}
    done(logdir, "rm", "--restore", "c")
    assert set(saved("c")) == before | {"run notes"}


def test_a_run_in_which_another_runs_stays_where_it_is(logdir: Path) -> None:
    with Logger(logdir / "a" / "inner", ["tensorboard"]):
        for arguments in (["rm", "a"], ["mv", "a", "c"]):
            assert "/a/inner' is still running" in refused(logdir, *arguments)
    done(logdir, "mv", "a", "c")
    done(logdir, "rm", "c")


def test_control_characters_in_names_are_spelled_out(logdir: Path) -> None:
    (logdir / "a").rename(logdir / "bad\x1b[2Jname")
    assert "\x1b" not in done(logdir, "mv", "bad\x1b[2Jname", "good")
    (logdir / "good").rename(logdir / "bad\x1b[2Jname")
    assert "\x1b" not in done(logdir, "rm", "bad*")
    assert "bad\\u001b[2Jname" in done(logdir, "rm", "--restore")
