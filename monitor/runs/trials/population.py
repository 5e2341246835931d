"""A trial of a population: where it waits for the others after each round, and how it came to its options."""

from __future__ import annotations

import json
import logging
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from monitor.machine.files import atomic_write
from monitor.runs.trials.trial import TRIALS_FOLDER

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from monitor.runs.trials.trial import Trial

log = logging.getLogger("monitor")

EXPLOITS_FIELD = "exploits"  # of `run.json`
GATE_INTERVAL_S = 0.05
GATE_TIMEOUT_S = 600.0  # without a sign of life from the trial's driver


class Gate(NamedTuple):
    """Where a trial waits: behind so many epochs and steps."""

    epoch: int
    step: int


def gate_path(folder: Path, trial: int | str) -> Path:
    """Return the file that is there while a trial waits; `folder` is the sweep's."""
    return folder / TRIALS_FOLDER / f"{trial}.gate"


def wait_at_gate(trial: Trial, gate: Gate) -> None:
    """Say that the trial waits, and block until its driver opens the gate, or a signal comes.

    Raises `KeyboardInterrupt` if the driver shows no life for ten minutes: the run is interrupted then, and goes on
    when the sweep does. Raises `OSError` if the sweep's folder cannot be written.
    """
    path = gate_path(trial.folder, trial.trial)
    claim = path.with_suffix(".lock")
    atomic_write(path, json.dumps(gate._asdict()))
    seen, since = None, time.monotonic()
    try:
        while path.exists():
            touched = claim.stat().st_mtime if claim.exists() else None
            if touched != seen:
                seen, since = touched, time.monotonic()
            elif time.monotonic() - since > GATE_TIMEOUT_S:
                log.warning("the sweep %s shows no life; the run is interrupted, and goes on when it does", trial.name)
                raise KeyboardInterrupt
            time.sleep(GATE_INTERVAL_S)
    finally:
        path.unlink(missing_ok=True)


def read_gate(folder: Path, trial: int | str) -> Gate | None:
    """Return where a trial waits; None if it does not."""
    with suppress(OSError, ValueError, LookupError, TypeError):
        fields = json.loads(gate_path(folder, trial).read_bytes())
        return Gate(int(fields["epoch"]), int(fields["step"]))
    return None


def open_gate(folder: Path, trial: int | str) -> None:
    """Let a trial go on. Raises `OSError`."""
    gate_path(folder, trial).unlink(missing_ok=True)


def describe_exploit(fields: Mapping[str, Any]) -> str:
    """Return an entry of `exploits` as a line, such as `weights of trial 2, lr 0.5 → 0.012`."""
    parts = [] if fields.get("trial") is None else [f"weights of trial {fields['trial']}"]
    before, values = fields.get("before") or {}, fields.get("values") or {}
    parts += [f"{name} {_shown(before.get(name))} → {_shown(value)}" for name, value in values.items()]
    return ", ".join(parts)


def _shown(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
