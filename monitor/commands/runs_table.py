"""The table of `monitor runs`: one line per run, with as many columns as the terminal is wide.

The columns have the names by which `--sort` and `--filter` know them.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from monitor.commands.base import as_text
from monitor.metrics import sort_key
from monitor.runs.run_file import parse_number

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rich.console import RenderableType
    from rich.text import Text

    from monitor.runs.listing import RunInfo

MAX_METRICS = 4  # unless the user names more
GAP = 2  # characters between columns
NAME_SHARE = 4  # a name may take a fourth of the line; longer ones are cut in the middle if columns do not fit
MAX_PROBLEM_SHARE = 3  # of the lines of a table that must fit, one in three tells what is wrong with a run
ALWAYS = 0  # the rank of a column that is never left out
STATUS_COLORS = {
    "running": "green", "finished": "default", "failed": "red", "interrupted": "yellow", "killed": "red",
    "stopped": "yellow", "pruned": "cyan", "lost": "magenta", "damaged": "red", "foreign": "dim",
}  # fmt: skip


class _Column(NamedTuple):
    """A column of the table; those of the highest rank are left out first."""

    name: str
    rank: int
    cells: list[Text]

    @property
    def heading(self) -> Text:
        """The name, in two lines where it has parts."""
        return as_text(self.name.replace("/", "/\n", 1) if self.name.count("/") == 1 else self.name)

    @property
    def width(self) -> int:
        """The characters that it needs."""
        lines = [*self.heading.split(), *self.cells]
        return max(int(line.cell_len) for line in lines)


def runs_table(
    infos: Sequence[RunInfo], metrics: Sequence[str], width: int, height: int | None = None
) -> RenderableType:
    """Return a table of runs, and what is wrong with a run in a line each below it.

    `metrics` are shown in any case. With a `height` in lines, the first runs that fit are shown, and how many there are
    besides.
    """
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    shown, problems, more = _fitting(infos, height)
    columns = _columns(shown, metrics, width)
    grid = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0), header_style="bold")
    for column in columns:
        is_text = column.name in ("name", "status", "tags")
        grid.add_column(
            column.heading, justify="left" if is_text else "right", no_wrap=True, overflow="ellipsis", vertical="bottom"
        )
    for cells in zip(*(column.cells for column in columns)):
        grid.add_row(*cells)
    lines: list[Text] = [Text(f"… {more:,} more", "dim")] if more else []
    for run in problems:
        line = as_text(f"{run.name}: {run.problem}", "dim")
        if height is not None:
            line.truncate(width, overflow="ellipsis")
        lines.append(line)
    return Group(grid, *lines)


def _fitting(infos: Sequence[RunInfo], height: int | None) -> tuple[Sequence[RunInfo], list[RunInfo], int]:
    """Return the runs that fit, those of them whose problems are told, and how many do not fit."""
    problems = [run for run in infos if run.problem]
    if height is None:
        return infos, problems, 0
    space = max(1, height - 2)  # without the headings
    told = problems[: space // MAX_PROBLEM_SHARE]
    count = space - len(told)
    if len(infos) > count:
        count = max(1, count - 1)  # a line says how many do not fit
    shown = infos[:count]
    return shown, [run for run in told if run in shown], len(infos) - len(shown)


def _columns(infos: Sequence[RunInfo], metrics: Sequence[str], width: int) -> list[_Column]:
    """Return the columns that fit into `width` characters, in their order."""

    def column(name: str, rank: int, text_of: Callable[[RunInfo], str]) -> _Column:
        return _Column(name, rank, [as_text(text_of(run)) for run in infos])

    tags = list(metrics) or main_metrics(infos)
    has_epochs = any("epoch" in run.progress for run in infos)
    columns = [
        column("name", ALWAYS, lambda run: run.name),
        _Column("status", ALWAYS, [as_text(r.status_text, STATUS_COLORS.get(r.status, "default")) for r in infos]),
        column("epoch", 3, lambda run: format_progress(run, "epoch")),
        column("step", 7 if has_epochs else 3, lambda run: format_progress(run, "step")),
    ]
    for number, tag in enumerate(tags):
        rank = ALWAYS if tag in metrics else (1, 4, 9, 11)[number]
        columns.append(column(tag, rank, partial(_metric, tag=tag, which="last")))
        columns.append(column(f"best:{tag}", 5 + 3 * number, partial(_metric, tag=tag, which="best")))
    columns += [
        column("duration", 6, lambda run: format_duration(run.duration)),
        column("age", 2, lambda run: format_duration(run.age)),
        column("tags", 6, lambda run: run.tags),
    ]
    columns = [column for column in columns if column.rank == ALWAYS or any(column.cells)]
    while _excess(columns, width, width // NAME_SHARE) > 0 and any(column.rank != ALWAYS for column in columns):
        columns.remove(max(columns, key=lambda column: column.rank))
    excess = _excess(columns, width)
    if excess > 0:
        room = max(width // NAME_SHARE, columns[0].width - excess)
        columns[0] = columns[0]._replace(cells=[_shortened(cell, room) for cell in columns[0].cells])
    return columns


def _excess(columns: Sequence[_Column], width: int, name_chars: int | None = None) -> int:
    """Return how many characters the columns need beyond `width`, where names may be cut to `name_chars`."""
    widths = [column.width for column in columns]
    if name_chars is not None:
        widths[0] = min(widths[0], name_chars)
    return sum(widths) + GAP * (len(widths) - 1) - width


def _shortened(name: Text, chars: int) -> Text:
    """Cut a name in the middle: runs differ in their beginnings and their ends."""
    if name.cell_len <= chars:
        return name
    head = (chars - 1) // 2
    return name[:head] + "…" + name[len(name) - (chars - 1 - head) :]


def main_metrics(infos: Sequence[RunInfo]) -> list[str]:
    """Return the metrics that runs are compared by: those with a goal, held-out data first."""
    counts: dict[str, int] = {}
    for run in infos:
        for tag, entry in run.metrics.items():
            if "goal" in entry:
                counts[tag] = counts.get(tag, 0) + 1
    return sorted(counts, key=sort_key)[:MAX_METRICS]


def format_progress(run: RunInfo, unit: str) -> str:
    """Return how far a run is, such as `3/10`; `unit` is `epoch` or `step`."""
    current, total = run.progress.get(unit), run.progress.get(f"{unit}s")
    return "" if current is None else f"{current}/{total}" if total else str(current)


def _metric(run: RunInfo, tag: str, which: str) -> str:
    """Return the last or the best value of a metric."""
    value = parse_number(run.metrics.get(tag, {}).get(which))
    return "" if value is None else f"{value:.4g}" if isinstance(value, int | float) else str(value)


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
