"""Several runs in one group: started one after the other under the same dashboards, and compared."""

from __future__ import annotations

import logging
import math
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.table import Table

from monitor.comparison.compare import ComparisonView
from monitor.dashboards.session import keep_dashboards_up
from runners import logistic, mlp
from runners.course.worked_examples import WORKED_EXAMPLES
from runners.launch.session import GroupDashboards, group, start

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

log = logging.getLogger("monitor")

RUNNERS: dict[str, click.Command] = {"logistic": logistic.main, "mlp": mlp.main}
COMPARED_METRICS = ("train/loss", "train/accuracy", "val/loss", "val/accuracy", "test/loss", "test/accuracy")


def run_worked(name: str, given: Mapping[str, Any]) -> None:
    """Work an example out, as a run of its own."""
    with start(name, {"runner": name}, {**given, "name": name}) as logger:
        said = WORKED_EXAMPLES[name](logger)
        logger.text(name, said, 0)
    if "console" not in given["sinks"]:  # which shows texts itself
        click.echo(said)


def run_all(name: str, runs: Mapping[str, Sequence[str]], given: Mapping[str, Any], one_loss: bool = True) -> None:
    """Run them all into `LOGDIR/NAME`, and compare them: in a table, and in Visdom a window a metric.

    Where they have not `one_loss`, the lowest is not marked.
    """
    folder = _free(given["logdir"] / name)
    found: dict[str, dict[str, float]] = {}
    with group(folder, given) as boards:
        for run, (runner, *arguments) in runs.items():
            click.echo(f"\n{run}: monitor train {runner} {' '.join(arguments)}")
            sinks = [word for spec in boards.specs(f"{folder.name}_{run}") for word in ("--sink", spec)]
            where = ["--logdir", str(folder), "--name", run, "--in-group"]
            found[run] = RUNNERS[runner].main([*arguments, *where, *sinks], prog_name=runner, standalone_mode=False)
            _show(folder, list(found), boards)
        boards.gather_pages(folder)
        click.echo()
        Console().print(_table(name, found, one_loss))
        keep_dashboards_up(boards.boards, boards.view_commands(folder))


def _free(wanted: Path) -> Path:
    number, path = 1, wanted
    while path.exists():
        number += 1
        path = wanted.with_name(f"{wanted.name}-{number}")
    return path


def _show(folder: Path, runs: list[str], boards: GroupDashboards) -> None:
    """Put up an env in which each metric is one window, with a trace a run."""
    sink = boards.dashboard(f"{folder.name}_comparison")
    if sink is None or not boards.writes_event_files:
        return
    try:
        ComparisonView(sink, COMPARED_METRICS).update({run: folder / run for run in runs})
        sink.save(folder / sink.name)
    except OSError as error:
        log.warning("%s: the comparison is not shown: %s", sink.name, error)
    finally:
        sink.close()


def _table(name: str, found: Mapping[str, Mapping[str, float]], one_loss: bool) -> Table:
    """Lay out the last value of each metric, the best of each marked with a star."""
    metrics = [metric for metric in COMPARED_METRICS if any(metric in values for values in found.values())]
    table = Table("run", *metrics, title=name)
    best = {}
    for metric in metrics if len(found) > 1 else ():
        if metric.endswith("loss") and not one_loss:
            continue
        known = [row[metric] for row in found.values() if metric in row and not math.isnan(row[metric])]
        best[metric] = (max if metric.endswith("accuracy") else min)(known, default=None)
    for run, values in found.items():
        cells = []
        for metric in metrics:
            value = values.get(metric)
            star = " *" if value is not None and value == best.get(metric) else "  "
            cells.append("" if value is None else f"{value:.4f}{star}")
        table.add_row(run, *cells)
    return table
