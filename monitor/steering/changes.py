"""The record of what was changed while a run was trained: the field `controls` of its `run.json`."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from monitor.runs.run_file import parse_time, read_run_file, timestamp

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence

    from monitor.runs.run import Run

log = logging.getLogger("monitor")

STEERING_TAG = "steering"  # of the texts
ARROW = " → "  # in the text of a change of a setting
MAX_CHANGES = 10_000  # of one run; more are refused
UNREPEATED = ("checkpoint", "pause", "resume", "stop")  # they change nothing that is trained


class Change(NamedTuple):
    """One change, or one thing that was asked for.

    Attributes:
        step: the number of updates before it.
        control: the name of the control, such as `lr` or `pause`.
        value: the new value of a setting; None for anything else.
        before: the value until then.
        time: seconds since the epoch.
    """

    step: int
    control: str
    value: float | None
    before: float | None
    time: float

    def as_json(self) -> dict[str, Any]:
        """Return it as `run.json` has it."""
        values = {} if self.value is None else {"value": self.value, "before": self.before}
        return {"step": self.step, "control": self.control, **values, "time": timestamp(self.time)}

    def __str__(self) -> str:
        if self.value is None:
            return self.control
        return f"{self.control}: {format_value(self.before)}{ARROW}{format_value(self.value)}"


def changed_settings(fields: Mapping[str, Any]) -> list[Change]:
    """Return the changes of settings that the fields of a `run.json` tell of, in their order."""
    changes = []
    for change in fields.get("controls") or ():
        if change.get("value") is not None:
            time = parse_time(change.get("time")) or 0.0
            changes.append(Change(change["step"], change["control"], change["value"], change.get("before"), time))
    return changes


def is_change(tag: str, text: str) -> bool:
    """Tell whether a text that was logged tells of a change of a setting."""
    return tag == STEERING_TAG and ARROW in text


def format_value(value: float | None) -> str:
    """Return a value as a user would type it."""
    return "?" if value is None else f"{value:.6g}"


def is_repeated(fields: Mapping[str, Any]) -> bool:
    """Tell whether a run that goes through the same steps again makes the change again."""
    return fields["control"] not in UNREPEATED


def changes_of(run: str | os.PathLike[str]) -> list[dict[str, Any]]:
    """Return the changes of a run that another run can make again. Raises `DataError` if it cannot be read."""
    changes = read_run_file(Path(run)).get("controls") or []
    return [fields for fields in changes if is_repeated(fields)]


class Journal:
    """The changes of a run in their order: those made so far, then those that are to be made again."""

    def __init__(self, run: Run, repeat: Sequence[Mapping[str, Any]] = ()) -> None:
        """Continue the record of a run that was resumed, or begin with the changes of another run."""
        self._run, self._made = run, run.controls_made
        again = [dict(fields) for fields in (*run.controls[self._made :], *repeat) if is_repeated(fields)]
        self._run.controls = [*run.controls[: self._made], *again]
        if again:
            self._save()

    @property
    def made(self) -> int:
        """How many changes were made so far."""
        return self._made

    @property
    def planned(self) -> list[dict[str, Any]]:
        """The changes that are to be made again."""
        return self._run.controls[self._made :]

    def take_planned(self, changes: Sequence[Mapping[str, Any]]) -> None:
        """Take over what rank 0 has planned; its own process writes it down."""
        self._run.controls = [*self._run.controls[: self._made], *(dict(fields) for fields in changes)]

    def next_at(self, step: int) -> dict[str, Any] | None:
        """Return the next planned change if its step has come."""
        planned = self._run.controls[self._made : self._made + 1]
        return planned[0] if planned and planned[0]["step"] <= step else None

    def note_repeated(self) -> None:
        """Count the next planned change as made."""
        self._made += 1

    def drop_next(self) -> None:
        """Forget the next planned change, which cannot be made."""
        del self._run.controls[self._made]
        self._save()

    def is_full(self) -> bool:
        """Tell whether no more changes are taken."""
        return len(self._run.controls) >= MAX_CHANGES

    def add(self, change: Change) -> None:
        """Write a new change down before it is made; planned ones of the same control are dropped. Blocks for a write.

        From then on, a run that is killed makes it again when it is resumed.
        """
        before, after = self._run.controls[: self._made], self._run.controls[self._made :]
        if change.value is not None:
            after = [fields for fields in after if fields["control"] != change.control]
        self._run.controls = [*before, change.as_json(), *after]
        self._made += 1
        self._save()

    def _save(self) -> None:
        try:
            self._run.update(controls=self._run.controls)
        except OSError as error:
            log.warning("steering: the change is not in run.json, so a resumed run would not make it again: %s", error)
