"""Several runs side by side: what differs in their settings, how good each became, their curves."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from monitor import metrics
from monitor.errors import DataError
from monitor.events.files import event_files, runs_under
from monitor.events.reader import EventReader, read_history
from monitor.records import Config, Restart, Scalar
from monitor.runs.listing import load, scan
from monitor.runs.run_file import RUN_FILE, parse_number

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from monitor.sinks.visdom.sink import VisdomSink

MAX_METRICS = 6  # metrics that are compared, unless they are named


class ComparedRun(NamedTuple):
    """One run: `metrics` has by tag `last` and `step`, and `best` and `best_step` where the metric has a goal."""

    name: str
    path: Path
    status: str
    config: Mapping[str, Any]
    metrics: Mapping[str, Mapping[str, Any]]


def find(names: Sequence[str], logdir: Path) -> dict[str, Path]:
    """Return the runs that `names` mean, by a name that tells them apart.

    Each is a path, a name under `logdir`, or a pattern such as `mlp-*` of either; a folder means all runs in it. Raises
    `DataError` where one means none.
    """
    paths: list[Path] = []
    for name in names:
        here = [Path(name)] if Path(name).exists() else []
        found = here or [logdir / name] * (logdir / name).exists() or _matching(name, logdir)
        runs = [run for path in found for run in _runs_in(path)]
        if not runs:
            known = ", ".join(run.name for run in scan(logdir)) if logdir.is_dir() else ""
            raise DataError(f"{name!r} is no run, nor a pattern of any" + (f"; in {logdir}: {known}" if known else ""))
        paths += runs
    paths = list(dict.fromkeys(path.resolve() for path in paths))
    short = [path.name for path in paths]
    return {path.name if short.count(path.name) == 1 else "/".join(path.parts[-2:]): path for path in paths}


def read(name: str, path: Path) -> ComparedRun:
    """Return a run as its `run.json` tells of it; one of others as its event files do, which may take seconds."""
    info = load(path, name)
    if info.metrics:
        return ComparedRun(name, path, info.status, info.config, info.metrics)
    tally, config = metrics.MetricSummary(), dict(info.config)
    for records in read_history(path):
        for record in records:
            if isinstance(record, Scalar):
                tally.add(record.tag, record.value, record.step)
            elif isinstance(record, Config):
                config = config or dict(record.values)
    return ComparedRun(name, path, info.status if (path / RUN_FILE).exists() else "", config, tally.summary())


def differing(runs: Sequence[ComparedRun]) -> list[str]:
    """Return the settings that are not the same in all runs."""
    names = dict.fromkeys(name for run in runs for name in run.config)
    return [name for name in names if any(run.config.get(name) != runs[0].config.get(name) for run in runs)]


def main_metrics(runs: Sequence[ComparedRun]) -> list[str]:
    """Return the metrics to compare by: those that have a goal, of held-out data first."""
    found = {tag for run in runs for tag, entry in run.metrics.items() if "goal" in entry}
    return sorted(found or {tag for run in runs for tag in run.metrics}, key=metrics.sort_key)[:MAX_METRICS]


def winners(runs: Sequence[ComparedRun], tag: str, what: str) -> list[str]:
    """Return the runs whose `last` or `best` value of a metric is the best of all; none of a metric without a goal."""
    sign = {"min": 1, "max": -1}.get(metrics.goal(tag) or "", 0)
    values = {run.name: parse_number(run.metrics.get(tag, {}).get(what)) for run in runs}
    known = {name: value * sign for name, value in values.items() if isinstance(value, int | float)}
    finite = {name: value for name, value in known.items() if math.isfinite(value)}
    if not sign or len(known) < 2 or not finite:
        return []
    return [name for name, value in finite.items() if value == min(finite.values())]


class ComparisonView:
    """An env of Visdom in which each metric is one window with a trace per run."""

    def __init__(self, sink: VisdomSink, tags: Iterable[str], title: str = "comparison") -> None:
        self._sink, self._tags, self._title = sink, set(tags), title
        self._readers: dict[str, EventReader] = {}

    def update(self, runs: Mapping[str, Path]) -> None:
        """Put up what is new in the runs' event files. Blocks; raises `OSError` where the server is in trouble."""
        for name, path in runs.items():
            trace = name.replace("/", "_")  # the last part of a tag is the trace
            reader = self._readers.setdefault(name, EventReader(path, self._tags.__contains__))
            for records in reader.records():
                for record in records:
                    if isinstance(record, Restart):
                        self._sink.forget(trace, record.step)
                    elif isinstance(record, Scalar):
                        self._sink.write([record._replace(tag=f"{record.tag}/{trace}")])
        self._sink.show(self._title, [])


def _matching(pattern: str, logdir: Path) -> list[Path]:
    if not any(sign in pattern for sign in "*?["):
        return []
    bases = [Path("/")] if pattern.startswith("/") else [Path(), logdir]
    found = [path for base in bases for path in sorted(base.glob(pattern.lstrip("/")))]
    return [path for path in found if path.is_dir()]


def _runs_in(path: Path) -> list[Path]:
    if (path / RUN_FILE).exists() or event_files(path):
        return [path]
    return [run.path for run in scan(path)] or list(runs_under(path).values())
