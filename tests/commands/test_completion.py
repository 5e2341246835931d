"""What Tab completes, as a shell asks for it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from click.shell_completion import BashComplete

from monitor.cli import main

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, metrics in (("mlp-a", ["test/loss", "train/loss"]), ("mlp-b", ["test/accuracy"]), ("cnn", [])):
        (tmp_path / "runs" / name).mkdir(parents=True)
        entries = {tag: {"last": 1.0, "step": 1} for tag in metrics}
        fields = {"name": name, "status": "finished", "config": {"lr": 0.1}, "metrics": entries}
        (tmp_path / "runs" / name / "run.json").write_text(json.dumps(fields))
    return tmp_path


def completed(*words: str) -> list[str]:
    """Return what bash would offer for the last of the words."""
    complete = BashComplete(main, {}, "monitor", "_MONITOR_COMPLETE")
    return [item.value for item in complete.get_completions(list(words[:-1]), words[-1])]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["tr"], ["train"]),
        (["compare", "mlp"], ["mlp-a", "mlp-b"]),
        (["compare", "mlp-a", "--metric", "test"], ["test/loss", "test/accuracy"]),
        (["report", "mlp"], ["mlp-a", "mlp-b"]),
        (["report", "mlp-a", "--metric", "test"], ["test/loss", "test/accuracy"]),
        (["train", "mlp", "--resume", "c"], ["cnn"]),
        (["train", "mlp", "--sink", "v"], ["visdom"]),
        (["train", "mlp", "--optimizer", "adamw"], ["adamw"]),
        (["replay", "mlp-b"], ["mlp-b"]),
        (["runs", "--sort", "test"], ["test/accuracy", "test/loss"]),
        (["run", "--sink", "t"], ["tensorboard"]),
    ],
    ids=" ".join,
)
def test_commands_runs_metrics_and_sinks_are_completed(
    folder: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], expected: list[str]
) -> None:
    monkeypatch.chdir(folder)
    assert sorted(completed(*words)) == sorted(expected)


def test_a_log_directory_of_ones_own_is_looked_at(folder: Path) -> None:
    assert completed("compare", "--logdir", str(folder / "runs"), "cn") == ["cnn"]


def test_the_shell_gets_an_answer_without_torch(folder: Path) -> None:
    script = """
import sys
from monitor.cli import main
try:
    main(prog_name="monitor")
finally:
    print("torch" in sys.modules)
"""
    asked = {"_MONITOR_COMPLETE": "bash_complete", "COMP_WORDS": "monitor compare ml", "COMP_CWORD": "2"}
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=folder, env={**os.environ, **asked}, capture_output=True, text=True,
        timeout=60,
    )  # fmt: skip
    assert done.stdout.split() == ["plain,mlp-a", "plain,mlp-b", "False"], done.stderr
