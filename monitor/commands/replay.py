"""`monitor replay`: bring any TensorBoard log to Visdom, or to any other sink."""

from __future__ import annotations

import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import click

from monitor.commands.base import MonitorCommand, fail
from monitor.dashboards.session import echo, keep_dashboards_up, save_pages, start_dashboards, view_commands
from monitor.events.files import runs_under
from monitor.runs.process import signals_as_exit
from monitor.runs.run import Run
from monitor.sinks import registry
from monitor.sinks.base import DashboardSink, Sink

if TYPE_CHECKING:
    from monitor.delivery.replay import Replay

POLL_INTERVAL_S = 0.5  # between two looks at the event files
DEFAULT_LOGDIR = Path("runs")


@click.command(cls=MonitorCommand)
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--sink", "specs", multiple=True, required=True,
              help="Where to: visdom, visdom://host:port/env, tensorboard, console; repeatable.")  # fmt: skip
@click.option("--follow", is_flag=True, help="Continue with what is written from now on, until Ctrl-C.")
@click.option("--logdir", type=click.Path(file_okay=False, path_type=Path), help="Where new event files go.")
@click.option("--open", "open_browser", is_flag=True, help="Open the dashboard in a browser.")
def replay(path: Path, specs: tuple[str, ...], follow: bool, logdir: Path | None, open_browser: bool) -> int:
    """Stream the TensorBoard event files of PATH, whoever wrote them, to a sink; each run gets a page of its own."""
    from platformdirs import user_data_path

    path = _check(path, follow=follow)
    templates = {spec: registry.make(spec) for spec in specs}
    for spec, sink in templates.items():
        if logdir is None and sink.writes_event_files:
            raise click.BadParameter(f"--sink {spec} needs --logdir, where to write.", param_hint="'--logdir'")
    folder = user_data_path("training-monitor")
    with ExitStack() as cleanup:
        cleanup.enter_context(signals_as_exit())
        first = Run(_flat_name(next(iter(runs_under(path)), path.name)), is_written=False)
        served = list(templates.values())
        servers = start_dashboards(
            served, folder, lambda sink: sink.page_url(first), cleanup, open_browser=open_browser
        )
        if not served:
            fail("none of the sinks is available", 1)
        templates = {spec: sink for spec, sink in templates.items() if sink in served}
        undelivered = _replay_all(path, templates, logdir, folder, follow=follow)
        for line in undelivered:
            echo(line, err=True)
        if not follow:
            saved = folder if any(server.process for server in servers) else None
            keep_dashboards_up(servers, view_commands(served, logdir, saved), "Everything has been sent")
    return 1 if undelivered else 0


def _check(path: Path, *, follow: bool) -> Path:
    """Return where the event files are: `path`, or the run of that name."""
    if not path.exists() and (DEFAULT_LOGDIR / path).exists():
        path = DEFAULT_LOGDIR / path
    if not path.exists():
        raise click.BadParameter(f"{str(path)!r} does not exist.", param_hint="'PATH'")
    if not follow and not runs_under(path):
        raise click.BadParameter(f"there are no event files (*tfevents*) in {str(path)!r}.", param_hint="'PATH'")
    return path


def _replay_all(
    path: Path, templates: dict[str, Sink], logdir: Path | None, folder: Path, *, follow: bool
) -> list[str]:
    """Send all runs, each to sinks of its own; with `follow`, until Ctrl-C. Return what was not delivered."""
    from monitor.delivery.replay import Replay

    replays: dict[str, Replay] = {}
    undelivered: list[str] = []
    try:
        while True:
            for name, run_path in runs_under(path).items():
                if name not in replays:
                    sinks = [_copy_of(sink, spec) for spec, sink in templates.items()]
                    run = Run(logdir / name) if logdir is not None else Run(_flat_name(name), is_written=False)
                    replays[name] = Replay(name, run_path, sinks, run)
                replays[name].forward()
                if not follow:
                    undelivered += _end(replays[name], folder)
            if not follow:
                return undelivered
            time.sleep(POLL_INTERVAL_S)
    except (KeyboardInterrupt, SystemExit):
        if not follow:
            raise
        return [line for replay in replays.values() for line in _end(replay, folder)]


def _flat_name(name: str) -> Path:
    return Path(name.replace("/", "_"))


def _copy_of(sink: Sink, spec: str) -> Sink:
    """Make another sink like `sink`, for another run."""
    made = registry.make(spec)
    if isinstance(sink, DashboardSink) and isinstance(made, DashboardSink):
        made.connect_to(sink.url)
    return made


def _end(replay: Replay, folder: Path) -> list[str]:
    """End a run's replay and save its pages where a server of ours finds them; return what was not delivered."""
    undelivered = replay.close()
    echo(replay.summary())
    save_pages(replay.sinks, folder)
    return undelivered
