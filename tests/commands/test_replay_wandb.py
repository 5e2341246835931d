"""`monitor replay` of runs of W&B: one or many, to any sink, under their names, with their settings and their ends."""

from __future__ import annotations

import json
import signal
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner, Result

from monitor.cli import main
from monitor.testing import wait_until
from tests.support import event_reader, foreign, wandb_logs
from tests.support.wandb_logs import end, other, row, run, write

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.processes import Start
    from tests.support.servers import VisdomServer


def replay(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["replay", *map(str, arguments)])


def log_file(folder: Path, number: int) -> Path:
    return folder / "wandb" / f"offline-run-20261124_09301{number}-id{number}" / f"run-id{number}.wandb"


def rows(count: int) -> list[Any]:
    return [row(step, {"train/loss": 1 / (step + 1), "epoch": step // 10}, 1000.0 + step) for step in range(count)]


def test_a_folder_of_runs_to_tensorboard(tmp_path: Path) -> None:
    write(log_file(tmp_path, 0), run("id0", "baseline", {"lr": 0.1, "opt": {"name": "adam"}}), *rows(30), end())
    write(log_file(tmp_path, 1), run("id1", "baseline"), *rows(10), other("stats"), end(1))
    write(log_file(tmp_path, 2), run("id2"), *rows(5), end(255))
    write(log_file(tmp_path, 3), run("id3", "../a/b"), *rows(2))
    write(log_file(tmp_path, 4), *rows(1))
    (tmp_path / "wandb" / "latest-run").symlink_to(log_file(tmp_path, 3).parent)
    logdir = tmp_path / "out" / "runs"
    result = replay(tmp_path / "wandb", "--sink", "tensorboard", "--logdir", logdir)
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[:5] == [
        "baseline: 60 scalars, 1 config",
        "baseline-2: 20 scalars; skipped: 1 × system metrics; failed: exit code 1",
        "id2: 10 scalars; interrupted: Ctrl-C",
        "-a-b: 4 scalars; lost: the log has no end",
        "offline-run-20261124_093014-id4: 2 scalars; lost: the log has no end",
    ]
    losses = event_reader.series(logdir / "baseline", "train/loss")
    assert [step for step, _ in losses] == list(range(30))
    assert [value for _, value in losses] == pytest.approx([1 / (step + 1) for step in range(30)])
    first = json.loads((logdir / "baseline" / "run.json").read_text())
    assert (first["status"], first["config"]) == ("finished", {"lr": 0.1, "opt.name": "adam"})
    assert first["metrics"]["train/loss"] == {
        "last": pytest.approx(1 / 30), "step": 29, "best": pytest.approx(1 / 30), "best_step": 29, "goal": "min",
    }  # fmt: skip
    assert first["progress"] == {"step": 29}
    assert (first["start"], first["end"]) == ("1970-01-01T00:16:40.000+00:00", "1970-01-01T00:17:09.000+00:00")
    listed = json.loads(CliRunner().invoke(main, ["runs", str(logdir), "--json"]).stdout)
    assert {run["name"]: run["status"] for run in listed} == {
        "baseline": "finished", "baseline-2": "failed", "id2": "interrupted", "-a-b": "lost",
        "offline-run-20261124_093014-id4": "lost",
    }  # fmt: skip
    assert {run["name"]: run["duration"] for run in listed}["baseline"] == 29
    table = CliRunner().invoke(main, ["runs", str(logdir), "--metric", "train/loss"])
    assert table.exit_code == 0, table.output
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["runs"]


def test_one_run_to_visdom(tmp_path: Path, visdom_server: VisdomServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    file = write(log_file(tmp_path, 0), run("id0", "base line"), *rows(30), end())
    for path in (file, file.parent):
        visdom_server.clear()
        result = replay(path, "--sink", visdom_server.spec())
        assert result.exit_code == 0, result.output
        assert f"Visdom: {visdom_server.url}/env/base-line\n" in result.stdout
        assert [step for step, _ in visdom_server.trace("base-line", "loss", "train")] == list(range(30))


def test_event_files_beside_runs_of_wandb(tmp_path: Path) -> None:
    """What W&B copied into the folder of its run is not another run."""
    write(log_file(tmp_path, 0), run("id0"), *rows(3), end())
    foreign.write(log_file(tmp_path, 0).parent / "files" / "tfevents", foreign.event(0, foreign.simple("a", 1)))
    foreign.write(tmp_path / "id0" / "tfevents", foreign.event(0, foreign.simple("a", 1)))
    result = replay(tmp_path, "--sink", "console")
    assert result.stdout.splitlines() == ["id0: 1 scalar", "id0-2: 6 scalars"]


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    file = log_file(tmp_path, 0)
    write(file, run("id0"), *rows(3), end(), version=7)
    result = replay(tmp_path, "--sink", "console")
    assert result.exit_code == 1
    expected = "nothing; skipped: run-id0.wandb (version 7 of W&B's log format is not known); lost: the log has no end"
    assert result.stdout == f"{file.parent.name}: {expected}\n"
    file.unlink()
    file.mkdir()
    result = replay(tmp_path, "--sink", "console")
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    assert "no logs of W&B (run-*.wandb)" in result.stderr


def test_following_a_run_until_its_end(
    tmp_path: Path, visdom_server: VisdomServer, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    following = start("-m", "monitor", "replay", str(tmp_path / "wandb"), "--sink", visdom_server.spec(), "--follow")
    assert following.stdout is not None
    lines = following.stdout
    data = wandb_logs.framed([record.SerializeToString() for record in (run("id0", "live"), *rows(200), end())])
    file = log_file(tmp_path, 0)
    try:
        assert lines.readline() == f"Visdom: {visdom_server.url}\n"
        assert lines.readline() == f"Waiting for logs in {tmp_path / 'wandb'}; Ctrl-C ends\n"
        file.parent.mkdir(parents=True)
        file.write_bytes(data[:10])
        file.write_bytes(data[: len(data) // 2])
        assert lines.readline() == f"live: {visdom_server.url}/env/live\n"
        wait_until(lambda: "loss" in visdom_server.windows("live"), 60, "the first half")
        file.write_bytes(data)
        assert lines.readline() == "live: 400 scalars\n"
        assert [step for step, _ in visdom_server.trace("live", "loss", "train")] == list(range(200))
    finally:
        following.send_signal(signal.SIGINT)
    out, err = following.communicate(timeout=200)
    assert (following.returncode, out) == (0, ""), err
