"""`monitor replay`: event files, finished or growing, on their way to any sink."""

from __future__ import annotations

import signal
import subprocess
from typing import TYPE_CHECKING

import numpy as np
import pytest
from click.testing import CliRunner, Result
from tensorboard.compat.proto.tensor_pb2 import TensorProto

from monitor import Logger, reopen
from monitor.cli import main
from monitor.runs.run_file import read_run_file
from monitor.testing import wait_until
from tests.support import event_reader, foreign

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.processes import Start
    from tests.support.servers import VisdomServer


def replay(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["replay", *map(str, arguments)])


def test_to_visdom(tmp_path: Path, visdom_server: VisdomServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    loss = [foreign.event(n, foreign.scalar("train/loss", 1 / (n + 1), named=not n)) for n in range(50)]
    picture = np.zeros((8, 8), np.uint8)
    foreign.write(
        tmp_path / "logs" / "one" / "tfevents",
        *loss,
        foreign.event(50, foreign.text("notes", "done")),
    )
    foreign.write(
        tmp_path / "logs" / "sub" / "two" / "tfevents",
        foreign.event(
            3,
            foreign.simple("test/acc", 0.5),
            foreign.images("shown", picture),
            foreign.old_histogram("w"),
        ),
        foreign.event(
            3,
            foreign.tensor("mesh", "mesh", TensorProto(dtype=foreign.FLOAT)),
        ),
    )
    result = replay(tmp_path / "logs", "--sink", visdom_server.spec())
    assert result.exit_code == 0, result.output
    assert "one: 50 scalars, 1 text\n" in result.stdout
    assert "sub/two: 1 scalar, 1 picture, 1 histogram; skipped: 1 × mesh\n" in result.stdout
    found = visdom_server.trace("one", "loss", "train")
    assert [step for step, _ in found] == list(range(50))
    assert [value for _, value in found] == pytest.approx([1 / (n + 1) for n in range(50)])
    assert "done" in visdom_server.windows("one")["notes"]["content"]
    windows = visdom_server.windows("sub_two")
    assert set(windows) == {"acc", "shown", "w"}
    (bars,) = windows["w"]["content"]["data"]
    for left, right, count in ((0.5, 1.0, 2), (1.0, 2.0, 3), (2.0, 2.5, 1)):  # the buckets, as far as there are values
        inside = [
            (y, width) for x, y, width in zip(bars["x"], bars["y"], bars["width"]) if left + width < x < right - width
        ]
        assert len(inside) > 5
        assert [y for y, _ in inside] == pytest.approx([count * width / (right - left) for _, width in inside])


def test_to_tensorboard(tmp_path: Path) -> None:
    with Logger(tmp_path / "runs" / "a", ["tensorboard"], {"lr": 0.5}) as log:
        for step in range(20):
            log.scalars({"train/loss": 1.0, "test/loss": abs(step - 7) / 8}, step)
        log.histogram("w", np.linspace(0, 1, 100), 19)
    result = replay(tmp_path / "runs", "--sink", "tensorboard", "--logdir", tmp_path / "again")
    assert result.exit_code == 0, result.output
    for tag in ("train/loss", "test/loss", "test/loss/best"):
        assert event_reader.series(tmp_path / "again" / "a", tag) == event_reader.series(tmp_path / "runs" / "a", tag)
    histogram = event_reader.read(tmp_path / "again" / "a").Histograms("w")[0].histogram_value
    assert sum(histogram.bucket) == 100


def test_bad_input_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "empty").mkdir()
    cases: list[tuple[list[object], str]] = [
        ([tmp_path / "none", "--sink", "console"], "does not exist"),
        ([tmp_path / "empty", "--sink", "console"], "there are no event files"),
        ([tmp_path / "empty"], "Missing option '--sink'"),
        ([tmp_path / "empty", "--sink", "nowhere"], "there are no event files"),
    ]
    for arguments, says in cases:
        result = replay(*arguments)
        assert result.exit_code == 2
        assert says in result.stderr
        assert result.stderr.count("\n") == 1
    monkeypatch.chdir(tmp_path)
    foreign.write(tmp_path / "runs" / "named" / "tfevents", foreign.event(0, foreign.simple("a", 1)))
    assert "named: 1 scalar" in replay("named", "--sink", "console").stdout
    foreign.write(tmp_path / "a" / "tfevents")
    assert "unknown sink 'nowhere'" in replay(tmp_path, "--sink", "nowhere").stderr
    assert "needs --logdir" in replay(tmp_path, "--sink", "tensorboard").stderr
    for inside in (tmp_path, tmp_path / "copy"):  # it would read what it has written
        refused = replay(tmp_path, "--sink", "tensorboard", "--logdir", inside)
        assert (refused.exit_code, refused.stderr.count("\n")) == (2, 1)
        assert f"{str(inside)!r} is in {str(tmp_path)!r}, which is read." in refused.stderr
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "tfevents").write_text("import torch")
    damaged = replay(tmp_path / "b", "--sink", "console")
    assert (damaged.exit_code, "b: nothing; skipped: 1 × damaged" in damaged.stdout) == (1, True)


WRITES = """
import sys, time
from monitor import Logger, reopen
with Logger(sys.argv[1], ["tensorboard"]) as log:
    for step in range(1000):
        log.scalar("a", float(step), step)
        if step == 500:
            log.flush()
            print("half", flush=True)
            sys.stdin.readline()
"""


def test_following_a_run_that_goes_on_and_is_restarted(
    tmp_path: Path, visdom_server: VisdomServer, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    run = tmp_path / "logs" / "a"
    following = start("-m", "monitor", "replay", str(tmp_path / "logs"), "--sink", visdom_server.spec(), "--follow")
    (tmp_path / "logs").mkdir()
    writing = start("-c", WRITES, str(run), stdin=subprocess.PIPE)

    def last() -> float | None:
        windows = visdom_server.windows("a")
        return windows["a"]["content"]["data"][0]["y"][-1] if "a" in windows else None

    try:
        assert writing.stdout is not None
        assert writing.stdout.readline() == "half\n"
        wait_until(lambda: last() == 500, 60, "the first half")
        writing.communicate("\n", timeout=200)
        wait_until(lambda: last() == 999, 60, "the second half")
        foreign.write(
            run / "z.tfevents",
            foreign.restart(400),
            foreign.event(400, foreign.simple("a", -1)),
        )
        wait_until(lambda: last() == -1, 60, "the restart")
    finally:
        following.send_signal(signal.SIGINT)
    out, err = following.communicate(timeout=200)
    assert following.returncode == 0, err
    assert "a: 1,001 scalars" in out
    xs = visdom_server.windows("a")["a"]["content"]["data"][0]["x"]
    assert xs[-1] == 400
    assert max(xs) == 400


def test_the_metrics_of_a_resumed_run(tmp_path: Path) -> None:
    """What was logged again does not count, and neither does the time of the replay."""
    with Logger(tmp_path / "runs" / "a", ["tensorboard"]) as log:
        log.scalar("test/loss", 0.5, 0)
        log.checkpoint("c", 1)
        log.scalar("test/loss", 0.1, 1)
    with Logger(reopen(tmp_path / "runs" / "a", "c", 1), ["tensorboard"]) as log:
        log.scalar("test/loss", 0.3, 1)
    ended = read_run_file(tmp_path / "runs" / "a")
    assert replay(tmp_path / "runs" / "a", "--sink", "tensorboard", "--logdir", tmp_path / "out").exit_code == 0
    copy = read_run_file(tmp_path / "out" / "a")
    metric = copy["metrics"]["test/loss"]
    assert (metric["last"], metric["best"], metric["best_step"]) == pytest.approx((0.3, 0.3, 1))
    assert copy["progress"] == {"step": 1}
    assert copy["start"] >= ended["start"]
    assert copy["end"] <= ended["end"]
