"""`monitor train mlp`, through click's runner and as a real process, on real event files and a real Visdom server."""

from __future__ import annotations

import json
import os
import re
import signal
from typing import TYPE_CHECKING

import pytest
import torch

from monitor.testing import wait_until
from tests.support import event_reader

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.processes import Start
    from tests.support.servers import VisdomServer
from tests.support.train_command import train


def test_a_run_from_the_launcher(tmp_path: Path, small_mnist: Path) -> None:
    result = train(tmp_path, small_mnist, "--epochs", 3, "--optimizer", "adam", "--lr", 0.01, "--seed", 7)
    assert result.exit_code == 0, result.output
    lines = result.output.splitlines()
    assert re.fullmatch(r"Model: 784-[\d-]+-10, [\d,]+ parameters", lines[0])
    assert [line.split("  ")[0] for line in lines[1:4]] == ["epoch 1/3", "epoch 2/3", "epoch 3/3"]
    run = tmp_path / "runs" / "a"
    assert f"Run: {run}" in result.output
    assert f"tensorboard --logdir {tmp_path / 'runs'}" in result.output
    loss = event_reader.series(run, "train/loss")
    assert [step for step, _ in loss] == list(range(24))
    assert loss[-1][1] < loss[0][1] / 2
    assert [step for step, _ in event_reader.series(run, "test/loss")] == [8, 16, 24]
    assert event_reader.series(run, "test/accuracy")[-1][1] > 0.8
    found = event_reader.read(run)
    assert set(found.Tags()["images"]) == {"samples", "predictions", "confusion", "timeline/predictions"}
    assert set(found.Tags()["histograms"]) == {
        f"weights/fc{layer}.{part}" for layer in (1, 2) for part in ("weight", "bias")
    }
    facts = json.loads((run / "run.json").read_text())
    assert facts["status"] == "finished"
    assert {name: facts["timelines"]["predictions"][name] for name in ("step", "tests", "samples")} == {
        "step": 24, "tests": 3, "samples": 64,
    }  # fmt: skip
    assert facts["seed"] == 7
    assert facts["config"]["data"] == "mnist"
    assert facts["config"]["hidden"] == [16]
    assert facts["versions"]["torch"] == torch.__version__.partition("+")[0]
    assert facts["start"] < facts["end"]
    assert facts["command"]
    assert set(facts["git"] or {"revision", "changed"}) == {"revision", "changed"}


def test_same_seed_same_curve_and_both_ways_to_start_are_one(tmp_path: Path, small_mnist: Path, start: Start) -> None:
    assert train(tmp_path, small_mnist, "--epochs", 2).exit_code == 0
    other = [
        "--data", "mnist", "--data-dir", str(small_mnist), "--logdir", str(tmp_path / "runs"), "--name", "b",
        "--batch-size", "50", "--hidden", "16", "--epochs", "2", "--sink", "tensorboard",
    ]  # fmt: skip
    process = start("-m", "runners.mlp", *other)
    _, err = process.communicate(timeout=200)
    assert process.returncode == 0, err
    assert train(tmp_path, small_mnist, "--epochs", 2, "--seed", 1).exit_code == 0
    first, second, third = (event_reader.series(tmp_path / "runs" / name, "train/loss") for name in ("a", "b", "a-2"))
    assert first == second
    assert first != third


def test_steps_between_logs_and_tests_can_be_chosen(tmp_path: Path, small_mnist: Path) -> None:
    assert train(tmp_path, small_mnist, "--epochs", 2, "--log-every", 5, "--test-every", 6).exit_code == 0
    run = tmp_path / "runs" / "a"
    assert [step for step, _ in event_reader.series(run, "train/loss")] == [0, 5, 10, 15]
    assert [step for step, _ in event_reader.series(run, "test/loss")] == [6, 12, 16]


def test_a_run_on_a_real_visdom_server(tmp_path: Path, small_mnist: Path, visdom_server: VisdomServer) -> None:
    sinks = ("--sink", "tensorboard", "--sink", visdom_server.spec("course"))
    result = train(tmp_path, small_mnist, "--epochs", 2, *sinks, "--chart", "speed=samples_*")
    assert result.exit_code == 0, result.output
    run = tmp_path / "runs" / "a"
    for title, name, tag in (
        ("loss", "train", "train/loss"),
        ("loss", "test", "test/loss"),
        ("accuracy", "test", "test/accuracy"),
    ):
        wanted = event_reader.series(run, tag)
        found = visdom_server.trace("course", title, name)
        assert [step for step, _ in found] == [step for step, _ in wanted]
        assert [value for _, value in found] == pytest.approx([value for _, value in wanted])
    windows = visdom_server.windows("course")
    assert "speed" in windows
    assert windows["samples"]["type"] == "image"
    assert len(windows["predictions"]["content"]["layout"]["sliders"][0]["steps"]) > 1
    assert "timeline/predictions" in windows
    assert "predicted / true" in windows["predictions (labels)"]["content"]
    assert "weights/fc1.weight" in windows
    assert "optimizer: sgd" in windows["config"]["content"]


@pytest.mark.slow
def test_a_visdom_server_that_stops_changes_nothing(
    tmp_path: Path, small_mnist: Path, own_visdom_server: VisdomServer, start: Start
) -> None:
    server = own_visdom_server

    def command(name: str, *sinks: str) -> list[str]:
        return [
            "-m", "runners.mlp", "--data", "mnist", "--data-dir", str(small_mnist), "--logdir", str(tmp_path / "runs"),
            "--name", name, "--hidden", "16", "--batch-size", "1", "--epochs", "30",
            *(word for sink in sinks for word in ("--sink", sink)),
        ]  # fmt: skip

    process = start(*command("with", "tensorboard", server.spec("stops")))
    wait_until(lambda: server.windows("stops").get("loss"), 60, "the first window")
    server.stop()
    assert process.poll() is None, "the server must stop in mid-run"
    _, stderr = process.communicate(timeout=200)
    assert process.returncode == 0, stderr
    warned = [line for line in stderr.splitlines() if line.startswith("WARNING: visdom: ConnectionError")]
    assert len(warned) == 1, stderr
    done = start(*command("without", "tensorboard"))
    done.communicate(timeout=200)
    tags = ("train/loss", "test/loss", "weights/fc1.weight")
    one, two = (event_reader.read(tmp_path / "runs" / name) for name in ("with", "without"))
    for tag in tags[:2]:
        assert [(e.step, e.value) for e in one.Scalars(tag)] == [(e.step, e.value) for e in two.Scalars(tag)]
    assert [e.histogram_value for e in one.Histograms(tags[2])] == [e.histogram_value for e in two.Histograms(tags[2])]


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_ends_the_run_in_good_order(
    tmp_path: Path, small_mnist: Path, start: Start, number: signal.Signals, status: int
) -> None:
    process = start(
        "-m", "runners.mlp", "--data", "mnist", "--data-dir", str(small_mnist), "--logdir", str(tmp_path),
        "--name", "a", "--epochs", "100000", "--hidden", "8", "--batch-size", "1", "--sink", "tensorboard",
    )  # fmt: skip
    run = tmp_path / "a"
    wait_until(lambda: any(file.stat().st_size > 2000 for file in run.glob("events.*")), 60, "the first points")
    process.send_signal(number)
    _, stderr = process.communicate(timeout=200)
    assert process.returncode == status, stderr
    assert "Traceback" not in stderr
    facts = json.loads((run / "run.json").read_text())
    assert facts["status"] == ("interrupted" if number == signal.SIGINT else "killed")
    if number != signal.SIGINT:
        assert facts["error"] == number.name
    steps = [step for step, _ in event_reader.series(run, "train/loss")]
    assert steps == list(range(len(steps)))
    assert len(steps) == facts["logged"]["tensorboard"]["delivered"] - other_records(run)


def other_records(run: Path) -> int:
    """Count what the event file holds beside the training loss."""
    found = event_reader.read(run)
    tags = found.Tags()
    derived = ("timeline/", "train/loss")  # of predictions, which are one record; and what the caller counts
    ours = [tag for tag in tags["scalars"] if not tag.startswith(derived) and not tag.endswith("/best")]
    count = sum(len(found.Scalars(tag)) for tag in ours)
    count += sum(len(found.Images(tag)) for tag in tags["images"] if not tag.startswith(derived))
    count += sum(len(found.Histograms(tag)) for tag in tags["histograms"])
    return count + 1  # the config


def test_a_reader_that_goes_away_does_not_end_the_training(tmp_path: Path, small_mnist: Path, start: Start) -> None:
    """As in `python -m runners.mlp … | head -c 1`."""
    reading, writing = os.pipe()
    more = ("--epochs", "3", "--sink", "tensorboard", "--sink", "console")
    where = ("--data", "mnist", "--data-dir", str(small_mnist), "--logdir", str(tmp_path), "--name", "a")
    process = start("-m", "runners.mlp", *where, *more, stdout=writing)
    os.close(writing)
    assert os.read(reading, 1)
    os.close(reading)
    _, err = process.communicate(timeout=200)
    assert process.returncode == 0, err
    assert "Traceback" not in err
    assert "Exception ignored" not in err
    assert [step for step, _ in event_reader.series(tmp_path / "a", "test/loss")] == [2, 4, 6]
    assert json.loads((tmp_path / "a" / "run.json").read_text())["status"] == "finished"
