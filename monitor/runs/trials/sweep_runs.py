"""The runs of a sweep: which trial each of them is, what it is worth, and which is the best."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

from monitor.runs.run_file import parse_number
from monitor.runs.status import RunStatus

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from monitor.runs.listing import RunInfo

Order = tuple[int, int, str]


def trial_value(entry: Mapping[str, Any], goal: str, *, is_best: bool) -> tuple[float | None, int | None]:
    """Return what a trial is worth by its metric in `run.json`, and the step: the last value, or the best."""
    kind, step = ("best", "best_step") if is_best and entry.get("goal") == goal else ("last", "step")
    value = parse_number(entry.get(kind))
    return (float(value), entry.get(step)) if isinstance(value, int | float) else (None, None)


class SweepRuns(NamedTuple):
    """The trials of one sweep that have a run.

    Attributes:
        name: of the sweep.
        metric: the tag that it goes by.
        goal: `"min"` or `"max"`.
        trials: a run for each, in the order of the trials.
    """

    name: str
    metric: str
    goal: str
    trials: list[RunInfo]

    def value(self, run: RunInfo) -> float | None:
        """Return what a trial is worth: the last value of the metric, or the best if the sweep says so.

        None if there is none, or it is not finite.
        """
        entry = (run.fields.get("metrics") or {}).get(self.metric, {})
        value, _ = trial_value(entry, self.goal, is_best=run.fields["sweep"].get("is_best") is True)
        return value if value is not None and math.isfinite(value) else None

    def ranked(self) -> list[RunInfo]:
        """Return the trials with a value, the best first; of equal ones, the first."""
        sign = -1 if self.goal == "max" else 1
        values = [
            (value * sign, number, run)
            for number, run in enumerate(self.trials)
            if (value := self.value(run)) is not None
        ]
        return [run for *_, run in sorted(values, key=lambda item: item[:2])]

    def best(self) -> RunInfo | None:
        """Return the best trial that has finished."""
        return next((run for run in self.ranked() if run.status == RunStatus.FINISHED), None)

    def counts(self) -> dict[str, int]:
        """Return how many trials have each status, those that run first, the finished ones next."""
        found: dict[str, int] = {}
        for status in (RunStatus.RUNNING, RunStatus.FINISHED, RunStatus.PRUNED, *sorted(r.status for r in self.trials)):
            count = sum(run.status == status for run in self.trials)
            if count:
                found[str(status)] = count
        return found

    def summary(self) -> str:
        """Return a line: the name, how many trials there are and how they are, and the best of them."""
        count = len(self.trials)
        how = ", ".join(f"{number} {status}" for status, number in self.counts().items())
        line = f"{self.name}: {count} {'trial' if count == 1 else 'trials'}, {how}"
        best = self.best()
        if best is None:
            return line
        return f"{line}; best {self.metric} {self.value(best):.6g}, trial {trial_of(best)}"


def trial_of(run: RunInfo) -> int | str:
    """Return which trial of its sweep a run is."""
    trial: int | str = run.fields["sweep"]["trial"]
    return trial


def group_sweeps(infos: Iterable[RunInfo]) -> tuple[list[SweepRuns], list[RunInfo]]:
    """Return the sweeps, by name, and the runs that belong to none, in the order in which they are given.

    A program may have made several runs in one trial; the first one with the metric counts, or else the first.
    """
    sweeps: dict[str, dict[int | str, RunInfo]] = {}
    others: list[RunInfo] = []
    for run in infos:
        field = run.fields.get("sweep")
        if not field:
            others.append(run)
            continue
        trials = sweeps.setdefault(field["name"], {})
        known = trials.get(field["trial"])
        if known is None or (not _has_metric(known) and _has_metric(run)):
            trials[field["trial"]] = run
    grouped = []
    for name in sorted(sweeps):
        runs = sorted(sweeps[name].values(), key=_order)
        field = runs[-1].fields["sweep"]
        grouped.append(SweepRuns(name, field["metric"], field["goal"], runs))
    return grouped, others


def _has_metric(run: RunInfo) -> bool:
    return run.fields["sweep"]["metric"] in (run.fields.get("metrics") or {})


def _order(run: RunInfo) -> Order:
    trial = trial_of(run)
    return (0, trial, "") if isinstance(trial, int) else (1, 0, str(run.fields.get("start")) + trial)
