"""`monitor train mlp` through click's runner."""

from __future__ import annotations

from typing import TYPE_CHECKING

from click.testing import CliRunner, Result

from monitor.cli import main

if TYPE_CHECKING:
    from pathlib import Path


def invoke(*arguments: object) -> Result:
    """Run `monitor` in this process."""
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def train(folder: Path, data: Path, *arguments: object) -> Result:
    """Train a small run."""
    return invoke(
        "train", "mlp", "--data", "mnist", "--data-dir", data, "--logdir", folder / "runs", "--name", "a",
        "--batch-size", 50, "--hidden", 16,
        *(() if "--sink" in arguments else ("--sink", "tensorboard", "--sink", "console")), *arguments,
    )  # fmt: skip


def mlp_arguments(folder: Path, data: Path, name: str) -> list[str]:
    """Return the arguments of `monitor train` for a small run with event files."""
    return [
        "mlp", "--data", "mnist", "--data-dir", str(data), "--logdir", str(folder / "runs"), "--name", name,
        "--batch-size", "50", "--hidden", "16", "--epochs", "1", "--sink", "tensorboard",
    ]  # fmt: skip
