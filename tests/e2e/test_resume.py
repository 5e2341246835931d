"""A run that is killed, at whatever moment, goes on from its checkpoint as if nothing had happened."""

from __future__ import annotations

import json
import os
import pickle
import random
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
from click.testing import CliRunner, Result

from monitor import Logger, Run
from monitor.cli import main
from monitor.errors import DataError
from monitor.runs.listing import load
from monitor.runs.resume import mark_lost_runs, reopen
from monitor.testing import wait_until
from runners.training import checkpoints
from tests.support import event_reader
from tests.support.fork_server import Nursery

if TYPE_CHECKING:
    import subprocess

    from tests.support.servers import VisdomServer

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def nursery() -> Iterator[Nursery]:
    made = Nursery()
    yield made
    made.close()


def train(folder: Path, data: Path, *arguments: object) -> Result:
    return CliRunner().invoke(main, ["train", "mlp", *settings(folder, data), *map(str, arguments)])


def settings(folder: Path, data: Path) -> list[str]:
    return [
        "--data", "mnist", "--data-dir", str(data), "--logdir", str(folder), "--hidden", "16", "--batch-size", "20",
        "--sink", "tensorboard", "--optimizer", "adam", "--dropout", "0.3", "--scheduler", "cosine", "--seed", "3",
    ]  # fmt: skip


def resume(folder: Path, *arguments: object) -> Result:
    return CliRunner().invoke(main, ["train", "mlp", "--resume", *map(str, arguments), "--logdir", str(folder)])


def logged(run: Path) -> dict[str, Any]:
    """Return all that TensorBoard knows of a run, but for times and speeds."""
    found = event_reader.read(run)
    tags = found.Tags()
    everything: dict[str, Any] = {
        tag: [(e.step, e.value) for e in found.Scalars(tag)] for tag in tags["scalars"] if "per_second" not in tag
    }
    everything |= {tag: [(e.step, e.encoded_image_string) for e in found.Images(tag)] for tag in tags["images"]}
    everything |= {tag: [(e.step, e.histogram_value) for e in found.Histograms(tag)] for tag in tags["histograms"]}
    return everything | {tag: event_reader.text(run, tag) for tag in ("config",)}


def weights(run: Path) -> tuple[str, dict[str, torch.Tensor]]:
    name, state = checkpoints.load(run)
    return name.rpartition("-")[0], state["model"]


def test_killed_at_ten_random_moments(
    tmp_path: Path, small_mnist: Path, nursery: Nursery, visdom_server: VisdomServer
) -> None:
    every = ["--epochs", "120", "--test-every", "200", "--checkpoint-every", "50", "--sink", visdom_server.spec()]
    nursery.spawn(*settings(tmp_path, small_mnist), "--name", "whole", *every)
    assert nursery.exit_code() == 0
    run, kept = tmp_path / "cut", tmp_path / "cut" / "checkpoints"
    chance = random.Random(20)
    pid = nursery.spawn(*settings(tmp_path, small_mnist), "--name", "cut", *every)
    kills = 0
    while kills < 10:
        before = set(checkpoints.list_checkpoints(kept))
        wait_until(lambda before=before: set(checkpoints.list_checkpoints(kept)) - before, 30, "a checkpoint")  # type: ignore[misc]
        time.sleep(chance.uniform(0, 0.15))
        os.kill(pid, signal.SIGKILL)
        assert nursery.exit_code() == -signal.SIGKILL, "it should have been killed before it was through"
        kills += 1
        assert load(run).status == "lost"
        pid = nursery.spawn("--resume", "cut", "--logdir", tmp_path)
    assert nursery.exit_code() == 0
    assert load(run).status == "finished"
    assert [life["status"] for life in json.loads((run / "run.json").read_text())["lives"]] == ["lost"] * 10
    assert sorted(path.parent.name for path in tmp_path.glob("*/run.json")) == ["cut", "whole"]
    whole, cut = logged(tmp_path / "whole"), logged(run)
    assert set(whole) == set(cut)
    for tag in whole:
        assert cut[tag] == whole[tag], tag
    steps = [step for step, _ in cut["train/loss"]]
    assert steps == list(range(2400))
    assert cut["best/test/accuracy"] == whole["best/test/accuracy"]
    (name, ours), (other, theirs) = weights(run), weights(tmp_path / "whole")
    assert name == other == "step-000000002400"
    assert all(torch.equal(ours[key], theirs[key]) for key in theirs)
    for title in ("train loss", "test loss & accuracy"):
        contents = [visdom_server.windows(env)[title]["content"]["data"] for env in ("cut", "whole")]
        shown, expected = ([(trace["x"], trace["y"]) for trace in content] for content in contents)
        for (x, y), (wanted_x, wanted_y) in zip(shown, expected, strict=True):
            assert x == sorted(set(x))
            both = set(x) & set(wanted_x)  # which of a long curve's points are kept depends on how it came
            assert len(both) > (100 if title == "train loss" else 11)
            wanted = [v for s, v in zip(wanted_x, wanted_y) if s in both]
            assert [v for s, v in zip(x, y) if s in both] == pytest.approx(wanted)
    assert sorted(path.name for path in kept.iterdir()) == [path.name for path in checkpoints.list_checkpoints(kept)]
    metrics = load(run).metrics
    assert metrics["test/loss"]["best"] == pytest.approx(load(tmp_path / "whole").metrics["test/loss"]["best"])


def test_an_interrupted_run_goes_on_and_hparams_has_one_end(tmp_path: Path, small_mnist: Path) -> None:
    done = train(tmp_path, small_mnist, "--epochs", 4, "--name", "whole", "--checkpoint-every", "epoch")
    assert done.exit_code == 0, done.output
    shutil.copytree(tmp_path / "whole", tmp_path / "cut")
    newest = checkpoints.list_checkpoints(tmp_path / "cut" / "checkpoints")[-1]
    newest.unlink()  # as if it had been interrupted in its last epoch
    again = resume(tmp_path, "cut")
    assert again.exit_code == 0, again.output
    assert f"Resumed: {tmp_path / 'cut'}" in again.output
    assert logged(tmp_path / "cut") == logged(tmp_path / "whole")
    ends = sum(file.read_bytes().count(b"_hparams_/session_end_info") for file in (tmp_path / "cut").glob("*tfevents*"))
    assert ends == 1
    (name, ours), (other, theirs) = weights(tmp_path / "cut"), weights(tmp_path / "whole")
    assert name == other
    assert all(torch.equal(ours[key], theirs[key]) for key in theirs)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory, small_mnist: Path) -> Path:
    folder = tmp_path_factory.mktemp("saved")
    done = train(folder, small_mnist, "--epochs", 2, "--name", "a", "--checkpoint-every", "epoch")
    assert done.exit_code == 0, done.output
    return folder / "a"


@pytest.fixture
def run(saved: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(saved, tmp_path / "a"))


def newest(run: Path) -> Path:
    return checkpoints.list_checkpoints(run / "checkpoints")[-1]


def refused(run: Path, *arguments: object) -> str:
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    result = resume(run.parent, run.name, *arguments)
    assert result.exit_code == 2, result.output
    assert result.stderr.count("\n") == 1
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before, "a refusal changes nothing"
    return result.stderr


@pytest.mark.parametrize("damage", ["flipped", "cut", "empty", "other"])
def test_a_damaged_checkpoint_is_refused(run: Path, damage: str) -> None:
    file = newest(run)
    data = bytearray(file.read_bytes())
    if damage == "flipped":
        data[len(data) // 2] ^= 1
    file.write_bytes({"cut": data[:-100], "empty": b"", "other": b"hello"}.get(damage, data))
    said = refused(run)
    assert f"{file}' is damaged: its checksum is not the one in its name; remove it to resume from step-" in said
    file.unlink()
    assert resume(run.parent, "a").exit_code == 0  # from the one before


class Evil:
    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.target,)


def test_a_checkpoint_cannot_run_code(run: Path, tmp_path: Path) -> None:
    import hashlib
    import io

    held = io.BytesIO()
    torch.save({"format": Evil(tmp_path / "pwned")}, held, pickle_module=pickle)
    digest = hashlib.sha256(held.getvalue()).hexdigest()[:16]
    (run / "checkpoints" / f"step-000000009999-{digest}.pt").write_bytes(held.getvalue())
    assert "is damaged: Weights only load failed" in refused(run)
    assert not (tmp_path / "pwned").exists()


def test_another_config_is_refused(run: Path, small_mnist: Path, tmp_path: Path) -> None:
    assert "'--lr': 0.5 is not what the run" in refused(run, "--lr", 0.5).replace("Invalid value for ", "")
    assert "'--epochs'" in refused(run, "--epochs", 3)
    assert resume(run.parent, "a", "--lr", 0.01).exit_code == 0  # as it was
    other = Path(shutil.copytree(small_mnist, tmp_path / "other"))
    images = other / "MNIST" / "raw" / "train-images-idx3-ubyte"
    images.write_bytes(images.read_bytes()[:-1] + b"\x07")
    assert "is from another config: the data were" in refused(run, "--data-dir", other)
    name, state = checkpoints.load(run)
    said = CliRunner().invoke(main, ["train", "logistic", "--resume", str(run)]).stderr
    assert f"{str(run)!r} is a run of mlp, not of logistic" in said
    assert (name, state["config"]["epochs"]) == (newest(run).name, 2)


def test_what_cannot_be_resumed_is_refused(run: Path, tmp_path: Path) -> None:
    assert f"there is no run in '{'none'}'" in resume(tmp_path, "none").stderr
    with Logger(tmp_path / "bare", []):
        pass
    assert "has no checkpoint; runs save them with --checkpoint-every" in resume(tmp_path, "bare").stderr
    for file in run.glob("*tfevents*"):
        file.unlink()
    assert "do not contain the checkpoint" in resume(tmp_path, "a").stderr


def test_a_run_that_goes_on_is_not_resumed(run: Path, start: Start) -> None:
    sleeper = start("-c", "import sys; print(1, flush=True); sys.stdin.read(); import time; time.sleep(60)")
    from monitor.runs import process

    fields = json.loads((run / "run.json").read_text())
    fields |= {"status": "running", "pid": sleeper.pid, "process": process.identity(sleeper.pid)}
    (run / "run.json").write_text(json.dumps(fields))
    assert f"is still running, in process {sleeper.pid}" in refused(run)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--checkpoint-every", "never"], "is neither 'epoch' nor a number of steps"),
        (["--checkpoint-every", "epoch", "--sink", "console"], "needs --sink tensorboard"),
    ],
)
def test_bad_options_are_one_line(tmp_path: Path, arguments: list[str], says: str) -> None:
    result = CliRunner().invoke(main, ["train", "mlp", "--data", "digits", "--logdir", str(tmp_path), *arguments])
    assert result.exit_code == 2
    assert says in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_costs_a_checkpoint_and_nothing_else(
    tmp_path: Path, small_mnist: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "checkpoints").write_text("no folder can be here")
    done = train(tmp_path, small_mnist, "--epochs", 2, "--name", "a", "--checkpoint-every", "epoch")
    assert done.exit_code == 0, done.output
    assert sum("is not saved" in record.getMessage() for record in caplog.records) == 2
    assert len(event_reader.series(tmp_path / "a", "train/loss")) == 40


def test_a_loop_of_ones_own_goes_on(tmp_path: Path) -> None:
    with Logger(tmp_path / "a", ["tensorboard"], {"lr": 0.1}) as log:
        for step in range(30):
            log.scalar("a", float(step), step)
            if step == 19:
                assert log.checkpoint("mine", 20)
    with Logger(reopen(tmp_path / "a", "mine", 20), ["tensorboard"]) as log:
        for step in range(20, 25):
            log.scalar("a", -1.0, step)
    assert event_reader.series(tmp_path / "a", "a") == [(n, n) for n in range(20)] + [(n, -1.0) for n in range(20, 25)]
    with pytest.raises(DataError, match="do not contain the checkpoint 'yours'"):
        reopen(tmp_path / "a", "yours", 20)
    with Logger(tmp_path / "b", ["memory"]) as log:
        assert not log.checkpoint("mine", 0)  # nothing keeps it


LOST = """
import os, sys
from monitor import Logger
log = Logger(sys.argv[1], ["tensorboard"], {"lr": 1})
log.scalar("a", 1.0, 0)
log.flush()
os._exit(1)
"""


def test_a_lost_run_is_no_longer_running_in_hparams(tmp_path: Path, start: Start) -> None:
    start("-c", LOST, str(tmp_path / "a")).wait(60)
    with Logger(Run(tmp_path / "b", {"lr": 2}), ["tensorboard"]) as log:
        mark_lost_runs(tmp_path)
        assert load(log.run.path).status == "running"
    assert load(tmp_path / "a").status == "lost"
    assert json.loads((tmp_path / "a" / "run.json").read_text())["status"] == "lost"
    files = list((tmp_path / "a").glob("*tfevents*"))
    assert len(files) == 2
    mark_lost_runs(tmp_path)  # once is enough
    assert list((tmp_path / "a").glob("*tfevents*")) == files
