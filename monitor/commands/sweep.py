"""`monitor sweep TARGET`: trials of a runner or a script over a space of its options."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from monitor.commands.base import MonitorCommand, fail
from monitor.commands.completion import complete_metrics, complete_sinks
from monitor.commands.option_values import GivenPath, NameChoice, check_sinks, is_installed, run_name
from monitor.dashboards.session import echo, keep_dashboards_up, start_dashboards, view_commands
from monitor.runs.listing.found_runs import FoundRuns
from monitor.runs.listing.stored_fields import PARTS
from monitor.runs.processes.process import signals_as_exit
from monitor.sinks import registry
from monitor.sinks.base import DashboardSink
from monitor.sweeps.population import PERTURB_EVERY
from monitor.sweeps.settings import ENGINES, SAMPLERS, RayOptions, find_folder, read_sweep
from monitor.sweeps.setup import make_sweep, open_folder, sample_commands

if TYPE_CHECKING:
    from monitor.sweeps.settings import Sweep

DEFAULT_SINKS = ("tensorboard", "visdom")
SHOWN_COMMANDS = 5  # in a dry run
FIXED = ("space", "metric", "value", "goal", "sampler", "seed", "prune", "name", "engine")  # of a sweep that goes on


class SweepCommand(MonitorCommand):
    """The command, which says where options of the trials go."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the arguments; for an unknown option, name the place for those of the program."""
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            place = "options of the program itself come after --, as in: monitor sweep mlp … -- --epochs 3"
            raise click.UsageError(f"{error.format_message()} {place}", ctx) from error


@click.command(cls=SweepCommand)
@click.argument("target", required=False)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@click.option("--set", "space", multiple=True, metavar="OPTION=VALUES",
              help="What an option may be: lr=log:1e-4..1e-1, hidden=50..400:50, optimizer=sgd,adam, "
              "hidden='200,200|500', nesterov=flag; repeatable.")  # fmt: skip
@click.option("--trials", type=click.IntRange(min=1), help="How many trials.  [default: all points of a grid]")
@click.option("--metric", metavar="TAG", shell_complete=complete_metrics,
              help="The scalar that counts, such as test/accuracy.")  # fmt: skip
@click.option("--value", type=NameChoice(["last", "best"]),
              help="Whether the metric's last value counts, or its best.  [default: last]")  # fmt: skip
@click.option("--goal", type=NameChoice(["min", "max"]),
              help="Whether the metric should be low or high.  [default: as its name says]")  # fmt: skip
@click.option("--sampler", type=NameChoice(SAMPLERS), help="How values are chosen.  [default: tpe]")
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), help="Of the sampler.  [default: 0]")
@click.option("--prune", metavar="SETTINGS",
              help="End trials that do not keep up with the others, such as 'reduction_factor=3'.")  # fmt: skip
@click.option("--jobs", type=click.IntRange(min=1),
              help="Trials at a time on this machine.  [default: one per GPU, or 1]")  # fmt: skip
@click.option("--retries", type=click.IntRange(min=0),
              help="How often a trial starts again whose process was killed.  [default: 2]")  # fmt: skip
@click.option("--name", callback=run_name, help="The sweep's name; its runs are NAME-0, NAME-1, …  "
              "[default: target, date and time]")  # fmt: skip
@click.option("--resume", metavar="NAME", help="Go on with this sweep, or join it from another machine.")
@click.option("--logdir", type=GivenPath(file_okay=False, path_type=Path), default=Path("runs"),
              help="Directory for the runs, and for the sweep's own folder.")  # fmt: skip
@click.option("--sink", "sinks", multiple=True, callback=check_sinks, shell_complete=complete_sinks,
              help="Where the trials log; repeatable.  [default: tensorboard, visdom if it is installed]")  # fmt: skip
@click.option("--open", "open_browser", is_flag=True, help="Open the dashboard in a browser.")
@click.option("--dry-run", is_flag=True, help="Print the command lines of the first trials, and run nothing.")
@click.option("--engine", type=NameChoice(ENGINES), help="What runs the trials.  [default: optuna]")
@click.option("--address", help="Of a Ray cluster, such as auto; with --engine ray.  [default: Ray on this machine]")
@click.option("--cpus", type=click.FloatRange(min=0), default=1, help="Of each trial, with --engine ray.")
@click.option("--gpus", type=click.FloatRange(min=0), default=0, help="Of each trial, with --engine ray.")
@click.option("--scheduler", type=NameChoice(["fifo", "asha", "pbt"]), default="fifo",
              help="With --engine ray: asha ends bad trials early; pbt lets them go on from the weights of good ones, "
              "with other options.")  # fmt: skip
@click.option("--perturb-every", type=click.IntRange(min=1), metavar="EPOCHS",
              help=f"With --scheduler pbt: when trials are compared.  [default: {PERTURB_EVERY}]")  # fmt: skip
@click.option("-m", "is_module", is_flag=True, help="TARGET is the name of a module, as in python -m.")
def sweep(
    target: str | None,
    arguments: tuple[str, ...],
    resume: str | None,
    jobs: int | None,
    logdir: Path,
    sinks: tuple[str, ...],
    open_browser: bool,
    dry_run: bool,
    address: str | None,
    cpus: float,
    gpus: float,
    scheduler: str,
    perturb_every: int | None,
    **settings: Any,
) -> None:
    """Search for the best options of TARGET: a runner, a script, or a TOML file that describes the sweep.

    ARGUMENTS after -- are those of every trial. The same command with the same --name goes on with its sweep.
    """
    if resume is not None:
        if target is not None or perturb_every or any(settings[name] for name in FIXED):
            raise click.BadParameter(
                "goes with --trials, --jobs, --retries, and --sink alone.", param_hint="'--resume'"
            )
        folder = find_folder(resume, logdir)
        logdir = folder.parent
        changes = {"trials": settings["trials"], "retries": settings["retries"], "sinks": sinks or None}
        wanted = read_sweep(folder)
        _check_scheduler(wanted, scheduler)
        wanted = open_folder(wanted, logdir, **changes)
    else:
        if target is None:
            raise click.UsageError("There is nothing to sweep: give a runner, a script, a TOML file, or --resume NAME.")
        if perturb_every is not None and scheduler != "pbt":
            raise click.BadParameter("goes with --scheduler pbt.", param_hint="'--perturb-every'")
        every = (perturb_every or PERTURB_EVERY) if scheduler == "pbt" else None
        wanted = make_sweep(target, arguments, sinks=sinks or None, perturb_every=every, **settings)
        _check_scheduler(wanted, scheduler)
        if dry_run:
            for line in sample_commands(wanted, SHOWN_COMMANDS):
                click.echo(line)
            return
        wanted = open_folder(wanted, logdir, trials=settings["trials"], sinks=sinks or None)
    status = _run(wanted, logdir, jobs, RayOptions(address, cpus, gpus, scheduler), open_browser=open_browser)
    click.get_current_context().exit(status)


def _check_scheduler(sweep: Sweep, scheduler: str) -> None:
    """Raise `click.BadParameter` for a scheduler that the sweep does not have."""
    if scheduler != "fifo" and sweep.engine != "ray":
        raise click.BadParameter(f"{scheduler} goes with --engine ray.", param_hint="'--scheduler'")
    if scheduler == "pbt" and sweep.perturb_every is None:
        raise click.BadParameter(f"the sweep {sweep.name!r} is no population.", param_hint="'--scheduler'")


def _run(sweep: Sweep, logdir: Path, jobs: int | None, options: RayOptions, *, open_browser: bool) -> int:
    """Start the dashboards, run the trials, and print what came out; return the exit status."""
    from monitor.sweeps.page.sweep_page import SweepPage
    from monitor.sweeps.run import run_sweep

    specs = sweep.sinks or tuple(filter(is_installed, DEFAULT_SINKS))
    sinks = [registry.make(spec) for spec in specs]
    spec_of = dict(zip(map(id, sinks), specs))
    with ExitStack() as cleanup:
        cleanup.enter_context(signals_as_exit())
        servers = start_dashboards(
            sinks,
            lambda sink: sink.url,
            cleanup,
            logdir=logdir,
            has_board=not sweep.sinks,
            open_browser=open_browser,
            otherwise="the sweep goes on without it",
        )

        def specs_of(run: str) -> list[str]:
            return [
                sink.spec_of_page(run) if isinstance(sink, DashboardSink) else spec_of[id(sink)]
                for sink in sinks
                if sink.name != "console"  # whose lines would be those of several runs at once
            ]

        pages = [sink.spec_of_page(sweep.name) for sink in sinks if isinstance(sink, DashboardSink)]
        found = FoundRuns(logdir)
        with SweepPage(sweep.name, logdir, pages, runs=lambda: found(PARTS)) as page:
            for url in page.urls():
                echo(f"Sweep: {url}")
            end = run_sweep(sweep, logdir, jobs, options, specs_of)
        commands = view_commands([sink for sink in sinks if not isinstance(sink, DashboardSink)], logdir, None)
        keep_dashboards_up(servers if end.status == 0 else [], commands)
    if end.problem is not None:
        fail(f"{end.problem}; go on with: {end.resume}", 1)
    return end.status
