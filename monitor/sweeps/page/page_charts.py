"""The charts of a sweep's page. However many trials there are, each has a bounded number of lines and points."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from monitor.comparison import charts
from monitor.render.charts.curves.chart import curve_chart
from monitor.render.charts.curves.curve import THICK, THIN, ChartCurve, curve_of
from monitor.render.charts.parallel import ParallelRun, parallel_chart
from monitor.render.charts.sweep import BEST_COLOR, TrialPoint, best_so_far_chart, ramp
from monitor.render.charts.x_axes import Clock
from monitor.runs.status import RunStatus
from monitor.runs.trials.sweep_runs import trial_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from monitor.render.charts.style import Figure
    from monitor.runs.listing import RunInfo
    from monitor.runs.trials.sweep_runs import SweepRuns
    from monitor.sweeps.page.trial_curves import TrialCurves

MAX_LINES = 150  # of a chart: those that run, the best, and some of the others
BEST_SHARE = 3  # a third of the lines are those of the best
MAX_SMOOTHED = 8  # curves
MAX_SETTINGS_CHARS = 60  # of a hover label
MAX_TRIAL_POINTS = 5000  # of the chart of all trials; of more, the latest are shown
BEST_SO_FAR_SIZE_PX = {"width": 560, "height": 320}
WIDE_SIZE_PX = {"width": 830, "height": 340}


def chosen(sweep: SweepRuns) -> list[RunInfo]:
    """Return the trials that are drawn as lines, the worst first: the best one is drawn over all others."""
    ranked = sweep.ranked()
    with_value = set(map(id, ranked))
    without = [run for run in sweep.trials if id(run) not in with_value and run.status == RunStatus.RUNNING]
    if len(ranked) <= MAX_LINES:
        return [*without[:MAX_LINES], *reversed(ranked)]
    best = MAX_LINES // BEST_SHARE
    running = [run for run in ranked[best:] if run.status == RunStatus.RUNNING][: MAX_LINES // BEST_SHARE]
    others = [run for run in ranked[best:] if run.status != RunStatus.RUNNING]
    room = min(MAX_LINES - best - len(running), len(others))
    spread = [others[place * (len(others) - 1) // max(room - 1, 1)] for place in range(room)]
    kept = {id(run) for run in [*ranked[:best], *running, *spread]}
    return [*without[:MAX_LINES], *(run for run in reversed(ranked) if id(run) in kept)]


def buckets(shown: Sequence[RunInfo]) -> int:
    """Return how many buckets of a curve are kept with so many."""
    return charts.buckets(len(shown))


def figures(sweep: SweepRuns, shown: Sequence[RunInfo], curves: TrialCurves) -> dict[str, Figure]:
    """Return the figures by the tags of their windows."""
    colors = dict(zip(map(trial_of, shown), _colors(sweep, shown)))
    numbers = {trial_of(run): number for number, run in enumerate(sweep.trials)}
    note = f"{len(shown)} of {len(sweep.trials):,} trials" if len(shown) < len(sweep.trials) else ""
    found = {"best so far": _best_so_far(sweep)}
    settings = _settings(shown)
    if settings:
        lines = [
            ParallelRun(_name(run), _values(run), sweep.value(run), colors[trial_of(run)], numbers[trial_of(run)])
            for run in shown
        ]
        found["settings"] = _titled(parallel_chart(sweep.metric, settings, lines), note)
        found["settings"]["layout"] |= WIDE_SIZE_PX
    drawn = _curves(sweep, shown, curves, colors, numbers)
    if drawn:
        found["curves"] = _titled(curve_chart(f"{sweep.metric} of all trials", drawn), note)
        found["curves"]["layout"] |= {**WIDE_SIZE_PX, "showlegend": False, "hovermode": "closest"}
    return found


def number_of(sweep: SweepRuns, run: RunInfo) -> int:
    """Return the place of a trial on the x axis: its number, or else its place in the order of the starts."""
    trial = trial_of(run)
    return trial if isinstance(trial, int) else next(n for n, other in enumerate(sweep.trials) if other is run)


def settings_text(values: Mapping[str, Any]) -> str:
    """Return the values of a trial in a line."""
    return ", ".join(f"{name} {_short(value)}" for name, value in values.items())


def _best_so_far(sweep: SweepRuns) -> Figure:
    places = {id(run): place for place, run in enumerate(sweep.trials)}
    points = []
    for run in sweep.trials[-MAX_TRIAL_POINTS:]:
        trial = trial_of(run)
        place = trial if isinstance(trial, int) else places[id(run)]
        points.append(TrialPoint(place, _name(run), sweep.value(run), str(run.status)))
    note = ", ".join(f"{count} {status}" for status, count in sweep.counts().items())
    figure = best_so_far_chart(sweep.metric, sweep.goal, points, note)
    figure["layout"] |= BEST_SO_FAR_SIZE_PX
    return figure


def _curves(
    sweep: SweepRuns,
    shown: Sequence[RunInfo],
    curves: TrialCurves,
    colors: Mapping[int | str, str],
    numbers: Mapping[int | str, int],
) -> list[ChartCurve]:
    best = sweep.best()
    drawn = []
    for run in shown:
        series, is_best = curves.series(run.path), run is best
        if series is not None:
            trial, width = trial_of(run), THICK if is_best else THIN
            name = f"{_name(run)} (best)" if is_best else _name(run)
            is_smoothed = len(shown) <= MAX_SMOOTHED
            curve = curve_of(name, series, colors[trial], Clock(), width=width, is_smoothed=is_smoothed)
            drawn.append(curve._replace(number=numbers[trial]))
    return drawn


def _colors(sweep: SweepRuns, shown: Sequence[RunInfo]) -> list[str]:
    """Return the color of each line: darker for a better trial, and one of its own for the best."""
    ranked = sweep.ranked()
    places = {id(run): 1 - rank / max(len(ranked) - 1, 1) for rank, run in enumerate(ranked)}
    best = sweep.best()
    colors = ramp([places.get(id(run)) for run in shown])
    return [BEST_COLOR if run is best else color for run, color in zip(shown, colors)]


def _settings(shown: Sequence[RunInfo]) -> list[str]:
    """Return the settings of the axes: what the sweep sets, or for runs that were started by hand, what differs."""
    names = list(dict.fromkeys(name for run in shown for name in run.fields["sweep"].get("values") or {}))
    if names or not shown:
        return names
    first = shown[0].config
    known = dict.fromkeys(name for run in shown for name in run.config)
    return [name for name in known if any(run.config.get(name) != first.get(name) for run in shown)]


def _values(run: RunInfo) -> Mapping[str, Any]:
    return run.fields["sweep"].get("values") or run.config


def _name(run: RunInfo) -> str:
    values = run.fields["sweep"].get("values") or {}
    text = settings_text(values)
    text = text if len(text) <= MAX_SETTINGS_CHARS else f"{text[:MAX_SETTINGS_CHARS]}…"
    return f"{trial_of(run)}: {text}" if text else str(trial_of(run))


def _short(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _titled(figure: Figure, note: str) -> Figure:
    if note:
        figure["layout"]["title"]["text"] += f" · {note}"
    return figure
