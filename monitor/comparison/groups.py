"""Runs that differ only by chance, such as by their seed, grouped by settings: mean and spread of each metric."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from monitor.errors import DataError
from monitor.runs.run_file import parse_number
from monitor.suggestions import hint

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from monitor.comparison.compare import ComparedRun

    Points = tuple[NDArray[np.int64], NDArray[np.float64]]  # steps, ascending, and values

WHOLE_CONFIG = "config"
SPREADS = ("std", "sem", "minmax", "quantiles")
SPREAD_NAMES = {
    "std": "mean and standard deviation",
    "sem": "mean and standard error",
    "minmax": "mean, minimum, and maximum",
    "quantiles": "median and quartiles",
}
MAX_SHOWN_SETTINGS = 4  # in the name of a group


class RunGroup(NamedTuple):
    """Runs with the same settings, as far as these are compared.

    Attributes:
        name: the settings in which it differs from the other groups.
        runs: its runs.
        config: the settings that its runs share, without those that are ignored.
    """

    name: str
    runs: list[ComparedRun]
    config: dict[str, Any]


class Aggregate(NamedTuple):
    """One metric of a group by step.

    Attributes:
        steps: ascending.
        center: the mean, or the median for quantiles.
        lower: the lower end of the band; NaN where only one run has a value and the spread is unknown.
        upper: the upper end.
        counts: how many runs have a value.
    """

    steps: NDArray[np.int64]
    center: NDArray[np.float64]
    lower: NDArray[np.float64]
    upper: NDArray[np.float64]
    counts: NDArray[np.int64]


def group_runs(runs: Sequence[ComparedRun], by: Sequence[str], ignore: Sequence[str] = ()) -> list[RunGroup]:
    """Group runs whose settings `by` are the same; `"config"` stands for all settings except those in `ignore`.

    Raises `DataError` for a setting that no run has.
    """
    known = list(dict.fromkeys(name for run in runs for name in run.config))
    for name in [*by, *ignore]:
        if name not in known and name != WHOLE_CONFIG:
            raise DataError(f"no run has the setting {name!r}{hint(name, [WHOLE_CONFIG, *known])}")
    names = known if WHOLE_CONFIG in by else [name for name in known if name in by]
    names = [name for name in names if name not in ignore]
    groups: dict[str, list[ComparedRun]] = {}
    for run in runs:
        groups.setdefault(_key(run, names), []).append(run)
    differing = [n for n in names if len({_key(members[0], [n]) for members in groups.values()}) > 1]
    titles = [_title(members, differing) for members in groups.values()]
    unique = [
        title if titles.count(title) == 1 else f"{title} · {members[0].name}"
        for title, members in zip(titles, groups.values())
    ]
    return [RunGroup(title, members, _shared(members, ignore)) for title, members in zip(unique, groups.values())]


def aggregate(points: Sequence[Points], spread: str = "std") -> Aggregate:
    """Return center and band of a metric over several runs.

    At each step, the runs that have a finite value count. Steps that fewer than half of the runs have, or fewer than
    two, are left out, so that a run that ended early neither ends the band nor bends it. Runs that were measured at
    different steps are interpolated. The standard deviation is that of a sample (`ddof=1`).

    Args:
        points: by run, the ascending steps and the values.
        spread: `"std"`, `"sem"`, `"minmax"`, or `"quantiles"` (25% and 75%).
    """
    if spread not in SPREADS:
        raise ValueError(f"spread is {', '.join(SPREADS)}; not {spread!r}")
    points = [(steps[finite], values[finite]) for steps, values in points if (finite := np.isfinite(values)).any()]
    if not points:
        none = np.zeros(0)
        return Aggregate(np.zeros(0, np.int64), none, none, none, np.zeros(0, np.int64))
    least = max(min(2, len(points)), (len(points) + 1) // 2)
    steps, counts = np.unique(np.concatenate([steps for steps, _ in points]), return_counts=True)
    if (counts >= least).sum() * 2 < np.median([len(steps) for steps, _ in points]):
        table = np.stack([np.interp(steps, own, values, np.nan, np.nan) for own, values in points])
    else:
        table = np.full((len(points), len(steps)), np.nan)
        for row, (own, values) in zip(table, points):
            row[np.searchsorted(steps, own)] = values
    counts = np.isfinite(table).sum(axis=0)
    kept = counts >= least
    steps, counts, table = steps[kept], counts[kept], table[:, kept]
    if not len(steps):
        none = np.zeros(0)
        return Aggregate(steps, none, none, none, counts)
    center, lower, upper = _statistics(table, counts, spread)
    return Aggregate(steps, center, lower, upper, counts)


def aggregate_metrics(runs: Sequence[ComparedRun]) -> dict[str, dict[str, Any]]:
    """Return the metrics of a group in the form of `run.json`: means, with standard deviations as `last_std`."""
    entries: dict[str, dict[str, Any]] = {}
    for tag in dict.fromkeys(tag for run in runs for tag in run.metrics):
        entry: dict[str, Any] = {}
        for which, step in (("last", "step"), ("best", "best_step")):
            found = [run.metrics[tag] for run in runs if which in run.metrics.get(tag, {})]
            values = [value for one in found if isinstance(value := parse_number(one[which]), int | float)]
            if values:
                steps = {one.get(step) for one in found}
                entry |= {which: float(np.mean(values)), step: steps.pop() if len(steps) == 1 else None}
                entry[f"{which}_std"] = float(np.std(values, ddof=1)) if len(values) > 1 else None
                entry[f"{which}_count"] = len(values)
        goal = next((run.metrics[tag]["goal"] for run in runs if "goal" in run.metrics.get(tag, {})), None)
        if entry:
            entries[tag] = entry | ({"goal": goal} if goal else {})
    return entries


def spread_note(spread: str) -> str:
    """Return what a band shows, in words."""
    return SPREAD_NAMES[spread]


def _statistics(
    table: NDArray[np.float64], counts: NDArray[np.int64], spread: str
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    if spread == "quantiles":
        lower, center, upper = np.nanquantile(table, (0.25, 0.5, 0.75), axis=0)
        return center, lower, upper
    center = np.nanmean(table, axis=0)
    if spread == "minmax":
        return center, np.nanmin(table, axis=0), np.nanmax(table, axis=0)
    squares = np.nansum((table - center) ** 2, axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        width = np.sqrt(squares / (counts - 1))  # NaN for a single run
        if spread == "sem":
            width = width / np.sqrt(counts)
    return center, center - width, center + width


def _key(run: ComparedRun, names: Sequence[str]) -> str:
    return json.dumps([[name, run.config[name]] for name in names if name in run.config], default=str, sort_keys=True)


def _shared(runs: Sequence[ComparedRun], ignore: Sequence[str]) -> dict[str, Any]:
    first = runs[0].config
    same = [name for name in first if all(run.config.get(name) == first[name] for run in runs)]
    return {name: first[name] for name in same if name not in ignore}


def _title(runs: Sequence[ComparedRun], differing: Sequence[str]) -> str:
    config = runs[0].config
    parts = [f"{name}={config.get(name, 'none')}" for name in differing[:MAX_SHOWN_SETTINGS]]
    return " ".join(parts) if parts else runs[0].name if len(runs) == 1 else "all runs"
