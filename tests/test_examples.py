"""The scripts of `docs/examples/` run as they stand, each in a process of its own."""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support import event_reader

if TYPE_CHECKING:
    import subprocess

EXAMPLES = Path(__file__).parents[1] / "docs" / "examples"
Start = Callable[..., "subprocess.Popen[str]"]
TESTED = {"alerts", "children", "own_sink", "quickstart", "replay", "resume", "torchrun"}


def finish(process: subprocess.Popen[str], status: int = 0) -> str:
    """Wait for a process, check its exit status, and return what it printed."""
    out, err = process.communicate(timeout=200)
    assert process.returncode == status, err
    return out


def status_of(run: Path) -> str:
    return str(json.loads((run / "run.json").read_text())["status"])


def test_every_example_is_tested_and_shown() -> None:
    pages = "".join(path.read_text() for path in EXAMPLES.parent.glob("*.md"))
    assert {path.stem for path in EXAMPLES.glob("*.py")} == TESTED
    assert [name for name in sorted(TESTED) if f"literalinclude}} examples/{name}.py" not in pages] == []


def test_quickstart(start: Start, tmp_path: Path) -> None:
    out = finish(start(str(EXAMPLES / "quickstart.py"), cwd=tmp_path))
    assert "tensorboard: 105 logged, 105 delivered" in out
    run = tmp_path / "runs" / "quickstart"
    losses = event_reader.series(run, "train/loss")
    assert [step for step, _ in losses] == list(range(100))
    assert losses[-1][1] < losses[0][1] / 2
    found = event_reader.read(run)
    assert set(found.Tags()["images"]) == {"samples", "predictions"}
    assert found.Tags()["histograms"] == ["weights/1"]
    assert status_of(run) == "finished"


def test_own_sink(start: Start, tmp_path: Path) -> None:
    finish(start(str(EXAMPLES / "own_sink.py"), cwd=tmp_path))
    run = tmp_path / "runs" / "own-sink"
    lines = [json.loads(line) for line in (run / "scalars.jsonl").read_text().splitlines()]
    assert [(line["tag"], line["step"]) for line in lines] == [("train/loss", step) for step in range(10)]
    assert [line["value"] for line in lines] == pytest.approx([v for _, v in event_reader.series(run, "train/loss")])


@pytest.mark.slow
def test_own_sinks_contract_test(start: Start, tmp_path: Path) -> None:
    arguments = ("-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error", str(EXAMPLES / "own_sink.py"))
    out = finish(start(*arguments, f"--rootdir={tmp_path}", f"--basetemp={tmp_path / 'pytest'}", cwd=tmp_path))
    assert int(re.findall(r"(\d+) passed", out)[0]) > 50
    assert "failed" not in out


def test_resume(start: Start, tmp_path: Path) -> None:
    script = str(EXAMPLES / "resume.py")
    for name in ("killed", "whole"):
        (tmp_path / name).mkdir()
    killed = start(script, "--crash-at", "25", cwd=tmp_path / "killed")
    finish(start(script, cwd=tmp_path / "whole"))
    finish(killed, -signal.SIGKILL)
    run = tmp_path / "killed" / "runs" / "resume"
    assert sorted(path.name for path in run.glob("*.pt")) == ["checkpoint-000010.pt", "checkpoint-000020.pt"]
    finish(start(script, cwd=tmp_path / "killed"))
    losses = event_reader.series(run, "train/loss")
    assert [step for step, _ in losses] == list(range(40))
    assert losses == event_reader.series(tmp_path / "whole" / "runs" / "resume", "train/loss")


def test_alerts(start: Start, tmp_path: Path) -> None:
    out = finish(start(str(EXAMPLES / "alerts.py"), cwd=tmp_path))
    assert out.startswith("stopped at step ")
    run = tmp_path / "runs" / "alerts"
    assert status_of(run) == "stopped"
    assert event_reader.text(run, "alert")[0].startswith("train/loss doubled: ")


def test_children(start: Start, tmp_path: Path) -> None:
    finish(start(str(EXAMPLES / "children.py"), cwd=tmp_path))
    for actor in range(4):
        rewards = event_reader.series(tmp_path / "runs" / "children", f"actor {actor}/reward")
        assert [step for step, _ in rewards] == list(range(100))


# The script as it is, then a look at the threads: one of Gloo's that outlives the interpreter may abort the process.
RUN_AND_LOOK = """
import os, pathlib, runpy, sys
names = runpy.run_path(sys.argv[1], run_name="__main__")
threads = [path.read_text().strip() for path in pathlib.Path("/proc/self/task").glob("*/comm")]
assert not [name for name in threads if "gloo" in name], threads
"""


@pytest.mark.slow
def test_torchrun(start: Start, tmp_path: Path) -> None:
    (tmp_path / "look.py").write_text(RUN_AND_LOOK)
    how = ["--standalone", "--nproc-per-node", "2", str(tmp_path / "look.py")]
    finish(start("-m", "torch.distributed.run", *how, str(EXAMPLES / "torchrun.py"), cwd=tmp_path))
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["torchrun"]  # rank 0 alone writes
    losses = event_reader.series(tmp_path / "runs" / "torchrun", "train/loss")
    assert [step for step, _ in losses] == list(range(50))
    assert losses[-1][1] < losses[0][1]


def test_replay(start: Start, tmp_path: Path) -> None:
    out = finish(start(str(EXAMPLES / "replay.py"), cwd=tmp_path))
    assert "theirs: 100 scalars, 1 text" in out
    theirs, ours = (event_reader.series(tmp_path / part / "theirs", "train/loss") for part in ("logs", "copy"))
    assert len(theirs) == 100
    assert ours == theirs
