"""Compare runs: which settings differ, how good each became, and their curves on one page."""

from __future__ import annotations

import math
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from monitor import metrics
from monitor.errors import DataError
from monitor.events.files import event_files, runs_under
from monitor.records import Config, Scalar
from monitor.remote.mirror import local_name, refresh_list, refresh_runs
from monitor.remote.urls import is_url
from monitor.runs.editing import TRASH_SUFFIX
from monitor.runs.listing import load, scan
from monitor.runs.listing.found_runs import FoundRuns
from monitor.runs.run_file import RUN_FILE, parse_number
from monitor.runs.settings.convert import read_settings
from monitor.runs.trials.sweep_runs import group_sweeps
from monitor.runs.trials.trial import SWEEP_SUFFIX
from monitor.steering.changes import changed_settings
from monitor.suggestions import hint

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from monitor.comparison.event_data import OnError
    from monitor.events.reading.history import Batch
    from monitor.steering.changes import Change

DEFAULT_METRIC_COUNT = 6  # metrics that are compared, unless they are named


class ComparedRun(NamedTuple):
    """One run of a comparison.

    Attributes:
        name: tells it apart from the others.
        path: the run directory.
        status: empty for a run that other programs wrote.
        config: its settings.
        metrics: by tag, `last` and `step`, and `best` and `best_step` for a metric with a goal.
        changes: of settings, made from a page while it was trained.
    """

    name: str
    path: Path
    status: str
    config: Mapping[str, Any]
    metrics: Mapping[str, Mapping[str, Any]]
    changes: Sequence[Change] = ()


def find_runs(names: Sequence[str], logdir: Path) -> dict[str, Path]:
    """Return the paths of the runs that `names` stand for, by names that tell them apart.

    Each name is a run under `logdir`, a path, or a pattern such as `mlp-*` for either, in this order: what matches runs
    in `logdir` does not stand for others, and neither does a pattern without a slash if there is a `logdir`. A folder
    stands for all runs in it, and that of a sweep for its trials. What is in a store, as `logdir` or as the address of
    a run, is downloaded where it has changed; then it blocks, and raises `StoreError`. Raises `DataError` if a name
    matches nothing, or is empty.
    """
    paths: list[Path] = []
    logdir = Path(local_name(logdir))
    refresh_list(logdir)
    for given in names:
        _check_name(given)
        name = local_name(given)
        if is_url(given):
            refresh_list(_without_pattern(Path(name)))
        is_path = Path(name).is_absolute() or name.split("/")[0] in (".", "..")
        bases = [Path("/" if name.startswith("/") else "")] if is_path else [logdir, Path()]
        if "/" not in name and _is_pattern(name) and logdir.is_dir():
            bases = [logdir]  # `*` would match what is beside it
        found = [[run for path in _at(name, base) for run in _runs_in(path)] for base in bases]
        paths += next((runs for runs in found if runs), []) or _no_match(given, logdir)
    refresh_runs(dict.fromkeys(paths))
    paths = list(dict.fromkeys(path.resolve() for path in paths))
    last_parts = [path.name for path in paths]
    return {path.name if last_parts.count(path.name) == 1 else "/".join(path.parts[-2:]): path for path in paths}


def runs_to_change(names: Sequence[str], logdir: Path) -> list[Path]:
    """Return the paths of the runs in `logdir` that `names` stand for: what is done to them must not go beyond it.

    A name is a run in `logdir`, its path, or a pattern for names in `logdir`. A folder stands for all runs in it, but
    `logdir` itself cannot be named. Runs in the trash of another log directory do not count. Raises `DataError` if a
    name matches nothing, is empty, or leads out of `logdir`.
    """
    root = logdir.resolve()
    paths: dict[Path, None] = {}
    for name in names:
        _check_name(name)
        if Path(name).name in ("", ".."):
            raise DataError(f"{name!r} is no name of a run; for all runs in {logdir}, give '*'")
        existing = [path for path in (logdir / name, Path(name)) if path.is_dir()][:1]
        found = [path.resolve() for path in existing or _matching(name, logdir)]
        inside = [path for path in found if path != root and path.is_relative_to(root)]
        if existing and not inside:
            raise DataError(f"{name!r} is not in {str(logdir)!r}; name its log directory with --logdir")
        runs = [run for path in inside for run in _runs_in(path) if not _is_in_trash(run.relative_to(root))]
        paths |= dict.fromkeys(runs or _no_match(name, logdir))
    return list(paths)


def load_run(name: str, path: Path, on_error: OnError = None) -> ComparedRun:
    """Return a run as its `run.json` describes it; without one, as its event files do, which may take seconds.

    `on_error` is called for an event file that cannot be read, which is then left out; by default, `OSError` is raised.
    """
    info = load(path, name)
    changes = changed_settings(info.fields)
    if info.metrics:
        return ComparedRun(name, path, info.status_text, info.config, info.metrics, changes)
    summary, config = _summarize(path, metrics.Goals(info.fields.get("goals")), on_error)
    config = info.config or config
    status = info.status_text if (path / RUN_FILE).exists() else ""
    return ComparedRun(name, path, status, config, summary.summary(), changes)


def _summarize(path: Path, goals: metrics.Goals, on_error: OnError) -> tuple[metrics.MetricSummary, dict[str, Any]]:
    """Return the metrics and the settings that event files hold. Blocks while it reads them."""
    from monitor.events.index.index_update import current_index
    from monitor.events.reading.history import fold_history

    with suppress(OSError):  # which is said below
        index = current_index(path)
        if index is not None and index.config is not None:
            return index.summarize(goals), read_settings(index.config)

    def fold(batches: Iterator[Batch]) -> tuple[metrics.MetricSummary, dict[str, Any]]:
        summary, config = metrics.MetricSummary(goals), dict[str, Any]()
        for batch in batches:
            if isinstance(batch, list):
                for record in batch:
                    config |= read_settings(record.values) if isinstance(record, Config) else {}
            else:
                for tag, steps, values, _ in batch.series():
                    summary.extend(tag, steps, values)
        return summary, config

    return fold_history(path, fold, on_error=on_error, kinds=frozenset({Scalar, Config}))


def differing_settings(runs: Sequence[ComparedRun]) -> list[str]:
    """Return the settings that are not the same in all runs."""
    names = dict.fromkeys(name for run in runs for name in run.config)
    return [name for name in names if any(run.config.get(name) != runs[0].config.get(name) for run in runs)]


def all_metrics(runs: Sequence[ComparedRun]) -> list[str]:
    """Return all metrics: those that most runs share first, of these those with a goal, of these held-out data."""
    counts = Counter(tag for run in runs for tag in run.metrics)
    with_goal = {tag for run in runs for tag, entry in run.metrics.items() if "goal" in entry}
    tags = [tag for tag in counts if not tag.startswith(metrics.SYSTEM_PREFIX)]
    return sorted(tags, key=lambda tag: (-counts[tag], tag not in with_goal, metrics.sort_key(tag)))


def main_metrics(runs: Sequence[ComparedRun]) -> list[str]:
    """Return the metrics to compare by: those with a goal that most runs share, held-out data first."""
    tags = all_metrics(runs)
    with_goal = {tag for run in runs for tag, entry in run.metrics.items() if "goal" in entry}
    return ([tag for tag in tags if tag in with_goal] or tags)[:DEFAULT_METRIC_COUNT]


def best_runs(runs: Sequence[ComparedRun], tag: str, which: str) -> list[str]:
    """Return the names of the runs whose `which` value, `"last"` or `"best"`, of a metric is the best of all.

    A metric without a goal has none.
    """
    goal = next((goal for run in runs if (goal := run.metrics.get(tag, {}).get("goal"))), None) or metrics.goal(tag)
    sign = {"min": 1, "max": -1}.get(goal or "", 0)
    values = {run.name: parse_number(run.metrics.get(tag, {}).get(which)) for run in runs}
    costs = {name: value * sign for name, value in values.items() if isinstance(value, int | float)}
    finite = {name: cost for name, cost in costs.items() if math.isfinite(cost)}
    if not sign or len(costs) < 2 or not finite:
        return []
    return [name for name, cost in finite.items() if cost == min(finite.values())]


def _without_pattern(path: Path) -> Path:
    """Return the last folder above which nothing is a pattern."""
    parts = path.parts
    return Path(*parts[: next((n for n, part in enumerate(parts) if _is_pattern(part)), len(parts))])


def _check_name(name: str) -> None:
    if not name.strip():
        raise DataError(f"{name!r} is no name of a run; it is empty")


def _no_match(name: str, logdir: Path) -> NoReturn:
    known = [run.name for run in FoundRuns(logdir, with_foreign=False)(0)] if logdir.is_dir() else []
    raise DataError(f"{name!r} matches no run{hint(name, known, f'in {logdir}')}")


def _is_in_trash(path: Path) -> bool:
    return any(folder.name.endswith(TRASH_SUFFIX) for folder in path.parents)


def _is_pattern(name: str) -> bool:
    return any(wildcard in name for wildcard in "*?[")


def _at(name: str, base: Path) -> list[Path]:
    """Return the folder of a name below `base`, or those that match it as a pattern."""
    return [base / name] if (base / name).exists() else _matching(name, base)


def _matching(pattern: str, base: Path) -> list[Path]:
    if not _is_pattern(pattern):
        return []
    return [path for path in sorted(base.glob(pattern.lstrip("/"))) if path.is_dir()]


def find_sweep(names: Sequence[str], logdir: Path) -> Path | None:
    """Return the folder of a sweep if `names` are that alone: its path, or its name under `logdir`."""
    paths = [path for name in names for path in (Path(name), logdir / name) if _sweep_of(path)]
    return paths[0].resolve() if len(names) == 1 and paths else None


def _sweep_of(path: Path) -> str | None:
    return path.name.removesuffix(SWEEP_SUFFIX) if path.name.endswith(SWEEP_SUFFIX) and path.is_dir() else None


def _runs_in(path: Path) -> list[Path]:
    if name := _sweep_of(path):  # its trials are beside it
        sweeps, _ = group_sweeps(scan(path.parent))
        return [run.path for sweep in sweeps if sweep.name == name for run in sweep.trials]
    if path.is_file() and "tfevents" not in path.name:
        return []
    if (path / RUN_FILE).exists() or event_files(path):
        return [path]
    return [run.path for run in scan(path)] or list(runs_under(path).values())
