"""The table of `monitor runs`: one line per run, with as many columns as the terminal is wide.

The columns have the names by which `--sort` and `--filter` know them.
"""

from __future__ import annotations

from functools import partial
from operator import itemgetter
from typing import TYPE_CHECKING

from monitor.commands.listing.text_lines import Lines, one_line, shortened, shortened_end, width_of
from monitor.metrics import sort_key
from monitor.render.text.names import distinct_names

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from monitor.runs.listing import RunInfo

MAX_METRICS = 4  # unless the user names more
GAP = 2  # characters between columns
NAME_SHARE = 4  # a name may take a fourth of the line; longer ones are cut in the middle if columns do not fit
MAX_PROBLEM_SHARE = 3  # of the lines of a table that must fit, one in three tells what is wrong with a run
ALWAYS = 0  # the rank of a column that is never left out
STATUS_COLORS = {
    "running": "green", "finished": "", "failed": "red", "interrupted": "yellow", "killed": "red",
    "stopped": "yellow", "pruned": "cyan", "lost": "magenta", "damaged": "red", "foreign": "dim",
}  # fmt: skip


class _Column:
    """A column of the table; those of the highest rank are left out first."""

    def __init__(self, name: str, rank: int, cells: list[str]) -> None:
        self.name, self.rank, self.cells = name, rank, cells
        is_split = name.count("/") == 1
        self.heading = one_line(name).replace("/", "/\n", 1).split("\n") if is_split else [one_line(name)]
        self.is_text = name in ("name", "status", "tags")
        self.measure()

    def measure(self) -> None:
        """Note how many characters the column needs."""
        cells = {*self.heading, *self.cells}
        self.width = max(map(len if all(map(str.isascii, cells)) else width_of, cells))

    def padded(self, cells: Sequence[str]) -> list[str]:
        """Return cells, or parts of the heading, as wide as the column."""
        if all(map(str.isascii, cells)):
            return [cell.ljust(self.width) if self.is_text else cell.rjust(self.width) for cell in cells]
        gaps = [" " * (self.width - width_of(cell)) for cell in cells]
        return [cell + gap if self.is_text else gap + cell for cell, gap in zip(cells, gaps)]


def runs_table(
    infos: Sequence[RunInfo],
    metrics: Sequence[str],
    width: int,
    height: int | None = None,
    left_out: int = 0,
    *,
    newest_last: bool = False,
) -> Lines:
    """Return a table of runs, and what is wrong with a run in a line each below it.

    `metrics` are shown in any case. With a `height` in lines, the first runs that fit are shown, or the last ones for
    `newest_last`, and how many there are besides; `left_out` is how many more there are than `infos`.
    """
    shown, problems, more = _fitting(infos[::-1] if newest_last else infos, height)
    shown, more = (shown[::-1] if newest_last else shown), more + left_out
    columns = _columns(shown, metrics, width)
    lines = Lines()
    if more and newest_last:
        lines.add((f"… {more:,} earlier; --all shows them", "dim"))
    for number in range(1 - max(len(column.heading) for column in columns), 1):
        parts = [column.heading[number - 1] if len(column.heading) + number > 0 else "" for column in columns]
        heading = (GAP * " ").join(column.padded([part])[0] for column, part in zip(columns, parts))
        lines.add((shortened_end(heading.rstrip(), width), "bold"))
    rows = zip(*(column.padded(column.cells) for column in columns))
    is_too_wide = _excess(columns, width) > 0
    for run, (name, status, *rest) in zip(shown, rows):
        behind = (GAP * " ").join(["", *rest]).rstrip()
        if is_too_wide:
            lines.add((shortened_end(f"{name}{GAP * ' '}{status}{behind}".rstrip(), width), ""))
        else:
            status = status if behind else status.rstrip()
            lines.add((name + GAP * " ", ""), (status, STATUS_COLORS.get(run.status, "")), (behind, ""))
    if more and not newest_last:
        lines.add((f"… {more:,} more", "dim"))
    for run in problems:
        problem = one_line(f"{run.name}: {run.problem}")
        lines.add((problem if height is None else shortened_end(problem, width), "dim"))
    return lines


def _fitting(infos: Sequence[RunInfo], height: int | None) -> tuple[Sequence[RunInfo], list[RunInfo], int]:
    """Return the runs that fit, those of them whose problems are told, and how many do not fit."""
    if height is None:
        return infos, [run for run in infos if run.problem], 0
    space = max(1, height - 2)  # without the headings
    told = [run for run in infos[:space] if run.problem][: space // MAX_PROBLEM_SHARE]
    count = space - len(told)
    if len(infos) > count:
        count = max(1, count - 1)  # a line says how many do not fit
    shown = infos[:count]
    return shown, [run for run in told if run in shown], len(infos) - len(shown)


def _columns(infos: Sequence[RunInfo], metrics: Sequence[str], width: int) -> list[_Column]:
    """Return the columns that fit into `width` characters, in their order."""
    tags = list(metrics) or main_metrics(infos)
    has_epochs = any("epoch" in run.progress for run in infos)
    possible: list[tuple[str, int, Callable[[RunInfo], str]]] = [
        ("name", ALWAYS, lambda run: one_line(run.name)),
        ("status", ALWAYS, lambda run: run.status_text),
        ("epoch", 3, lambda run: format_progress(run, "epoch")),
        ("step", 7 if has_epochs else 3, lambda run: format_progress(run, "step")),
    ]
    for number, tag in enumerate(tags):
        rank = ALWAYS if tag in metrics else (1, 4, 9, 11)[number]
        possible.append((tag, rank, partial(_metric, tag, "last")))
        possible.append((f"best:{tag}", 5 + 3 * number, partial(_metric, tag, "best")))
    possible += [
        ("duration", 6, lambda run: format_duration(run.duration)),
        ("age", 2, lambda run: format_duration(run.age)),
        ("tags", 6, lambda run: one_line(run.tags)),
    ]
    columns: list[_Column] = []
    possible.reverse()  # of two with the same rank, the latter stays
    for name, rank, text_of in sorted(possible, key=itemgetter(1)):
        column = _Column(name, rank, list(map(text_of, infos)))
        if rank != ALWAYS and not any(column.cells):
            continue
        if rank != ALWAYS and _excess([column, *columns], width, width // NAME_SHARE) > 0:
            break  # what comes behind it is left out first
        columns.append(column)
    order = [name for name, _, _ in possible]
    columns.sort(key=lambda column: -order.index(column.name))
    excess = _excess(columns, width)
    if excess > 0:
        room = max(width // NAME_SHARE, columns[0].width - excess)
        columns[0].cells = _distinct(columns[0].cells, room)
        columns[0].measure()
    return columns


def _distinct(names: list[str], width: int) -> list[str]:
    """Shorten names to `width` columns of a terminal so that those which differ still do."""
    is_wide = any(width_of(name) > len(name) for name in names)  # such as CJK: up to two columns a character
    return [shortened(name, width) for name in distinct_names(names, max(1, width // 2 if is_wide else width))]


def _excess(columns: Sequence[_Column], width: int, name_chars: int | None = None) -> int:
    """Return how many characters the columns need beyond `width`, where names may be cut to `name_chars`."""
    widths = [
        column.width if name_chars is None or column.name != "name" else min(column.width, name_chars)
        for column in columns
    ]
    return sum(widths) + GAP * (len(widths) - 1) - width


def main_metrics(infos: Sequence[RunInfo]) -> list[str]:
    """Return the metrics that runs are compared by: those with a goal, held-out data first."""
    counts: dict[str, int] = {}
    for run in infos:
        for tag, entry in run.unsorted_metrics.items():
            if "goal" in entry:
                counts[tag] = counts.get(tag, 0) + 1
    return sorted(counts, key=sort_key)[:MAX_METRICS]


def format_progress(run: RunInfo, unit: str) -> str:
    """Return how far a run is, such as `3/10`; `unit` is `epoch` or `step`."""
    progress = run.progress
    current, total = progress.get(unit), progress.get(f"{unit}s")
    return "" if current is None else f"{current}/{total}" if total else str(current)


def _metric(tag: str, which: str, run: RunInfo) -> str:
    """Return the last or the best value of a metric."""
    value = run.metric(tag, which)
    if type(value) is float:
        return f"{value:.4g}"
    return "" if value is None else f"{value:.4g}" if isinstance(value, int) else one_line(str(value))


def format_duration(seconds: float | None) -> str:
    """Return a time in its two largest units, such as `3h 5m`."""
    if seconds is None:
        return ""
    if seconds < 10:
        return f"{seconds:.1f}s"
    whole = round(seconds)
    for size, unit, small_size, small_unit in ((86400, "d", 3600, "h"), (3600, "h", 60, "m"), (60, "m", 1, "s")):
        if whole >= size:
            return f"{whole // size}{unit} {whole % size // small_size}{small_unit}"
    return f"{whole}s"
