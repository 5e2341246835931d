"""Several runs in one group: run one after another under the same dashboards, and compared."""

from __future__ import annotations

import logging
import math
from dataclasses import fields
from itertools import count
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.table import Table

from monitor.comparison.views.dashboard_view import ComparisonView
from monitor.dashboards.session import keep_dashboards_up
from runners import linear, logistic, mlp
from runners.choices import IMAGE_DATASETS
from runners.course.findings import FINDINGS, Finding
from runners.course.published import COMPARISONS
from runners.course.results import RunResult
from runners.course.worked_examples import WORKED_EXAMPLES, parse_values
from runners.launch.options import RunOptions, SinkOptions
from runners.launch.session import GroupDashboards, open_group_dashboards, open_logger, refuse_logdir

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import Path

    from runners.course.catalogue import Lesson

log = logging.getLogger("monitor")

RUNNERS: dict[str, click.Command] = {"linear": linear.main, "logistic": logistic.main, "mlp": mlp.main}
OTHER_DATA = IMAGE_DATASETS[1:]  # on which nobody said what the lessons show
COMPARED_METRICS = ("train/loss", "train/accuracy", "val/loss", "val/accuracy", "test/loss", "test/accuracy")


def run_worked_example(name: str, values: Sequence[str], options: SinkOptions) -> bool:
    """Work out an example by hand, as a run of its own; return whether it has shown what it is about."""
    parsed = parse_values(name, values)
    sink_options = {field.name: getattr(options, field.name) for field in fields(SinkOptions)}
    with open_logger(name, {"runner": name}, RunOptions(**sink_options, name=name)) as logger:
        worked = WORKED_EXAMPLES[name](logger, parsed)
        logger.text(name, worked.text, 0)
    if "console" not in options.sinks:  # the console sink prints texts itself
        click.echo(worked.text)
    _conclude(Finding(worked.finding, worked.holds))
    return worked.holds


def run_group(
    name: str,
    runs: Mapping[str, Sequence[str]],
    options: SinkOptions,
    lesson: Lesson,
    *,
    csv: Path | None,
    has_published: bool,
) -> bool:
    """Run all `runs`, each a runner and its arguments, in `LOGDIR/NAME`; compare them in a table and in Visdom.

    With `has_published`, also compare them with what the slides print. Returns whether the runs have shown what the
    lesson is about, or need not, because their images are not MNIST's.
    """
    folder = claim_folder(options.logdir / name)
    results: dict[str, RunResult] = {}
    with open_group_dashboards(folder, options) as dashboards:
        for run, (runner, *arguments) in runs.items():
            click.echo(f"\n{run}: monitor train {' '.join([runner, *arguments])}")
            arguments += ["--logdir", str(folder), "--name", run, "--in-group"]
            for spec in dashboards.specs(f"{folder.name}_{run}"):
                arguments += ["--sink", spec]
            metrics = RUNNERS[runner].main(arguments, prog_name=runner, standalone_mode=False)
            results[run] = RunResult(metrics, folder / run)
            _update_comparison(folder, list(results), dashboards)
        dashboards.collect_pages(folder)
        click.echo()
        Console().print(_table(name, {run: result.metrics for run, result in results.items()}, lesson.has_one_loss))
        has_shown = True
        if dashboards.writes_event_files:
            has_shown = _report(name, results, csv, has_published=has_published)
        else:
            click.echo("Not checked: without event files there is nothing to check; add --sink tensorboard.")
        keep_dashboards_up(dashboards.servers, dashboards.view_commands(folder), wait=options.wait)
    return has_shown


def _report(name: str, results: dict[str, RunResult], csv: Path | None, *, has_published: bool) -> bool:
    """Print the slide's numbers beside the runs', and the finding; return whether both are as they should be."""
    differences, is_other_data = 0, any(result.config.get("data") in OTHER_DATA for result in results.values())
    if has_published:
        comparison = COMPARISONS[name](results, csv)
        click.echo(f"\n{comparison.text}")
        differences = comparison.differences
        if comparison.numbers:
            click.echo(comparison.verdict)
        elif csv is not None:
            is_other_data = True
    finding = FINDINGS[name](results)
    _conclude(finding)
    return (finding.holds and not differences) or is_other_data


def _conclude(finding: Finding) -> None:
    """Print what the run has shown, or that it has not."""
    click.echo(f"\nSeen: {finding.text}." if finding.holds else f"\nNot seen this time: {finding.text}.")


def claim_folder(path: Path) -> Path:
    """Create a folder that no other process has, `path` or else `path-2`, `path-3` and so on; return it."""
    for number in count(1):
        folder = path if number == 1 else path.with_name(f"{path.name}-{number}")
        try:
            folder.mkdir(parents=True)  # fails if it exists, so two processes cannot claim the same
        except FileExistsError:
            continue
        except OSError as error:
            refuse_logdir(path.parent, error)
        return folder
    raise AssertionError  # `count` does not end


def _update_comparison(folder: Path, runs: list[str], dashboards: GroupDashboards) -> None:
    """Show the runs on one page of the dashboard, with one chart per metric and one curve per run."""
    sink = dashboards.dashboard_sink(f"{folder.name}_comparison")
    if sink is None or not dashboards.writes_event_files:
        return
    try:
        ComparisonView(sink, COMPARED_METRICS).update({run: folder / run for run in runs})
        sink.save(folder / sink.name)
    except OSError as error:
        log.warning("%s: the comparison is not shown: %s", sink.name, error)
    finally:
        sink.close()


def _table(name: str, metrics: Mapping[str, Mapping[str, float]], has_one_loss: bool) -> Table:
    """Return a table of each run's last metrics, with a star at the best of each."""
    tags = [tag for tag in COMPARED_METRICS if any(tag in values for values in metrics.values())]
    table = Table("run", *tags, title=name)
    best = {tag: _best(tag, metrics.values(), has_one_loss) for tag in tags}
    for run, values in metrics.items():
        cells = []
        for tag in tags:
            value = values.get(tag)
            star = " *" if value is not None and value == best[tag] else "  "
            cells.append("" if value is None else f"{value:.4f}{star}")
        table.add_row(run, *cells)
    return table


def _best(tag: str, runs: Collection[Mapping[str, float]], has_one_loss: bool) -> float | None:
    """Return the best value of a metric, None if the runs cannot be compared by it."""
    if len(runs) < 2 or (tag.endswith("loss") and not has_one_loss):
        return None
    values = [metrics[tag] for metrics in runs if tag in metrics and not math.isnan(metrics[tag])]
    return (max if tag.endswith("accuracy") else min)(values, default=None)
