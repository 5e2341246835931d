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

    from monitor.delivery.replay import Replay

    if not path.exists() and (DEFAULT_LOGDIR / path).exists():  # the name of a run
        path = DEFAULT_LOGDIR / path
    if not path.exists():
        raise click.BadParameter(f"{str(path)!r} does not exist.", param_hint="'PATH'")
    runs = runs_under(path)
    if not runs and not follow:
        raise click.BadParameter(f"there are no event files (*tfevents*) in {str(path)!r}.", param_hint="'PATH'")
    templates = {spec: registry.make(spec) for spec in specs}
    for spec, sink in templates.items():
        if logdir is None and sink.writes_event_files:
            raise click.BadParameter(f"--sink {spec} needs --logdir, where to write.", param_hint="'--logdir'")
    folder = user_data_path("training-monitor")
    undelivered: list[str] = []
    with ExitStack() as cleanup:
        cleanup.enter_context(signals_as_exit())
        first = Run(_flat_name(next(iter(runs), path.name)), is_written=False)
        served = list(templates.values())
        servers = start_dashboards(
            served, folder, lambda sink: sink.page_url(first), cleanup, open_browser=open_browser
        )
        if not served:
            fail("none of the sinks is available", 1)
        replays: dict[str, Replay] = {}
        try:
            while True:
                for name, run_path in runs_under(path).items():
                    if name not in replays:
                        sinks = [_copy_of(sink, spec) for spec, sink in templates.items() if sink in served]
                        run = Run(logdir / name) if logdir is not None else Run(_flat_name(name), is_written=False)
                        replays[name] = Replay(name, run_path, sinks, run)
                    replays[name].forward()
                    if not follow:
                        undelivered += _end(replays[name], folder)
                if not follow:
                    break
                time.sleep(POLL_INTERVAL_S)
        except (KeyboardInterrupt, SystemExit):
            if not follow:
                raise
            for one in replays.values():
                undelivered += _end(one, folder)
        for line in undelivered:
            echo(line, err=True)
        if not follow:
            saved = folder if any(server.process for server in servers) else None
            keep_dashboards_up(servers, view_commands(served, logdir, saved), "Everything has been sent")
    return 1 if undelivered else 0


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
