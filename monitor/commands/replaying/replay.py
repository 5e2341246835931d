"""`monitor replay`: bring the log of any program to any sink: TensorBoard's event files, and runs of W&B."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import click

from monitor.commands.base import MonitorCommand, fail
from monitor.commands.completion import complete_runs, complete_sinks
from monitor.commands.option_values import GivenPath, PlaceToRead
from monitor.dashboards.session import echo, keep_dashboards_up, print_commands, start_dashboards, view_commands
from monitor.remote.mirror import keep_current, refresh_runs
from monitor.runs.listing import scan
from monitor.runs.processes.process import signals_as_exit
from monitor.sinks import registry
from monitor.sinks.base import DashboardSink
from monitor.suggestions import hint

DEFAULT_LOGDIR = Path("runs")


@click.command(cls=MonitorCommand)
@click.argument("path", type=PlaceToRead(path_type=Path), shell_complete=complete_runs)
@click.option("--sink", "specs", multiple=True, required=True, shell_complete=complete_sinks,
              help="Where to: visdom, visdom://host:port/env, tensorboard, console; repeatable.")  # fmt: skip
@click.option("--follow", is_flag=True, help="Go on with what is logged from now on, new runs too, until Ctrl-C.")
@click.option("--logdir", type=GivenPath(file_okay=False, path_type=Path), help="Where new event files go.")
@click.option("--open", "open_browser", is_flag=True, help="Open the dashboard in a browser.")
@click.option("--wait", is_flag=True, help="Keep the dashboards up at the end, until Ctrl-C.")
def replay(
    path: Path, specs: tuple[str, ...], follow: bool, logdir: Path | None, open_browser: bool, wait: bool
) -> int:
    """Show the runs under PATH in a sink, each on a page of its own; the programs that log them stay as they are.

    PATH is a log or a folder with any number of them: TensorBoard's event files, whoever writes them, and runs of W&B,
    such as wandb/offline-run-20261124_093012-x91lzwbh. It may be an address such as s3://bucket/runs.
    """
    from platformdirs import user_data_path

    from monitor.commands.replaying.replay_runs import Replays

    refresh_runs([path])
    if follow:
        keep_current(path)
    path = _check(path, follow=follow)
    templates = {spec: registry.make(spec) for spec in specs}
    for spec, sink in templates.items():
        if logdir is None and sink.writes_event_files:
            raise click.BadParameter(f"--sink {spec} needs --logdir, where to write.", param_hint="'--logdir'")
        if logdir is not None and sink.writes_event_files and logdir.resolve().is_relative_to(path.resolve()):
            raise click.BadParameter(f"{str(logdir)!r} is in {str(path)!r}, which is read.", param_hint="'--logdir'")
    folder = user_data_path("training-monitor")
    with ExitStack() as cleanup:
        cleanup.enter_context(signals_as_exit())
        replays = Replays(path, templates, logdir, folder)
        first, served = replays.first_run(), list(templates.values())
        servers = start_dashboards(
            served,
            lambda sink: sink.url if first is None else sink.open_page(first),
            cleanup,
            open_browser=open_browser and first is not None,
            otherwise="the other sinks go on" if len(served) > 1 else "",
        )
        if not served:
            fail("none of the sinks is available", 1)
        replays.templates = {spec: sink for spec, sink in templates.items() if sink in served}
        replays.opens_browser = open_browser and first is None
        undelivered = replays.follow() if follow else replays.send()
        for line in undelivered:
            echo(line, err=True)
        shown = [sink for sink in served if not isinstance(sink, DashboardSink) or sink.name in replays.saved]
        commands = view_commands(shown, logdir, folder if any(server.process for server in servers) else None)
        if follow:
            print_commands(commands)
        else:
            keep_dashboards_up(servers, commands, "Everything has been sent", wait=wait)
    return 1 if undelivered or replays.has_unreadable else 0


def _check(path: Path, *, follow: bool) -> Path:
    """Return where the logs are: `path`, or the run of that name."""
    from monitor.imports.sources import find_logs

    if not path.exists() and (DEFAULT_LOGDIR / path).exists():
        path = DEFAULT_LOGDIR / path
    if not path.exists() and not follow:
        known = [run.name for run in scan(DEFAULT_LOGDIR)] if DEFAULT_LOGDIR.is_dir() else []
        matches = hint(str(path), known, f"in {DEFAULT_LOGDIR}")
        raise click.BadParameter(f"{str(path)!r} does not exist{matches}", param_hint="'PATH'")
    if not follow and not find_logs(path):
        raise click.BadParameter(
            f"there are no event files (*tfevents*) and no logs of W&B (run-*.wandb) in {str(path)!r}.",
            param_hint="'PATH'",
        )
    return path
