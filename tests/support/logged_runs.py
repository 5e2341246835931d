"""Read back what a framework's adapter has logged."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path


def run_file(run: Path) -> dict[str, Any]:
    """Return the fields of a run's `run.json`."""
    fields: dict[str, Any] = json.loads((run / "run.json").read_text())
    return fields


def ending(run: Path) -> tuple[str, str | None]:
    """Return the status and the error of a run."""
    fields = run_file(run)
    return fields["status"], fields.get("error")
