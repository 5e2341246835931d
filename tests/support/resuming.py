"""Runs of `monitor train mlp` that are to be resumed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from click.testing import CliRunner, Result

from monitor.cli import main

if TYPE_CHECKING:
    from pathlib import Path


def train(folder: Path, data: Path, *arguments: object) -> Result:
    """Train a run through the command."""
    return CliRunner().invoke(main, ["train", "mlp", *settings(folder, data), *map(str, arguments)])


def settings(folder: Path, data: Path) -> list[str]:
    """Return the arguments of such a run."""
    return [
        "--data", "mnist", "--data-dir", str(data), "--logdir", str(folder), "--hidden", "16", "--batch-size", "20",
        "--sink", "tensorboard", "--optimizer", "adam", "--dropout", "0.3", "--scheduler", "cosine", "--seed", "3",
    ]  # fmt: skip


def resume(folder: Path, *arguments: object) -> Result:
    """Resume a run of our own through the command: its data may be anywhere."""
    command = ["train", "mlp", "--resume", *map(str, arguments), "--trust-options", "--logdir", str(folder)]
    return CliRunner().invoke(main, command)
