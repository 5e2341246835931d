"""`monitor runs --watch` with sweeps: a line for each, and below it the trials that are running and the best."""

from __future__ import annotations

from typing import TYPE_CHECKING

from monitor.commands.base import as_text
from monitor.commands.listing.runs_table import runs_table
from monitor.runs.status import RunStatus
from monitor.runs.trials.sweep_runs import group_sweeps

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import RenderableType
    from rich.text import Text

    from monitor.runs.listing import RunInfo
    from monitor.runs.trials.sweep_runs import SweepRuns

MIN_LINES = 6  # of a table with its headings
MAX_ENDED_SHARE = 4  # one line in four tells of sweeps that have ended


def watched_runs(
    infos: Sequence[RunInfo], metrics: Sequence[str], width: int, height: int, left_out: int = 0, *, is_sorted: bool
) -> RenderableType:
    """Return what fits into `height` lines: the sweeps that are going on, those that have ended, and the other runs.

    Unless `is_sorted`, the trials that are running come first, and then the best ones.
    """
    from rich.console import Group

    sweeps, others = group_sweeps(infos)
    if not sweeps:
        return runs_table(infos, metrics, width, height, left_out)
    going = [sweep for sweep in sweeps if any(run.status is RunStatus.RUNNING for run in sweep.trials)]
    ended = [sweep for sweep in sweeps if sweep not in going]
    tables = max(1, height // MIN_LINES)
    has_others = bool(others) and (tables > 1 or not going)
    count = max(bool(going), min(len(going), tables - has_others))
    with_table, without = going[:count], going[count:]
    lines = [_line(sweep, width) for sweep in [*without, *ended]]
    room = max(1, height // MAX_ENDED_SHARE)
    if len(lines) > room:
        lines = [*lines[: room - 1], as_text(f"… {len(lines) - room + 1:,} more sweeps", "dim")]
    share, spare = divmod(height - len(lines), max(1, count + has_others))
    shown: list[RenderableType] = []
    for sweep in with_table:
        trials = sweep.trials if is_sorted else _running_first(sweep)
        tags = metrics or (sweep.metric,)
        shown += [_line(sweep, width), runs_table(trials, tags, width, max(1, share - 1))]
    shown += lines
    if has_others:
        shown.append(runs_table(others, metrics, width, share + spare, left_out))
    return Group(*shown)


def _line(sweep: SweepRuns, width: int) -> Text:
    line = as_text(sweep.summary(), "bold")
    line.truncate(width, overflow="ellipsis")
    return line


def _running_first(sweep: SweepRuns) -> list[RunInfo]:
    ranked = sweep.ranked()
    places = {id(run): place for place, run in enumerate(ranked)}
    return sorted(sweep.trials, key=lambda run: (run.status is not RunStatus.RUNNING, places.get(id(run), len(ranked))))
