"""Runs with dashboards, and whether those answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import requests

if TYPE_CHECKING:
    from pathlib import Path


def mlp(data: Path, logdir: Path, name: str, *more: str) -> list[str]:
    """Return the arguments that start a small run of the MLP."""
    return [
        "-m", "runners.mlp", "--data", "mnist", "--data-dir", str(data), "--logdir", str(logdir), "--name", name,
        "--hidden", "16", "--batch-size", "20", *more,
    ]  # fmt: skip


def answers(url: str) -> bool:
    """Tell whether a page answers."""
    try:
        return requests.get(url, timeout=60).ok
    except requests.RequestException:
        return False
