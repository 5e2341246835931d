"""Runs on a real S3 server: live, through outages, and after SIGKILL."""

from __future__ import annotations

import json
import logging
import os
import signal
from functools import partial
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner, Result

import monitor
from monitor import Logger
from monitor.cli import main
from monitor.errors import MissingExtra
from monitor.remote.store import StoreError
from monitor.remote.urls import spool_path
from monitor.testing import wait_until
from tests.support import event_reader
from tests.support.processes import start_fresh
from tests.support.servers import FaultyServer
from tests.support.stores import BUCKET, Proxy, S3Server, use_store

if TYPE_CHECKING:
    from pathlib import Path


RUN = f"s3://{BUCKET}/runs/a"
KILLED = """
import sys
from monitor import Logger
log = Logger(sys.argv[1], ["tensorboard"], record="none", every_rank=True)
for step in range(5000):
    log.scalar("x", step, step)
assert log.flush()
print("logged", flush=True)
sys.stdin.readline()
"""


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


def points(server: S3Server, folder: Path, run: str = "runs/a", tag: str = "x") -> list[tuple[int, float]]:
    """Return the points of a run in the bucket, with TensorBoard's reader."""
    folder.mkdir(exist_ok=True)
    for name in server.objects(f"{run}/events"):
        (folder / name.rpartition("/")[2]).write_bytes(server.read(name))
    return event_reader.series(folder, tag)


def _has_segments(server: S3Server, count: int) -> bool:
    return len(server.objects("runs/a/events")) >= count


def status(server: S3Server, run: str = "runs/a") -> str:
    return str(json.loads(server.read(f"{run}/run.json"))["status"])


def test_a_run_is_in_the_store_while_it_runs_and_whole_at_its_end(s3: S3Server, tmp_path: Path) -> None:
    with Logger(RUN, ["tensorboard"], {"lr": 0.1}, record="none") as log:
        assert log.run.label == RUN
        assert log.run.path == spool_path(RUN)
        log.scalar("x", 0.5, 0)
        wait_until(lambda: s3.objects("runs/a/events") and s3.objects("runs/a/run.json"), 60, "the first segment")
        assert status(s3) == "running"
        for step in range(1, 2000):
            log.scalar("x", step, step)
        log.text("note", "text", 3)
    assert status(s3) == "finished"
    assert [step for step, _ in points(s3, tmp_path / "read")] == list(range(2000))
    listed = json.loads(invoke("runs", f"s3://{BUCKET}/runs", "--json").output)
    assert [(run["name"], run["status"]) for run in listed] == [("a", "finished")]
    (stored,) = monitor.read(f"s3://{BUCKET}/runs/*")
    assert stored.scalars("x").steps.tolist() == list(range(2000))
    with Logger(RUN, ["tensorboard"], record="none") as log:
        assert log.run.label == f"{RUN}-2"  # two runs are never mixed


def test_a_second_machine_gets_a_place_of_its_own(
    s3: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Logger(RUN, ["tensorboard"], record="none").close()
    monkeypatch.setenv("MONITOR_SPOOL", str(tmp_path / "another spool"))
    with Logger(RUN, ["tensorboard"], record="none") as log:
        assert log.run.label == f"{RUN}-2"
    assert {name.split("/")[1] for name in s3.objects("runs")} == {"a", "a-2"}


@pytest.mark.slow
def test_an_outage_is_survived_and_said_once(
    s3: S3Server, proxy: Proxy, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The port is closed in the middle of requests, twice; what is logged meanwhile goes up when it is open again."""
    caplog.set_level(logging.INFO, "monitor")

    def told(text: str) -> int:
        return sum(text in record.message for record in caplog.records)

    with Logger(RUN, ["tensorboard"], record="none") as log:
        for part in (0, 1):
            for step in range(part * 1000, part * 1000 + 1000):
                log.scalar("x", step, step)
            wait_until(partial(_has_segments, s3, part + 1), 60, "a segment")
            proxy.stop()
            for step in range(2000 + part * 1000, 3000 + part * 1000):
                log.scalar("y", step, step)
            wait_until(lambda: told("training goes on") > told("the upload goes on"), 60, "a line")
            proxy.start()
            wait_until(lambda: told("training goes on") == told("the upload goes on"), 60, "another line")
            assert told("training goes on") == part + 1
    assert status(s3) == "finished"
    assert [step for step, _ in points(s3, tmp_path / "read")] == list(range(2000))
    assert [step for step, _ in points(s3, tmp_path / "read", tag="y")] == list(range(2000, 4000))


@pytest.mark.slow
def test_a_server_that_lost_everything_gets_it_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The S3 server itself is killed, and starts again with an empty bucket."""
    server = S3Server()
    try:
        use_store(monkeypatch, server.url, tmp_path)
        with Logger(RUN, ["tensorboard"], record="none") as log:
            for step in range(1000):
                log.scalar("x", step, step)
            wait_until(lambda: server.objects("runs/a/events"), 60, "a segment")
            server.kill()
            for step in range(1000, 2000):
                log.scalar("x", step, step)
            assert log.flush()
            server.start()
            wait_until(lambda: server.objects("runs/a/events"), 60, "the segment again")
        assert [step for step, _ in points(server, tmp_path / "read")] == list(range(2000))
    finally:
        server.kill()


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["refused", "error", "hang"])
def test_a_store_that_is_down_at_the_end_leaves_the_run_here(
    fault: str, s3: S3Server, proxy: Proxy, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    log = Logger(RUN, ["tensorboard"], record="none", close_timeout=1)
    for step in range(1000):
        log.scalar("x", step, step)
    wait_until(lambda: s3.objects("runs/a/events"), 60, "a segment")
    proxy.stop()
    faulty = None if fault == "refused" else FaultyServer(fault, port=proxy.port)
    for step in range(1000, 2000):
        log.scalar("x", step, step)
    assert not log.close()  # the event file has it all, but not where the user wants it
    (line,) = [record.message for record in caplog.records if "is not complete" in record.message]
    assert f"in {log.run.path}; upload it with: monitor upload {RUN}" in line
    failed = invoke("upload", RUN) if fault == "refused" else None
    if faulty is not None:
        faulty.stop()
    proxy.start()
    assert failed is None or (failed.exit_code == 1 and "cannot be reached" in failed.output)
    done = invoke("upload")
    assert done.exit_code == 0
    assert f"{RUN}: complete, " in done.output
    assert invoke("upload", RUN, "--prune").output == f"{RUN}: complete\n{log.run.path}: removed\n"
    assert not log.run.path.exists()
    assert [step for step, _ in points(s3, tmp_path / "read")] == list(range(2000))
    assert status(s3) == "finished"


def test_the_rest_of_a_killed_training_goes_up_by_itself(s3: S3Server, tmp_path: Path) -> None:
    training = start_fresh("-c", KILLED, RUN, stdin=-1)
    assert training.stdout is not None
    assert training.stdout.readline() == "logged\n"
    training.kill()
    training.communicate(timeout=60)
    wait_until(lambda: len(points(s3, tmp_path / "read")) == 5000, 60, "the rest")
    wait_until(lambda: "complete" in invoke("upload", RUN).output, 60, "the end of the uploader")
    assert status(s3) == "lost"


@pytest.mark.slow
def test_an_uploader_that_is_killed_starts_again(
    s3: S3Server, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    others = set(_children_of(os.getpid()))
    log = Logger(RUN, ["tensorboard"], record="none")
    for part in range(2):
        for step in range(part * 1000, part * 1000 + 1000):
            log.scalar("x", step, step)
        count = part * 1000 + 1000
        wait_until(lambda count=count: len(points(s3, tmp_path / "read")) == count, 60, "the values")  # type: ignore[misc]
        (uploader,) = set(_children_of(os.getpid())) - others
        os.kill(uploader, signal.SIGKILL)
        wait_until(lambda: set(_children_of(os.getpid())) - others - {uploader}, 60, "another one")  # noqa: B023
    log.scalar("x", 2000, 2000)
    assert log.close()
    assert [step for step, _ in points(s3, tmp_path / "read")] == list(range(2001))
    told = [record.message for record in caplog.records if record.levelname == "WARNING"]
    assert told == 2 * [f"{RUN}: the process that uploads has ended without a word, and starts again"]


def test_what_a_killed_training_and_its_uploader_left_is_uploaded_by_a_command(
    s3: S3Server, proxy: Proxy, tmp_path: Path
) -> None:
    training = start_fresh("-c", KILLED, RUN, stdin=-1, start_new_session=True)
    assert training.stdout is not None
    assert training.stdout.readline() == "logged\n"
    proxy.stop()
    children = _children_of(training.pid)
    training.kill()
    for child in children:  # the machine went down
        os.kill(child, signal.SIGKILL)
    training.communicate(timeout=60)
    proxy.start()
    outputs: list[str] = []

    def is_uploaded() -> bool:
        outputs.append(invoke("upload").output)
        return "complete, " in outputs[-1]

    wait_until(is_uploaded, 60, "the upload")
    assert [step for step, _ in points(s3, tmp_path / "read")] == list(range(5000))
    assert status(s3) == "lost", outputs


def test_ranks_upload_their_own_event_files(s3: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from monitor.runs.run import Run
    from monitor.sinks.tensorboard import TensorBoardSink

    with Logger(RUN, ["tensorboard"], record="none") as log:
        log.scalar("x", 1.0, 0)
        monkeypatch.setenv("RANK", "1")
        monkeypatch.setenv("WORLD_SIZE", "2")
        with Logger(Run(log.run.path, is_written=False), [TensorBoardSink(1)], every_rank=True, record="none") as rank:
            rank.scalar("rank 1/x", 2.0, 0)
        monkeypatch.delenv("RANK")
    assert sum(name.endswith(".rank1") for name in s3.objects("runs/a")) == 1
    assert points(s3, tmp_path / "read", tag="rank 1/x") == [(0, 2.0)]


@pytest.mark.usefixtures("s3")
def test_what_cannot_work_is_said_before_the_training(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(StoreError, match="s3://no-bucket/a cannot be used: The specified bucket does not exist"):
        Logger("s3://no-bucket/a", ["tensorboard"])
    with pytest.raises(MissingExtra, match=r"gs:// needs the extra gcs: pip install 'training-monitor\[gcs\]'"):
        Logger("gs://bucket/a", ["tensorboard"])
    with pytest.raises(StoreError, match="Protocol not known: nothing"):
        Logger("nothing://bucket/a", ["tensorboard"])
    train = ["train", "mlp", "--logdir", "s3://no-bucket/runs", "--sink", "tensorboard"]
    for command in (train, ["runs", "s3://no-bucket/runs"]):
        result = invoke(*command)
        assert result.exit_code == 2
        assert "The specified bucket does not exist" in result.output
        assert result.output.strip().count("\n") == 0
    assert not list(spool_path("s3://no-bucket").rglob("*.json"))
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    code = f"from monitor import Logger; Logger({RUN!r}, ['tensorboard'])"
    refused = start_fresh("-c", code, env={**os.environ, "AWS_EC2_METADATA_DISABLED": "true", "HOME": "/nonexistent"})
    error = refused.communicate(timeout=60)[1].splitlines()[-1]
    assert error.endswith(f"{RUN} cannot be used: Unable to locate credentials; check the credentials and the address")


def _children_of(pid: int) -> list[int]:
    import psutil

    return [child.pid for child in psutil.Process(pid).children()]
