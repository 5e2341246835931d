"""What a list shows of one run, and the names by which runs are sorted and filtered."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from monitor.metrics import sort_key
from monitor.runs.listing.stored_fields import StoredFields
from monitor.runs.run_file import parse_number, parse_time
from monitor.runs.run_html import run_html
from monitor.runs.settings.convert import read_settings
from monitor.runs.status import RunStatus

if TYPE_CHECKING:
    from collections.abc import Mapping

NOTHING: dict[str, Any] = {}  # never written to
COLUMNS = (
    "name",
    "status",
    "epoch",
    "epochs",
    "step",
    "steps",
    "start",
    "duration",
    "age",
    "error",
    "path",
    "tags",
    "notes",
)


@dataclass(eq=False)
class RunInfo:
    """One run of a log directory.

    Attributes:
        name: its path below the log directory.
        folder: the run directory, as text.
        status: its true status, which `run.json` alone cannot know; `LOST` if its process died without a word,
            `DAMAGED` if `run.json` cannot be read.
        fields: the fields of `run.json`.
        error: why it ended, or why it cannot be read.
        now: when it was read, in seconds since the epoch.
        is_config_plain: whether the settings are known to be as `config` has them.
    """

    name: str
    folder: str
    status: RunStatus
    fields: Mapping[str, Any]
    error: str | None
    now: float
    is_config_plain: bool = False

    @cached_property
    def path(self) -> Path:
        """The run directory."""
        return Path(self.folder)

    @cached_property
    def _listed(self) -> Mapping[str, Any]:
        """The fields that lists need of each run; looking one up is as quick as can be."""
        return self.fields.listed() if isinstance(self.fields, StoredFields) else self.fields

    @property
    def status_text(self) -> str:
        """The status, with a star if a durable sink is missing records."""
        return f"{self.status}*" if self.fields.get("incomplete") else str(self.status)

    @property
    def problem(self) -> str | None:
        """Why the run did not finish, or what it is missing."""
        incomplete = self.fields.get("incomplete") or {}
        missing = [
            f"{count:,} {'record is' if count == 1 else 'records are'} not in {sink}"
            for sink, count in incomplete.items()
        ]
        is_fine = self.status in (RunStatus.FINISHED, RunStatus.PRUNED)
        error = [self.error] if self.error and not is_fine else []
        return "; ".join([*error, *missing]) or None

    @cached_property
    def config(self) -> dict[str, Any]:
        """The settings by their full names, such as `model.layers`."""
        config = self.fields.get("config") or {}
        return config if self.is_config_plain else read_settings(config)

    @cached_property
    def metrics(self) -> dict[str, dict[str, Any]]:
        """By tag: `last` with its `step` and, for a metric with a goal, `best` with its `best_step`."""
        entries = self.fields.get("metrics") or {}
        return {tag: entries[tag] for tag in sorted(entries, key=sort_key)}

    @property
    def unsorted_metrics(self) -> Mapping[str, dict[str, Any]]:
        """The metrics as `metrics` has them, in any order."""
        return self._listed.get("metrics") or NOTHING

    def metric(self, tag: str, which: str) -> Any:
        """Return the `last` or the `best` value of a metric, or one of their steps; None if there is none."""
        entry = (self._listed.get("metrics") or NOTHING).get(tag)
        if entry is None:
            return None
        value = entry.get(which)
        return value if type(value) is float else parse_number(value)

    @property
    def progress(self) -> dict[str, Any]:
        """`step` and, if the run logged its progress, `steps`, `epoch` and `epochs`."""
        return self._listed.get("progress") or NOTHING

    @property
    def tags(self) -> str:
        """The tags, with commas between them."""
        return ", ".join(self._listed.get("tags") or ())

    @property
    def notes(self) -> str:
        """The texts of the notes, with semicolons between them."""
        return "; ".join(str(note.get("text")) for note in self.fields.get("notes") or [])

    @property
    def age(self) -> float | None:
        """Seconds since the run started."""
        start = parse_time(self.fields.get("start"))
        return None if start is None else max(0.0, self.now - start)

    @property
    def duration(self) -> float | None:
        """Seconds that it has been running, without the time between the processes of a resumed run."""
        field = self.fields.get
        start = parse_time(field("resumed") or field("start"))
        if self.status == RunStatus.RUNNING:
            end: float | None = self.now
        else:
            end = parse_time(field("end")) or parse_time(field("heartbeat"))
        return None if start is None or end is None else float((field("spent") or 0.0) + max(0.0, end - start))

    def _repr_html_(self) -> str:
        """Return a table of status, metrics, and settings, for a notebook."""
        return run_html(self.name, {**self.fields, "status": self.status_text, "error": self.problem})

    def look_up(self, name: str) -> Any:
        """Return the value of a column, a setting, a metric's last value, `best:METRIC` or `config:SETTING`."""
        if name in COLUMNS:
            if name.startswith(("epoch", "step")):
                return self.progress.get(name)
            return self.fields.get(name) if name == "start" else getattr(self, name)
        kind, _, rest = name.partition(":")
        if rest:
            if kind in ("best", "last"):
                return self.metric(rest, kind)
            if kind == "config":
                return self.config.get(rest)
        if self._may_have_setting(name) and name in self.config:
            return self.config[name]
        return self.metric(name, "last")

    def _may_have_setting(self, name: str) -> bool:
        """Tell quickly whether there can be a setting of this name."""
        fields = self.fields
        return not (self.is_config_plain and isinstance(fields, StoredFields) and fields.lacks("config", name))

    def has_name(self, name: str) -> bool:
        """Tell whether `look_up` knows a name for this run."""
        if name in COLUMNS:
            return True
        kind, _, rest = name.partition(":")
        tags = self.unsorted_metrics
        return (
            name in tags
            or name in self.config
            or (rest in self.config if kind == "config" else kind in ("best", "last") and rest in tags)
        )

    def names(self) -> set[str]:
        """Return the names that `look_up` knows for this run."""
        tags = self.unsorted_metrics
        return {*COLUMNS, *self.config, *(f"config:{key}" for key in self.config), *tags} | {
            f"{kind}:{tag}" for tag in tags for kind in ("best", "last")
        }


def sort_runs(runs: list[RunInfo], by: str) -> list[RunInfo]:
    """Sort by a name that `look_up` knows, descending if it starts with `-`; runs without a value come last."""
    descending, name = by.startswith("-"), by.removeprefix("-")
    values = [run.look_up(name) for run in runs]
    with_value = [(value, run) for value, run in zip(values, runs) if _has_value(value)]
    numeric = all(isinstance(value, int | float) for value, _ in with_value)
    with_value.sort(key=lambda pair: pair[0] if numeric else str(pair[0]), reverse=descending)
    return [run for _, run in with_value] + [run for value, run in zip(values, runs) if not _has_value(value)]


def _has_value(value: Any) -> bool:
    return value is not None and not (isinstance(value, float) and math.isnan(value))
